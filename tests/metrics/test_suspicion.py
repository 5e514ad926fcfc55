"""From which number on a model is suspicious, and of what."""

from dataclasses import replace

import pytest

from course_lib.metrics import Nearness, Quality, Score, suspicious

EVEN = Score(mean=0.5, spread=None, real=0.5, real_spread=0.01)
FAR = Nearness(median=0.3, median_expected=0.3, share=0.01, expected=0.01, p=0.5, exact=0)
FINE = Quality(
    fd_ratio=1.0, spread=0.1, fd=9.0, n=500, draws=10, nearest=0.3, nearest_held_out=0.3, images=1500, seeds=3,
    over_seeds=EVEN, precision=EVEN, recall=EVEN, c2st=EVEN, copies=FAR, leaks=FAR,
)  # fmt: skip


def test_nothing_is_suspicious_in_numbers_of_real_images():
    assert suspicious(FINE) == []


@pytest.mark.parametrize(
    ("measure", "side", "says"),
    [
        ("over_seeds", 1, "another distribution"),
        ("over_seeds", -1, None),
        ("precision", -1, "less plausible"),
        ("precision", 1, None),
        ("recall", -1, "less varied"),
        ("recall", 1, None),
        ("c2st", 1, "a classifier tells them apart"),
        ("c2st", -1, "twins"),
    ],
)
def test_a_measure_is_suspicious_beyond_four_deviations_of_real_images_on_its_bad_side(measure, side, says):
    def reasons(deviations):
        return suspicious(replace(FINE, **{measure: replace(EVEN, mean=0.5 + side * deviations * 0.01)}))

    assert reasons(3.9) == []
    assert [reason.startswith(says) for reason in reasons(4.1)] == [True] if says else reasons(4.1) == []


@pytest.mark.parametrize(("known", "says"), [("copies", "training image"), ("leaks", "held-out image")])
def test_copies_are_suspicious_where_real_images_have_so_many_less_than_once_in_a_thousand(known, says):
    def reasons(**changes):
        return suspicious(replace(FINE, **{known: replace(FAR, **changes)}))

    assert reasons(p=1.1e-3) == []
    (near,), (exact,) = reasons(p=0.9e-3), reasons(exact=1)
    assert near.startswith("near copies") and exact.startswith("copies: 1 ") and says in near and says in exact
