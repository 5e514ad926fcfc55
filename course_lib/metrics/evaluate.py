"""One call that says how good a trained model's images are, with everything the numbers depend on (lesson 15)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from course_lib.data import check_images, identical, load, to_levels
from course_lib.metrics.features import DRAWS, SAMPLES, Features
from course_lib.metrics.frechet import frechet_distance, frechet_draws
from course_lib.metrics.manifold import precision_recall
from course_lib.metrics.memorizing import Nearness, nearest_distance, nearness
from course_lib.metrics.twosample import two_sample_accuracy

UNSEEN = 2_000  # as many real images show what nearest distances are usual
POOL = 10_000  # from as many real images are the pairs of sets drawn whose FD is measured


@dataclass(frozen=True)
class Score:
    """mean: over the sets of images, one for each sampling seed. spread: their standard deviation, None for one set.

    real: the same measure for training images against held-out ones, what a perfect model would have. real_spread: its
    standard deviation over fresh splits of all real images into two sets. The one split that is held out judges all
    models: how far a model is from `real` is uncertain by about `real_spread`, the difference of two models by less.
    """

    mean: float
    spread: float | None
    real: float
    real_spread: float

    def __str__(self) -> str:
        spread = "" if self.spread is None else f" ± {self.spread:.2f}"
        return f"{self.mean:.2f}{spread} (real images {self.real:.2f} ± {self.real_spread:.2f})"


@dataclass(frozen=True)
class Quality:
    """How good a model's images are. Every measure is between n = 500 images a side, for the numbers depend on n.

    fd_ratio: mean FD(generated, held-out) over FD(training, held-out); 1.0 is as close to the held-out images as the
    training images are. spread: the standard deviation of one draw's ratio, over `draws` draws of n from one set of
    images. over_seeds: the same ratio with its spread over sampling seeds, and what real images have.
    precision, recall (in pixels, k = 3): the share of generated images among the real ones, and of held-out images among
    the generated. c2st: how often a fresh classifier tells generated from held-out images, 0.5 … 1.
    nearest, nearest_held_out: the mean distance to the nearest training image (RMS per pixel) of generated and of
    held-out images. copies: the same as a distribution; leaks: likewise for the nearest held-out image. A model that
    memorizes comes too near, and its other numbers are worth nothing.
    images: how many were looked at, in `seeds` sets.
    """

    fd_ratio: float
    spread: float
    fd: float
    n: int
    draws: int
    nearest: float
    nearest_held_out: float
    images: int
    seeds: int
    over_seeds: Score
    precision: Score
    recall: Score
    c2st: Score
    copies: Nearness
    leaks: Nearness

    def __str__(self) -> str:
        apart = f"± {self.spread:.2f} ({self.draws} draws of {self.n})"
        if self.images == self.n * self.seeds:  # each draw is the whole set, so there is no luck in it to speak of
            apart = f"({self.n} images a set)"
        return (
            f"FD ratio {self.fd_ratio:.2f} {apart}; "
            f"nearest training image at {self.nearest:.3f}, held-out images' at {self.nearest_held_out:.3f}\n"
            f"{self.seeds} set(s), {self.images} images: FD ratio {self.over_seeds}; precision {self.precision}; "
            f"recall {self.recall}; a classifier is right in {self.c2st}; "
            f"near copies {self.copies.share:.1%} (real images {self.copies.expected:.1%})"
        )


def quality(samples: Tensor | Sequence[Tensor], data: str) -> Quality:
    """How good generated images are, and whether they are new.

    samples: one set of images for each sampling seed, at least three to say how much is luck, or one set alone; each of
    at least 500 images of the data set's shape, (n, channels, size, size) in [-1, 1], of which all are looked at.
    Raises ValueError for no set, fewer images, another shape, or values that are not finite or outside [-1, 1].
    """
    sets = [samples] if isinstance(samples, Tensor) else list(samples)
    if not sets:
        raise ValueError("there is no set of generated images to judge")
    dataset, features = load(data), Features(data)
    for x0 in sets:
        if x0.shape[1:] != dataset.shape:
            raise ValueError(f"images of {data} have the shape {dataset.shape}; got {tuple(x0.shape[1:])}")
        if len(x0) < SAMPLES:
            raise ValueError(f"a set must hold {SAMPLES} images or more, for the numbers depend on it; got {len(x0)}")
        if dataset.levels:
            check_images(x0, "each set of generated images")
    held_out, training = dataset.held_out.x0, dataset.train.x0
    held_out_features = features(held_out)
    fd = torch.stack([frechet_draws(features(x0), held_out_features, SAMPLES, DRAWS) for x0 in sets])
    measured = torch.stack([_in_pixels(to_levels(x0, dataset.levels), held_out) for x0 in sets])
    ratio = _score(fd.mean(1) / features.reference, 1.0, _fd_between_real_images(data) / features.reference)
    real, splits = _in_pixels_of_real_images(data)
    precision, recall, c2st = (_score(*columns) for columns in zip(measured.T, real, splits.T, strict=True))
    x0 = torch.cat([x0.clamp(-1, 1) if dataset.levels else x0 for x0 in sets])
    on_levels = to_levels(x0, dataset.levels)
    to_training, usual = nearest_distance(x0, training), nearest_distance(_some(held_out, UNSEEN), training)
    to_held_out, usual_leak = nearest_distance(x0, held_out), nearest_distance(_some(training, UNSEEN), held_out)
    return Quality(
        fd_ratio=ratio.mean,
        spread=(fd.std(1).mean() / features.reference).item(),
        fd=fd.mean().item(),
        n=SAMPLES,
        draws=DRAWS,
        nearest=to_training.mean().item(),
        nearest_held_out=usual.mean().item(),
        images=len(x0),
        seeds=len(sets),
        over_seeds=ratio,
        precision=precision,
        recall=recall,
        c2st=c2st,
        copies=nearness(to_training, usual, int(identical(on_levels, training).sum())),
        leaks=nearness(to_held_out, usual_leak, int(identical(on_levels, held_out).sum())),
    )


@cache
def _fd_between_real_images(data: str) -> Tensor:
    """FD between two sets of real images for each fresh split of all of them, (4 DRAWS,): its tail is long."""
    dataset, features = load(data), Features(data)
    pool = features(_some(torch.cat([dataset.train.x0, dataset.held_out.x0]), POOL))
    pairs = [_some(pool, 2 * SAMPLES, seed).split(SAMPLES) for seed in range(4 * DRAWS)]
    return torch.tensor([frechet_distance(a, b).distance for a, b in pairs], dtype=torch.float64)


@cache
def _in_pixels_of_real_images(data: str) -> tuple[Tensor, Tensor]:
    """The measures in pixels of training images against held-out ones, (3,), and for fresh splits, (DRAWS, 3)."""
    dataset = load(data)
    training, held_out = dataset.train.x0, dataset.held_out.x0
    pool = torch.cat([training, held_out])
    real = [_in_pixels(_some(training, seed=seed), held_out) for seed in range(DRAWS // 2)]
    splits = [_in_pixels(*_some(pool, 2 * SAMPLES, seed).split(SAMPLES)) for seed in range(DRAWS)]
    return torch.stack(real).mean(0), torch.stack(splits)


def _in_pixels(x0: Tensor, real: Tensor) -> Tensor:
    """Precision, recall and the accuracy of the two-sample test, of n images of each side, (3,)."""
    x0, real = _some(x0), _some(real)
    return torch.tensor([*precision_recall(x0, real), two_sample_accuracy(x0, real)], dtype=torch.float64)


def _some(x0: Tensor, n: int = SAMPLES, seed: int = 0) -> Tensor:
    """n of the images, or all where there are fewer, in a random order."""
    return x0[torch.from_numpy(np.random.RandomState(seed).permutation(len(x0))[:n])]


def _score(sets: Tensor, real: Tensor | float, splits: Tensor) -> Score:
    spread = sets.std().item() if len(sets) > 1 else None
    return Score(sets.mean().item(), spread, float(real), splits.std().item())
