"""Nobody gets good numbers without having learned to draw: each cheat shows, and real images pass."""

import dataclasses
import importlib

import pytest
import torch
from cheats import CHEATS, DIGITS, HELD_OUT, TRAIN, gaussian_per_class, pca

from course_lib.data import Dataset, Split
from course_lib.metrics import quality, suspicious

evaluate = importlib.import_module("course_lib.metrics.evaluate")
G = torch.Generator().manual_seed

# what unmasks each cheat: the beginnings of reasons that it must be given, whatever else it is told
UNMASKED = {
    "one Gaussian a class, rounded": ("a classifier tells them apart", "less varied"),
    "one Gaussian": ("a classifier tells them apart", "another distribution"),
    "PCA 20 and a Gaussian": ("a classifier tells them apart", "another distribution"),
    "half of one and half of another training image of a class": ("a classifier tells them apart", "less varied"),
    "copies, turned, scaled and shifted a little": ("near copies", "a classifier tells them apart"),
    "80 % copies among Gaussians": ("copies", "near copies"),
    "10 % copies among Gaussians": ("copies", "near copies"),
    "Gaussians first, then as many copies": ("copies", "near copies"),
    "copies": ("copies", "near copies"),
    "copies with noise 0.05": ("near copies",),
    "copies with noise 0.1": ("near copies",),
    "copies with noise 0.2": ("near copies", "a classifier tells them apart"),
    "copies with noise 0.3": ("a classifier tells them apart", "less plausible"),
    "one image a class": ("copies", "less varied", "another distribution"),
    "class means": ("a classifier tells them apart", "less varied", "another distribution"),
    "the held-out images": ("copies", "near copies"),
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_unmasked(name):
    reasons = suspicious(quality(CHEATS[name](2000, G(0)), "digits"))
    for expected in UNMASKED[name]:
        assert any(reason.startswith(expected) for reason in reasons), reasons


def test_held_out_images_are_told_from_training_images():
    leaked = quality(CHEATS["the held-out images"](500, G(0)), "digits")
    copied = quality(CHEATS["copies"](500, G(0)), "digits")
    assert leaked.leaks.median < 1e-3 < leaked.copies.median and leaked.leaks.exact == 500
    assert copied.copies.median < 1e-3 < copied.leaks.median and copied.leaks.exact == 0
    assert any("held-out" in reason for reason in suspicious(leaked))
    assert not any("held-out" in reason for reason in suspicious(copied))


@pytest.mark.parametrize("seed", range(3))
def test_real_images_that_nobody_has_seen_are_not_suspicious(seed, monkeypatch):
    """A fresh split of all digits: 797 as training images, 500 held out, and the other 500 handed in as a model's."""
    order = torch.randperm(1797, generator=G(seed))
    x0, label = torch.cat([TRAIN.x0, HELD_OUT.x0])[order], torch.cat([TRAIN.label, HELD_OUT.label])[order]
    split = dataclasses.replace(
        DIGITS, train=Split(x0[:797], label[:797]), held_out=Split(x0[797:1297], label[797:1297])
    )
    found = _with_data(split, monkeypatch, x0[1297:])
    assert suspicious(found) == []
    assert found.copies.exact == found.leaks.exact == 0


def test_recall_and_the_classifier_rank_what_the_fd_ratio_can_not():
    """From best to worst: real images, half of them real, a Gaussian a class, a Gaussian of 20 components."""
    half = torch.cat([gaussian_per_class(1000, G(0)), TRAIN.x0[:1000]])
    found = [quality(x0, "digits") for x0 in (TRAIN.x0, half, gaussian_per_class(2000, G(0)), pca(2000, G(0)))]
    recall, told_apart = ([getattr(q, score).mean for q in found] for score in ("recall", "c2st"))
    assert recall == sorted(recall, reverse=True) and told_apart == sorted(told_apart)


def _with_data(data: Dataset, monkeypatch, x0):
    """quality(), with other data behind the name of the digits."""
    measures = (evaluate._fd_between_real_images, evaluate._in_pixels_of_real_images)
    monkeypatch.setattr(evaluate, "load", lambda name: data)
    try:
        for measure in measures:
            measure.cache_clear()
        return quality(x0, "digits")
    finally:
        for measure in measures:
            measure.cache_clear()
