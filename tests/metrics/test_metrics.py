"""The yardsticks, against closed forms and against cases whose answer is known."""

import math

import numpy as np
import pytest
import torch

from course_lib.data import load
from course_lib.metrics import (
    Features,
    condition_accuracy,
    frechet_distance,
    frechet_draws,
    measure,
    measure_reference,
    nearest_distance,
    precision_recall,
    quality,
    scoreboard,
    suspicious,
)
from course_lib.metrics.features import classify
from course_lib.models import generate
from course_lib.training import CheckpointError, load_trained

G = torch.Generator().manual_seed


def normal(n, d, seed):
    return torch.randn(n, d, generator=G(seed), dtype=torch.float64)


def whitened(n, d, seed):
    """n vectors whose sample mean is exactly 0 and whose sample covariance is exactly the identity."""
    x = normal(n, d, seed)
    x = x - x.mean(0)
    return x @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T


def test_between_gaussians_of_diagonal_covariance_it_is_the_closed_form():
    a, b = torch.tensor([1.0, 2.0, 0.5]).double(), torch.tensor([0.3, 2.5, 4.0]).double()
    shift = torch.tensor([0.0, 1.0, -2.0]).double()
    found = frechet_distance(whitened(100, 3, 0) * a, whitened(80, 3, 1) * b + shift)
    assert found.distance == pytest.approx((shift.square().sum() + (a - b).square().sum()).item(), rel=1e-9)
    assert (found.n_a, found.n_b) == (100, 80)


def test_for_general_covariances_it_is_the_formula_with_scipys_matrix_root():
    from scipy.linalg import sqrtm

    a, b = normal(200, 6, 0) @ normal(6, 6, 1), normal(300, 6, 2) @ normal(6, 6, 3) + 0.4
    c_a, c_b = torch.cov(a.T), torch.cov(b.T)
    root = torch.as_tensor(sqrtm((c_a @ c_b).numpy()).real)
    expected = (a.mean(0) - b.mean(0)).square().sum() + (c_a + c_b - 2 * root).trace()
    assert frechet_distance(a, b).distance == pytest.approx(expected.item(), rel=1e-8)


def test_it_is_symmetric_and_0_for_the_same_vectors_also_with_fewer_vectors_than_features():
    a, b = normal(30, 50, 0), normal(40, 50, 1) + 1
    assert frechet_distance(a, b).distance == pytest.approx(frechet_distance(b, a).distance, rel=1e-6)
    assert frechet_distance(a, a).distance == pytest.approx(0, abs=1e-5)


def test_fewer_samples_make_it_larger_so_draws_fix_their_number():
    x, y = normal(4000, 20, 0), normal(4000, 20, 1)
    few, many = frechet_draws(x, y, n=100).mean(), frechet_draws(x, y, n=2000).mean()
    assert few > 5 * many
    assert frechet_draws(x, y, n=100).shape == (10,)
    assert torch.equal(frechet_draws(x, y, n=100, seed=3), frechet_draws(x, y, n=100, seed=3))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.zeros(1, 3), torch.zeros(5, 3), r"a must be \(n > 1, 3\)"),
        (torch.zeros(5, 4), torch.zeros(5, 3), r"got \(5, 4\)"),
        (torch.full((5, 3), float("nan")), torch.zeros(5, 3), "NaN"),
    ],
)
def test_features_that_can_not_be_compared_are_errors(a, b, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, b)


def test_too_few_images_for_a_draw_is_an_error():
    with pytest.raises(ValueError, match="each side needs 500 samples or more; got 499"):
        frechet_draws(torch.zeros(499, 2), torch.zeros(600, 2))


def test_the_nearest_distance_is_0_for_a_copy_and_the_rms_for_a_shift():
    training = 2 * torch.rand(40, 1, 8, 8, generator=G(0)) - 1
    assert nearest_distance(training[5:9], training).max() < 1e-3
    assert nearest_distance(training[:1] + 0.01, training).item() == pytest.approx(0.01, rel=1e-2)


def test_the_stored_reference_is_what_training_and_held_out_digits_give():
    digits, features = load("digits"), Features("digits")
    measured = frechet_draws(features(digits.train.x0), features(digits.held_out.x0)).mean().item()
    assert features.reference == pytest.approx(measured, rel=0.02)
    assert features(digits.held_out.x0[:7]).shape == (7, 64)


def test_the_feature_network_tells_unseen_digits_apart():
    held_out = load("digits").held_out
    right = Features("digits").trained.model.logits(held_out.x0).argmax(1) == held_out.label
    assert right.double().mean() > 0.97


def test_what_evaluate_stores_with_the_feature_network_is_measured_between_training_and_held_out_images():
    digits, trained = load("digits"), load_trained("features-digits")
    found = measure_reference(trained, digits)
    assert found["reference"]["fd"] == pytest.approx(trained.card["reference"]["fd"], rel=1e-3)
    assert found["reference"]["spread"] == pytest.approx(trained.card["reference"]["spread"], rel=1e-2)
    assert found["accuracy"] == pytest.approx(trained.card["accuracy"], abs=2 / 500)


def test_features_come_in_batches_of_images_kept_inside_the_range():
    features, x0 = Features("digits"), load("digits").train.x0
    assert torch.equal(features(3 * x0), features((3 * x0).clamp(-1, 1)))
    assert torch.equal(classify(features.trained, 3 * x0), classify(features.trained, (3 * x0).clamp(-1, 1)))
    torch.testing.assert_close(features(x0)[1000:], features(x0[1000:]))
    assert not features(x0).requires_grad


def test_digits_are_of_the_class_they_were_asked_for_and_with_labels_drawn_at_random_one_in_ten_is():
    held_out = load("digits").held_out
    real = condition_accuracy(held_out.x0, held_out.label, "digits")
    assert real.accuracy == real.held_out and real.n == 500
    label = torch.randint(10, (500,), generator=G(0))
    found = condition_accuracy(held_out.x0, label, "digits")
    assert found.standard_error == pytest.approx(math.sqrt(found.accuracy * (1 - found.accuracy) / 500))
    assert abs(found.accuracy - 0.1) < 4 * math.sqrt(0.09 / 500)


@pytest.mark.parametrize("n", [0, 6])
def test_a_condition_needs_a_label_for_each_image(n):
    with pytest.raises(ValueError, match=f"got {n} images and 5 labels" if n else "got 0 images and 0 labels"):
        condition_accuracy(torch.zeros(n, 1, 8, 8), torch.zeros(5 if n else 0), "digits")


def test_training_digits_have_an_fd_ratio_of_1_and_are_found_to_be_copies():
    found = quality(load("digits").train.x0, "digits")
    assert abs(found.fd_ratio - 1) < 3 * found.spread / math.sqrt(found.draws) + 0.02
    assert found.over_seeds.real == 1, "the reference is the training images' own distance"
    digits = load("digits")
    assert found.nearest < 1e-3
    assert found.copies.exact == 1297 and found.leaks.exact == 0
    assert found.leaks.median == nearest_distance(digits.train.x0, digits.held_out.x0).median().item()
    assert found.nearest_held_out == nearest_distance(digits.held_out.x0, digits.train.x0).mean().item()
    assert "FD ratio" in str(found) and "500" in str(found)


def test_the_fd_ratio_and_its_spread_are_mean_and_standard_deviation_over_draws_in_units_of_the_reference():
    digits, features = load("digits"), Features("digits")
    x0 = digits.train.x0[:700]
    fd, found = frechet_draws(features(x0), features(digits.held_out.x0)) / features.reference, quality(x0, "digits")
    assert found.fd_ratio == pytest.approx(fd.mean().item(), rel=1e-12)
    assert found.spread == pytest.approx(fd.std().item(), rel=1e-12)
    assert found.fd == pytest.approx(found.fd_ratio * features.reference, rel=1e-12)


def test_what_real_images_have_is_measured_over_fresh_splits_of_all_of_them():
    digits, features = load("digits"), Features("digits")
    training, held_out = digits.train.x0, digits.held_out.x0
    everything = torch.cat([training, held_out])
    found = quality(training[:500], "digits")

    def some(x, n, seed):
        return x[np.random.RandomState(seed).permutation(len(x))[:n]]

    shuffled = features(some(everything, len(everything), 0))
    fd = [frechet_distance(*some(shuffled, 1000, seed).split(500)).distance for seed in range(40)]
    assert found.over_seeds.real_spread == pytest.approx(np.std(fd, ddof=1) / features.reference)
    real = [precision_recall(some(training, 500, seed), some(held_out, 500, 0)) for seed in range(5)]
    splits = [
        precision_recall(*(some(side, 500, 0) for side in some(everything, 1000, seed).split(500)))
        for seed in range(10)
    ]
    own = precision_recall(some(training[:500], 500, 0), some(held_out, 500, 0))
    for i, score in enumerate((found.precision, found.recall)):
        assert score.mean == pytest.approx(own[i])
        assert score.real == pytest.approx(np.mean(real, axis=0)[i])
        assert score.real_spread == pytest.approx(np.std(splits, axis=0, ddof=1)[i])


def test_points_in_the_plane_are_their_own_features():
    moons, features = load("moons"), Features("moons")
    assert features(moons.train.x0) is moons.train.x0
    assert features.reference == frechet_draws(moons.train.x0, moons.held_out.x0).mean().item()


def test_several_sets_are_averaged_and_their_spread_is_over_the_sets():
    sets = load("digits").train.x0[:1200].split(600)
    both, single = quality(sets, "digits"), [quality(x0, "digits") for x0 in sets]
    for score in ("over_seeds", "precision", "recall", "c2st"):
        each = torch.tensor([getattr(found, score).mean for found in single], dtype=torch.float64)
        assert getattr(both, score).mean == pytest.approx(each.mean().item())
        assert getattr(both, score).spread == pytest.approx(each.std().item())
        assert getattr(single[0], score).spread is None
    assert both.fd_ratio == both.over_seeds.mean
    assert both.spread == pytest.approx((single[0].spread + single[1].spread) / 2)
    assert both.seeds == 2 and both.images == both.copies.exact == 1200


def test_every_image_is_looked_at_wherever_it_lies():
    x0 = torch.full((1800, 1, 8, 8), -1.0)
    x0[1700:] = load("digits").train.x0[:100]
    found = quality(x0, "digits")
    assert found.copies.exact == 100 and found.copies.share == 100 / 1800


def test_the_judges_see_the_grey_levels_and_not_the_decimals():
    x0 = load("digits").train.x0
    between = (x0 + 0.06 * (2 * torch.rand(x0.shape, generator=G(0)) - 1)).clamp(-1, 1)
    exact, blurred = quality(x0, "digits"), quality(between, "digits")
    assert (exact.precision, exact.recall, exact.c2st) == (blurred.precision, blurred.recall, blurred.c2st)
    assert blurred.copies.exact == len(x0)


@pytest.mark.parametrize("worse", ["noisy", "blurred", "one class", "noise"])
def test_worse_images_have_a_worse_fd_ratio(worse):
    digits = load("digits")
    x0 = digits.train.x0
    spoiled = {
        "noisy": x0 + 0.4 * torch.randn(x0.shape, generator=G(0)),
        "blurred": torch.nn.functional.avg_pool2d(x0, 3, 1, 1),
        "one class": x0[digits.train.label < 4],
        "noise": 2 * torch.rand(x0.shape, generator=G(0)) - 1,
    }[worse]
    assert quality(spoiled.clamp(-1, 1), "digits").fd_ratio > 3


def test_images_of_another_shape_and_data_without_an_eye_are_errors():
    with pytest.raises(ValueError, match=r"digits have the shape \(1, 8, 8\)"):
        quality(torch.zeros(600, 1, 28, 28), "digits")
    with pytest.raises(ValueError, match="no set of generated images"):
        quality([], "digits")
    with pytest.raises(CheckpointError, match="features-photos"):
        Features("photos")


@pytest.fixture(scope="module")
def shipped():
    """Images of the shipped digit model from three seeds."""
    trained = load_trained("ddpm-digits")
    return [generate(trained.model, 500, steps=10, seed=seed) for seed in (7, 8, 9)]


def test_the_shipped_digit_model_is_as_good_as_its_recipe_says_and_makes_new_images(shipped):
    metrics = load_trained("ddpm-digits").card["metrics"]
    claimed = next(m for name, m in metrics.items() if name.startswith("steps=10,"))
    found = quality(shipped, "digits")
    assert found.fd_ratio < 2.5
    assert abs(found.fd_ratio - claimed["fd_ratio"]) < 4 * math.hypot(found.over_seeds.spread, claimed["spread"])
    assert found.nearest > 0.8 * found.nearest_held_out, "the model repeats its training images"
    assert not [reason for reason in suspicious(found) if "copies" in reason or "twins" in reason]
    assert found.c2st.mean < 0.7, "a Gaussian a class has more than that"


def test_copies_among_the_shipped_models_images_show_though_they_improve_its_fd_ratio(shipped):
    mixed = [torch.cat([x0[:250], load("digits").train.x0[250 * i :][:250]]) for i, x0 in enumerate(shipped)]
    found = quality(mixed, "digits")
    assert found.fd_ratio < quality(shipped, "digits").fd_ratio
    assert found.copies.exact == 750 and any(reason.startswith("near copies") for reason in suspicious(found))


def test_generated_images_are_the_same_for_the_same_seed_and_others_for_another():
    trained = load_trained("ddpm-digits")
    a, b = (generate(trained.model, 6, steps=4, seed=3) for _ in range(2))
    assert torch.equal(a, b) and a.abs().max() <= 1 and a.shape == (6, 1, 8, 8)
    assert not torch.allclose(a, generate(trained.model, 6, steps=4, seed=4))


def test_500_images_are_judged_in_one_draw_which_has_no_spread():
    digits = load("digits")
    found = quality(digits.train.x0[:500], "digits")
    assert (found.spread, found.draws) == (None, 1) and "(1 draw of 500)" in str(found)
    with pytest.raises(ValueError, match="the same in every draw, and have no spread: take draws=1"):
        frechet_draws(digits.train.x0[:500].flatten(1), digits.held_out.x0.flatten(1))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ("digits", "samples must be images, or a list of sets of images; got 'digits'"),
        (["digits"], "each set of generated images must be a tensor; got 'digits'"),
        (torch.zeros(500, 1, 8, 8, dtype=torch.uint8), "must be floating point"),
        (torch.full((500, 1, 8, 8), 255.0), r"must lie in \[-1, 1\]; got 255 … 255"),
        (torch.full((500, 1, 8, 8), math.nan), r"must lie in \[-1, 1\]"),
        (torch.zeros(499, 1, 8, 8), "500 images or more.*got 499"),
    ],
)
def test_what_are_no_generated_images_are_not_judged(samples, message):
    with pytest.raises(ValueError, match=message):
        quality(samples, "digits")


@pytest.mark.parametrize("label", [torch.arange(10, 16), torch.zeros(6), [1] * 6])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(ValueError, match="label"):
        condition_accuracy(torch.zeros(6, 1, 8, 8), label, "digits")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x0: 127.5 * x0 + 127.5, r"images must be on the scale \[-1, 1\]; got 0 … 255"),
        (lambda x0: math.nan * x0, "the images hold NaN or infinite values"),
        (lambda x0: x0[:, :, :7, :7], r"x0 must be of the shape \(n, \*\(1, 8, 8\)\); got \(9, 1, 7, 7\)"),
        (lambda x0: x0.numpy(), "x0 must be a tensor; got an object of type ndarray"),
        (lambda x0: "digits", "x0 must be a tensor; got 'digits'"),
    ],
)
def test_features_are_not_read_off_what_are_no_images_of_the_data(spoil, message):
    with pytest.raises(ValueError, match=message):
        Features("digits")(spoil(load("digits").held_out.x0[:9]))


def test_points_are_features_where_they_are_points():
    with pytest.raises(ValueError, match=r"x0 must be of the shape \(n, \*\(2,\)\)"):
        Features("moons")(normal(9, 3, 0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 100}, "n must be a whole number of at least 500; got 100"),
        ({"device": "gpu"}, "there is no device 'gpu'; choose auto"),
    ],
)
def test_what_can_not_be_judged_is_said_before_an_image_is_made(monkeypatch, options, message):
    monkeypatch.setattr(scoreboard, "generate", None)
    with pytest.raises(ValueError, match=message):
        measure(load_trained("ddpm-digits"), **options)


@pytest.mark.parametrize(("name", "data"), [("ddpm-digits", "digits"), ("features-digits", "moons")])
def test_a_reference_is_measured_of_a_classifier_and_its_own_data(name, data):
    with pytest.raises(ValueError, match=rf"a reference is measured of a classifier .*; got {name} and {data}"):
        measure_reference(load_trained(name), load(data))
