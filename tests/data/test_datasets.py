"""The data that need no download: what they promise to every model, and the door between their scale and 8 bit."""

import hashlib

import numpy as np
import pytest
import torch

from course_lib.data import (
    NAMES,
    TOYS,
    check_images,
    check_labels,
    fingerprint,
    from_indices,
    load,
    to_indices,
    to_levels,
    to_uint8,
    toy,
)  # fmt: skip

OFFLINE = [name for name in NAMES if name != "mnist"]


# The digits


def test_the_digits_are_1297_to_train_on_and_500_held_out():
    digits = load("digits")
    assert digits.shape == (1, 8, 8)
    for split, n in ((digits.train, 1297), (digits.held_out, 500)):
        assert len(split) == n and split.x0.shape == (n, 1, 8, 8) and split.label.shape == (n,)
        assert split.x0.dtype == torch.float32 and split.label.dtype == torch.int64


def test_a_digit_has_exactly_the_17_grey_levels_from_minus_one_to_one():
    digits = load("digits")
    found = torch.cat([digits.train.x0, digits.held_out.x0]).unique()
    assert digits.levels == 17
    assert torch.equal(found, torch.linspace(-1, 1, 17))


def test_no_held_out_digit_is_among_the_training_images():
    digits = load("digits")
    train, held_out = ({x.numpy().tobytes() for x in split.x0} for split in (digits.train, digits.held_out))
    assert len(train) == 1297 and len(held_out) == 500
    assert not train & held_out


@pytest.mark.parametrize(
    ("part", "sha256"),
    [
        ("train", "60e283ca3d57d99f191e5f2988435cdb21be590088af7f8fe230350ad650cf98"),
        ("held_out", "4a1132586389f7a1fff39b2b93b885736d5c00a4c058aee978d35823e9fec0b5"),
    ],
)
def test_the_split_of_the_digits_is_frozen(part, sha256):
    split = getattr(load("digits"), part)
    little_endian = split.x0.numpy().astype("<f4").tobytes() + split.label.numpy().astype("<i8").tobytes()
    assert hashlib.sha256(little_endian).hexdigest() == sha256 == fingerprint(split)


def test_a_digit_and_its_label_belong_together():
    """Each image is nearer to the mean of its own class than to the other means, for about nine in ten."""
    digits = load("digits")
    means = torch.stack([digits.train.x0[digits.train.label == k].mean(0) for k in range(10)]).flatten(1)
    nearest = torch.cdist(digits.held_out.x0.flatten(1), means).argmin(1)
    assert (nearest == digits.held_out.label).float().mean() > 0.85


# The photos


def test_the_photos_are_two_real_colour_images_and_name_their_authors():
    photos = load("photos")
    x0 = photos.train.x0
    assert x0.shape == (2, 3, 427, 640) and x0.dtype == torch.float32 and photos.shape == (3, 427, 640)
    assert photos.classes == ("china", "flower") and photos.levels == 256
    assert "danielbuechele" in photos.source and "vultilion" in photos.source and "CC BY" in photos.source
    assert len(photos.held_out) == 0


def test_channels_come_first_in_the_photos():
    """The picture of the temple has a blue sky: its top rows are brightest in the third channel."""
    sky = load("photos").train.x0[0, :, :40].mean((1, 2))
    assert sky[2] > sky[1] > sky[0]


# Every set


@pytest.mark.parametrize("name", OFFLINE)
def test_every_set_knows_its_name_its_source_and_a_class_for_each_label(name):
    data = load(name)
    assert data.name == name and data.source
    label = torch.cat([data.train.label, data.held_out.label])
    if label.ndim > 1:  # captions, attributes, other pictures
        assert data.classes == ()
        return
    assert label.unique().tolist() == list(range(len(data.classes)))


@pytest.mark.parametrize("name", ["digits", "photos"])
def test_images_pass_the_check_that_training_makes_and_reach_both_ends(name):
    x0 = load(name).train.x0
    assert check_images(x0) is x0
    assert x0.min() == -1 and x0.max() == 1


def test_an_unknown_set_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="'digit'") as refused:
        load("digit")
    for name in NAMES:
        assert name in str(refused.value)


# Points in the plane


@pytest.mark.parametrize("name", TOYS)
def test_a_toy_set_is_n_finite_points_in_float32(name):
    for n in (1, 7, 1000):
        x0 = toy(name, n)
        assert x0.shape == (n, 2) and x0.dtype == torch.float32 and x0.isfinite().all()


@pytest.mark.parametrize("name", TOYS)
def test_a_toy_set_is_centred_with_a_variance_of_about_one(name):
    x0 = toy(name, 20_000).double()
    assert x0.mean(0).abs().max() < 0.05  # seven standard errors
    assert ((x0.var(0) > 0.75) & (x0.var(0) < 1.33)).all()


@pytest.mark.parametrize("name", TOYS)
def test_a_seed_decides_every_point(name):
    first, again, other = toy(name, 100, seed=3), toy(name, 100, seed=3), toy(name, 100, seed=4)
    assert first.numpy().tobytes() == again.numpy().tobytes()
    assert not torch.isin(other, first).any()


@pytest.mark.parametrize("name", TOYS)
def test_a_generator_goes_on_drawing(name):
    generator = torch.Generator().manual_seed(3)
    first, second = toy(name, 100, generator), toy(name, 100, generator)
    assert torch.equal(first, toy(name, 100, seed=3))
    assert not torch.isin(second, first).any()


@pytest.mark.parametrize("name", TOYS)
def test_drawing_a_toy_leaves_the_global_generator_alone(name):
    before = torch.get_rng_state()
    toy(name, 10)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", TOYS)
def test_a_toy_dataset_holds_the_same_8000_and_2000_points_each_time(name):
    data, again = load(name), load(name)
    assert data.train.x0.shape == (8000, 2) and data.held_out.x0.shape == (2000, 2)
    assert data.shape == (2,) and data.levels is None
    assert torch.equal(data.train.x0, again.train.x0) and torch.equal(data.held_out.x0, again.held_out.x0)
    assert not torch.isin(data.held_out.x0, data.train.x0).all(1).any()


@pytest.mark.parametrize("name", TOYS)
def test_the_held_out_points_are_drawn_with_a_seed_of_their_own(name):
    """From the training points' seed they would have the same labels and angles, and only other noise."""
    held_out = load(name).held_out
    assert not torch.equal(held_out.x0, toy(name, len(held_out), seed=0))


def test_the_eight_gaussians_are_labelled_around_the_circle():
    split = load("eight_gaussians").train
    angle = torch.arange(8) * torch.pi / 4
    centres = 1.4 * torch.stack([angle.cos(), angle.sin()], 1)
    assert torch.equal(torch.cdist(split.x0, centres).argmin(1), split.label)


def test_the_checkerboard_fills_the_eight_black_squares_alone():
    split = load("checkerboard").train
    square = (split.x0 / 0.86 + 2).floor().long()
    assert ((square >= 0) & (square <= 3)).all() and (square.sum(1) % 2 == 0).all()
    for label in range(8):
        assert len(square[split.label == label].unique(dim=0)) == 1


def test_the_labels_of_the_rings_tell_the_inner_from_the_outer():
    split = load("rings").train
    assert torch.equal((split.x0.norm(dim=1) > 1.3).long(), split.label)


def test_the_two_moons_are_each_other_turned_by_half_a_circle():
    """Within 0.6 of a point (six times the jitter) there is a point of the other moon turned by 180 degrees."""
    split = load("moons").train
    first, second = split.x0[split.label == 0][:500], split.x0[split.label == 1][:500]
    assert torch.cdist(first, -second).min(1).values.max() < 0.6
    assert torch.cdist(first, second).min(1).values.max() > 1


def test_an_unknown_toy_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="'moon'") as refused:
        toy("moon", 10)
    for name in TOYS:
        assert name in str(refused.value)


@pytest.mark.parametrize("n", [0, -1])
def test_a_toy_of_no_points_is_refused(n):
    with pytest.raises(ValueError, match=f"at least 1; got {n}"):
        toy("moons", n)


# check_images


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_images_at_the_very_ends_are_fine_in_every_precision(dtype):
    x0 = torch.tensor([-1.0, 1.0, 0.0, 0.5], dtype=dtype).reshape(1, 1, 2, 2)
    assert check_images(x0) is x0


def test_no_images_are_fine_images():
    assert check_images(torch.zeros(0, 3, 4, 4)).shape == (0, 3, 4, 4)


@pytest.mark.parametrize("shape", [(), (8, 8), (1, 8, 8), (2, 1, 1, 8, 8)])
def test_images_without_four_axes_are_refused_with_their_shape(shape):
    with pytest.raises(ValueError, match="channels, height, width") as refused:
        check_images(torch.zeros(shape))
    assert str(shape) in str(refused.value)


def test_a_list_or_an_array_is_refused_as_images():
    with pytest.raises(ValueError, match="got list"):
        check_images([[[[0.0]]]])
    with pytest.raises(ValueError, match=r"\(1, 1, 2, 2\)"):
        check_images(torch.zeros(1, 1, 2, 2).numpy())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_whole_numbers_are_refused_with_how_to_scale_them(dtype):
    with pytest.raises(ValueError, match="127.5"):
        check_images(torch.zeros(1, 1, 2, 2, dtype=dtype))


@pytest.mark.parametrize("bad", [255.0, 1.01, -1.01, float("nan"), float("inf"), -float("inf")])
def test_one_pixel_outside_the_range_is_refused(bad):
    x0 = torch.zeros(2, 1, 4, 4)
    x0[1, 0, 2, 3] = bad
    with pytest.raises(ValueError, match=r"noisy images must lie in \[-1, 1\]; got"):
        check_images(x0, "noisy images")


def test_images_from_0_to_255_are_refused_with_their_range():
    with pytest.raises(ValueError, match="0 … 255"):
        check_images(torch.arange(256.0).reshape(1, 1, 16, 16))


# to_uint8


def test_8_bit_and_back_is_the_identity():
    grey = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(to_uint8(grey.float() / 127.5 - 1), grey)


def test_8_bit_rounds_to_the_nearest_grey():
    x0 = torch.linspace(-1, 1, 10_001, dtype=torch.float64)
    pixels = to_uint8(x0)
    assert pixels.dtype == torch.uint8 and pixels[0] == 0 and pixels[-1] == 255
    assert ((pixels.double() - (x0 + 1) * 127.5).abs() <= 0.5 + 1e-9).all()


def test_what_lies_outside_is_clipped_to_the_ends():
    assert to_uint8(torch.tensor([-5.0, -1.4, -1.0001, 1.0001, 1.4, 5.0])).tolist() == [0, 0, 0, 255, 255, 255]


def test_pure_noise_can_be_shown():
    noise = torch.randn(10, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(to_uint8(noise), to_uint8(noise.clamp(-1, 1)))


@pytest.mark.parametrize("scale", [(0, 255), (-255, 0), (0, 16)])
def test_another_scale_is_refused_with_its_range(scale):
    x0 = torch.linspace(*scale, 64).reshape(1, 1, 8, 8)
    with pytest.raises(ValueError, match=f"{scale[0]} … {scale[1]}"):
        to_uint8(x0)


def test_no_images_are_no_bytes():
    assert to_uint8(torch.zeros(0, 1, 8, 8)).shape == (0, 1, 8, 8)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_pixel_that_is_not_finite_is_never_turned_into_a_grey(bad):
    x0 = torch.zeros(1, 1, 20, 20)
    x0[0, 0, 3, 3] = bad
    with pytest.raises(ValueError, match="NaN or infinite"):
        to_uint8(x0)


# What is no data


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load(["digits"]), "there is no data set .*choose one of: digits"),
        (lambda: toy("moons", 2.5), "n must be a whole number of at least 1; got 2.5"),
        (lambda: toy("moons", 3, seed=-1), "seed must be a whole number of at least 0; got -1"),
        (lambda: to_levels(torch.zeros(2), 1), "levels must be a whole number of at least 2; got 1"),
        (lambda: to_levels(torch.tensor([float("nan")]), 17), "x0 holds NaN"),
        (lambda: to_uint8(torch.zeros(2, dtype=torch.uint8)), "the images must be floating point"),
        (lambda: fingerprint(torch.zeros(2)), "split must be a Split"),
        (lambda: check_labels(torch.tensor([10]), load("digits")), "labels of digits must lie in 0 … 9; got 10 … 10"),
    ],
)
def test_arguments_of_another_kind_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_labels_are_held_against_a_data_set_and_one_alone_is_looked_at_too():
    with pytest.raises(ValueError, match="dataset must be a Dataset, .*; got 'digits'"):
        check_labels(torch.tensor([1]), "digits")
    with pytest.raises(ValueError, match="labels of digits must lie in 0 … 9; got 11 … 11"):
        check_labels(torch.tensor(11), load("digits"))


def test_numpys_whole_numbers_are_seeds_too():
    assert torch.equal(toy("moons", np.int64(5), np.int64(3)), toy("moons", 5, 3))


# Grey levels as whole numbers


@pytest.mark.parametrize("levels", [2, 3, 17, 255, 256])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_indices_and_images_are_each_others_inverse(levels, dtype):
    index = torch.arange(levels).view(1, 1, 1, levels)
    x0 = from_indices(index, levels)
    assert x0.dtype == torch.float32 and torch.equal(to_levels(x0, levels), x0)
    assert torch.equal(to_indices(x0.to(dtype), levels), index)


def test_images_of_indices_are_exactly_the_datas_own_values():
    x0 = load("digits").train.x0
    assert torch.equal(from_indices(to_indices(x0, 17), 17), x0)
    grey = torch.arange(256)
    assert torch.equal(from_indices(grey, 256), grey / 127.5 - 1)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_indices_of_fewer_bits_are_the_same_levels(dtype):
    index = torch.arange(17)
    assert torch.equal(from_indices(index.to(dtype), 17), from_indices(index, 17))


@pytest.mark.parametrize(
    "index", [torch.tensor([True]), torch.tensor([1.0]), [1], 1, torch.tensor([-1]), torch.tensor([17])]
)
def test_what_are_no_indices_is_refused(index):
    with pytest.raises(ValueError, match="index must"):
        from_indices(index, 17)


@pytest.mark.parametrize("shape", [(1, 8, 7), (3, 8, 8), (8, 8)])
def test_images_of_another_shape_than_the_one_asked_for_are_refused(shape):
    x0 = torch.zeros(2, 1, 8, 8)
    assert check_images(x0, shape=(1, 8, 8)) is x0
    with pytest.raises(ValueError, match=r"^grey images must be images of shape \(batch, .*\); got \(2, 1, 8, 8\)"):
        check_images(x0, "grey images", shape=shape)
