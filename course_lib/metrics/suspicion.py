"""What in a model's numbers should make you doubt them, in plain words (lesson 15)."""

from course_lib.metrics.evaluate import Quality, Score
from course_lib.metrics.memorizing import Nearness

DEVIATIONS = 4
LEVEL = 1e-3


def suspicious(found: Quality) -> list[str]:
    """Reasons to doubt that the images are new and of the data's distribution; none for real, unseen ones.

    A measure is suspicious where it is worse than that of real images by more than four times its
    `real_spread`; near copies, where real images would have so many less than once in a thousand times. A weak but
    honest model is told how it is weak; a sentence with "copies" says that images are not new.
    """
    return [*_copies(found.copies, "training"), *_copies(found.leaks, "held-out"), *_unlike(found)]


def _copies(near: Nearness, known: str) -> list[str]:
    reasons = []
    if near.exact:
        reasons.append(f"copies: {near.exact} images equal a {known} image in every grey level")
    if near.p < LEVEL:
        reasons.append(
            f"near copies: {near.share:.1%} of images lie nearer to a {known} image than {1 - near.expected:.1%} of "
            "unseen ones do"
        )
    return reasons


def _unlike(found: Quality) -> list[str]:
    reasons = []
    if _above(found.over_seeds):
        reasons.append(f"another distribution: FD ratio {found.over_seeds}")
    if _below(found.precision):
        reasons.append(f"less plausible than real images: precision {found.precision}")
    if _below(found.recall):
        reasons.append(f"less varied than real images: recall {found.recall}")
    if _above(found.c2st):
        reasons.append(f"a classifier tells them apart: {found.c2st}")
    if _below(found.c2st):
        reasons.append(f"twins: a classifier does worse than a coin, {found.c2st}")
    return reasons


def _above(score: Score) -> bool:
    return score.mean > score.real + DEVIATIONS * score.real_spread


def _below(score: Score) -> bool:
    return score.mean < score.real - DEVIATIONS * score.real_spread
