"""What no recipe may see: the mark of held-out images, and how data are recognised by their values."""

import pytest
import torch

from course_lib.data import (
    NAMES,
    Dataset,
    Split,
    check_trainable,
    contains_held_out,
    fingerprint,
    identical,
    load,
    to_levels,
)

OFFLINE = [name for name in NAMES if name != "mnist"]


@pytest.mark.parametrize("name", OFFLINE)
def test_every_set_marks_what_it_holds_out_and_nothing_else(name):
    data = load(name)
    assert data.held_out.held_out and not data.train.held_out
    assert check_trainable(data.train) is data.train
    with pytest.raises(ValueError, match=f"these {len(data.held_out)} images are held out.*train"):
        check_trainable(data.held_out)


@pytest.mark.parametrize("rows", [slice(0, 7), torch.arange(7), torch.arange(500) < 7], ids=["slice", "rows", "mask"])
def test_a_part_of_a_split_keeps_its_rows_its_labels_and_its_mark(rows):
    held_out = load("digits").held_out
    part = held_out[rows]
    assert torch.equal(part.x0, held_out.x0[:7]) and torch.equal(part.label, held_out.label[:7])
    with pytest.raises(ValueError, match="these 7 images are held out"):
        check_trainable(part)
    assert not load("digits").train[:7].held_out


def test_a_set_that_trains_on_held_out_images_can_not_be_made():
    digits = load("digits")
    with pytest.raises(ValueError, match="held out"):
        Dataset("cheat", digits.held_out[100:], digits.held_out[:100], digits.classes, digits.source)


def test_held_out_images_are_found_among_others_without_their_mark():
    digits = load("digits")
    assert not contains_held_out(digits.train.x0, digits)
    assert contains_held_out(torch.cat([digits.train.x0, digits.held_out.x0[42:43]]), digits)
    assert not contains_held_out(digits.held_out.x0 * 0.999, digits)
    assert not contains_held_out(digits.train.x0[:0], digits)


def test_identical_means_every_value_and_nothing_is_known_of_other_shapes():
    x0 = torch.tensor([[0.0, 1.0], [-0.0, 1.0], [0.0, 1.0 + 1e-6], [1.0, 0.0]])
    assert identical(x0, x0[:1]).tolist() == [True, True, False, False]
    assert identical(x0.double(), x0).all()
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        identical(x0, torch.zeros(4, 3))


def test_a_fingerprint_changes_with_any_value_label_or_order():
    split = load("digits").train[:50]
    x0, label = split.x0.clone(), split.label.clone()
    x0[49, 0, 7, 7] += 0.125
    label[49] += 1
    others = [Split(x0, split.label), Split(split.x0, label), split[torch.arange(50).flip(0)], split[:49]]
    assert fingerprint(split) == fingerprint(Split(split.x0.clone(), split.label.int()))
    assert len({fingerprint(split), *map(fingerprint, others)}) == 5


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_the_nearest_grey_level_is_the_datas_own_value(levels):
    grey = torch.arange(levels).float().reshape(1, 1, 1, -1)
    exact = grey / ((levels - 1) / 2) - 1
    off = exact + 0.98 / (levels - 1) * (2 * torch.rand(exact.shape, generator=torch.Generator().manual_seed(0)) - 1)
    assert torch.equal(to_levels(off, levels), exact)
    assert to_levels(torch.tensor([-3.0, 3.0]), levels).tolist() == [-1, 1]


@pytest.mark.parametrize("rows", [5, True, "3", torch.tensor(5), None], ids=repr)
def test_one_number_is_no_part_of_a_split(rows):
    """`split[label == "3"]` compares a tensor with a text, which is False: an axis more, and no row."""
    with pytest.raises(ValueError, match="rows must be a slice, .* or a list of row numbers or booleans; got"):
        load("digits").train[rows]


def test_a_set_holds_out_a_split():
    digits = load("digits")
    with pytest.raises(ValueError, match=r"held_out must be a Split\(x0, label\); got None"):
        Dataset("half", digits.train, None, digits.classes, digits.source)


def test_a_fingerprint_is_taken_of_tensors_of_any_floating_kind():
    with pytest.raises(ValueError, match=r"split must hold tensors; got \[1, 2\] and \[3\]"):
        fingerprint(Split([1, 2], [3]))
    halves = Split(torch.tensor([[0.5, -1.0]]), torch.tensor([3]))
    assert fingerprint(Split(halves.x0.bfloat16(), halves.label)) == fingerprint(halves)
