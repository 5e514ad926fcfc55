"""The models of lesson 01 and 01b, against SciPy, scikit-learn, enumeration, and what their samples say."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import CategoricalNB
from torch.nn import functional as F

from course_lib.data import load, to_indices
from course_lib.metrics import measure_loss
from course_lib.models import Autoencoder, Autoregressive, CodeGaussian, Mixture, NaiveBayes, PCAGaussian, generate
from course_lib.models.gaussians import dequantized
from course_lib.models.mixture import log_joint, maximized, responsibilities
from course_lib.training import load_trained

SHAPE = (1, 8, 8)


def g(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module", name="digits")
def _digits():
    return load("digits")


# Naive Bayes


@pytest.fixture(scope="module", name="naive")
def _naive(digits):
    model = NaiveBayes(SHAPE, 17)
    model.fit(digits.train.x0, digits.train.label, g())
    return model


def levels_of(x0):
    return ((x0.flatten(1) + 1) * 8).round().long()


def test_naive_bayes_classifies_as_scikit_learn(naive, digits):
    theirs = CategoricalNB(alpha=0.1, min_categories=17).fit(levels_of(digits.train.x0), digits.train.label)
    expected = theirs.predict_proba(levels_of(digits.held_out.x0))
    assert np.allclose(naive.classify(digits.held_out.x0), expected, atol=1e-4)


def test_naive_bayes_samples_as_often_as_its_tables_say(naive):
    x0 = generate(naive, 6000, seed=1, cond=torch.full((6000,), 3))
    found = F.one_hot(levels_of(x0), 17).float().mean(0)
    expected = naive.log_level[3].exp()
    assert ((found - expected).abs() < 5 * (expected * (1 - expected) / 6000).sqrt() + 1e-3).all()
    classes = naive.classify(generate(naive, 2000, seed=2)).argmax(1)
    assert torch.bincount(classes, minlength=10).min() > 100


def test_naive_bayes_without_a_class_is_the_sum_over_all_classes(naive, digits):
    x0, label = digits.held_out.x0[:50], digits.held_out.label[:50]
    joint = torch.stack([naive(x0[i : i + 1], torch.tensor([k])) for i in range(50) for k in range(10)]).view(50, 10)
    assert torch.allclose((-joint).logsumexp(1).mean(), -naive(x0), rtol=1e-5)
    assert torch.allclose(naive(x0, label), joint[torch.arange(50), label].mean(), rtol=1e-5)
    bits = naive.bits_per_dim(x0, 17, g())
    assert torch.allclose(bits, -(-joint).logsumexp(1) / (64 * math.log(2)), rtol=1e-4)


def test_the_probabilities_of_all_tiny_images_add_up_to_1():
    model = NaiveBayes((1, 1, 3), 3, classes=2)
    every = torch.tensor(list(itertools.product((-1.0, 0.0, 1.0), repeat=3))).view(-1, 1, 1, 3)
    model.fit(every[::2], torch.arange(len(every[::2])) % 2, g())
    assert model.log_joint(every).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_naive_bayes_draws_classes_as_often_as_they_occur():
    model = NaiveBayes((1, 1, 1), levels=2, classes=2)
    model.fit(torch.tensor([-1.0] * 8 + [1.0] * 2).view(-1, 1, 1, 1), torch.tensor([0] * 8 + [1] * 2), g())
    white = 0.8 * 0.1 / 8.2 + 0.2 * 2.1 / 2.2
    found = (generate(model, 10_000, seed=0) > 0).float().mean().item()
    assert abs(found - white) < 5 * (white * (1 - white) / 10_000) ** 0.5


def test_before_counting_all_tiny_images_are_equally_probable():
    every = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3))).view(-1, 1, 1, 3)
    assert torch.allclose(NaiveBayes((1, 1, 3), levels=2, classes=4).log_joint(every).exp(), torch.tensor(1 / 32))


def test_naive_bayes_must_add_something_to_each_count():
    with pytest.raises(ValueError, match="smoothing must be"):
        NaiveBayes(SHAPE, 17, smoothing=0)


# Gaussians


@pytest.mark.parametrize("k", [1, 20, 63])
def test_the_density_of_pca_and_gaussian_is_scipys(digits, k):
    model = PCAGaussian(SHAPE, k, levels=17)
    model.fit(digits.train.x0, None, g(3))
    x = dequantized(digits.train.x0, 17, g(3)).flatten(1).double().numpy()
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    rest = values[: 64 - k].mean()
    cov = (vectors[:, 64 - k :] * (values[64 - k :] - rest)) @ vectors[:, 64 - k :].T + rest * np.eye(64)
    expected = multivariate_normal(x.mean(0), cov).logpdf(digits.held_out.x0.flatten(1))
    assert np.allclose(model.log_prob(digits.held_out.x0), expected, rtol=2e-4)


def test_the_loss_of_a_density_is_minus_the_mean_of_its_logarithm_per_image():
    x = torch.randn(300, 3, generator=g(1)) * torch.tensor([1.0, 2.0, 0.5]) + 1
    for model in (PCAGaussian((3,), 2), Mixture((3,), 1, ridge=0.0, rounds=1)):
        model.fit(x, None, g())
        exact = multivariate_normal(x.double().mean(0), np.cov(x.double().T, bias=True)).logpdf(x).mean()
        assert model(x).item() == pytest.approx(-exact, rel=1e-4)


@pytest.mark.parametrize("make", [lambda **a: PCAGaussian(k=1, **a), lambda **a: Mixture(components=2, rounds=1, **a)])
def test_images_end_at_black_and_white_and_points_do_not(make):
    far = 3 * torch.randn(200, 1, 1, 2, generator=g(1))
    images, points = make(shape=(1, 1, 2), levels=17), make(shape=(1, 1, 2))
    for model in (images, points):
        model.fit(far, None, g())
    assert generate(images, 300, seed=0).abs().max() == 1 and generate(points, 300, seed=0).abs().max() > 2


@pytest.mark.parametrize("make", [lambda: PCAGaussian(SHAPE, 2), lambda: Mixture(SHAPE, 2)])
@pytest.mark.parametrize("shape", [(64,), (1, 64), (1, 4, 16), (1, 28, 28)])
def test_a_density_refuses_images_of_another_shape_even_with_as_many_pixels(make, shape):
    with pytest.raises(ValueError, match="x0 must be of shape"):
        make().log_prob(torch.zeros(3, *shape))


def test_samples_of_pca_and_gaussian_have_its_mean_and_covariance():
    x = torch.randn(4000, 5, generator=g(4)) @ torch.randn(5, 5, generator=g(5)) + 3
    model = PCAGaussian((5,), 2)
    model.fit(x, None, g())
    drawn = model.sample(60_000, g(6))
    spread = model.directions @ torch.diag(
        model.variances - model.sigma2
    ) @ model.directions.T + model.sigma2 * torch.eye(5)
    assert torch.allclose(drawn.mean(0), model.mean, atol=0.06)
    assert torch.allclose(torch.cov(drawn.T), spread, atol=0.03 * spread.abs().max())
    assert torch.allclose(
        model.sample(3, g(6), noise=0.0), model.decode(model.encode(model.sample(3, g(6), noise=0.0))), atol=1e-4
    )


def test_a_picture_of_the_plane_is_its_own_reconstruction_and_others_move_nearer(digits):
    model = PCAGaussian(SHAPE, 10, levels=17)
    model.fit(digits.train.x0, None, g())
    x0 = digits.held_out.x0
    back = model.decode(model.encode(x0))
    assert torch.allclose(model.decode(model.encode(back)), back, atol=1e-5)
    assert (back - x0).square().mean() < (x0 - x0.mean(0)).square().mean()


@pytest.mark.parametrize("k", [0, 64, -1])
def test_a_plane_has_fewer_directions_than_there_are_pixels(k):
    with pytest.raises(ValueError, match="k must lie in 1 … 63"):
        PCAGaussian(SHAPE, k)


@pytest.mark.parametrize("components", [1, 3])
def test_em_walks_as_scikit_learns_and_never_down(components):
    x = torch.cat(
        [torch.randn(300, 2, generator=g(7)).double() - 2, 0.5 * torch.randn(200, 2, generator=g(8)).double() + 1]
    )
    start = torch.cov(x.T, correction=0)
    parts = (
        torch.full((components,), 1 / components, dtype=torch.float64),
        x[:components],
        start.repeat(components, 1, 1),
    )
    theirs = GaussianMixture(
        components, reg_covar=1e-3, max_iter=25, tol=0, weights_init=parts[0].numpy(), means_init=parts[1].numpy(),
        precisions_init=torch.linalg.inv(parts[2]).numpy(),
    )  # fmt: skip
    with pytest.warns(match="did not converge"):
        theirs.fit(x.numpy())
    heights = []
    for _ in range(25):
        heights.append(log_joint(x, *parts).logsumexp(1).mean())
        parts = maximized(x, responsibilities(x, *parts), ridge=1e-3)
    for ours, other in zip(parts, (theirs.weights_, theirs.means_, theirs.covariances_), strict=True):
        assert np.allclose(ours, other, atol=1e-8)
    assert (torch.stack(heights).diff() > -1e-3).all()


@pytest.mark.parametrize("rounds", [0, 1, 7])
def test_a_mixture_is_scikit_learns_from_the_same_start_in_fit_density_and_posterior(rounds):
    x = torch.randn(400, 2, generator=g(3)) * torch.tensor([1.0, 0.4]) + torch.randint(2, (400, 1), generator=g(4))
    model = Mixture((2,), components=3, ridge=0.05, rounds=rounds)
    model.fit(x, None, g(5))
    start = torch.linalg.inv(torch.cov(x.double().T, correction=0) + 0.05 * torch.eye(2)).numpy()
    theirs = GaussianMixture(
        3, reg_covar=0.05, max_iter=max(1, rounds), tol=0, weights_init=[1 / 3] * 3,
        means_init=x[torch.randperm(400, generator=g(5))[:3]], precisions_init=[start] * 3,
    )  # fmt: skip
    with pytest.warns(match="did not converge"):
        theirs.fit(x.double().numpy())
    if rounds == 0:  # they have no fit without a round
        theirs.weights_, theirs.means_ = np.full(3, 1 / 3), x[torch.randperm(400, generator=g(5))[:3]].double().numpy()
        theirs.precisions_cholesky_ = np.stack([np.linalg.cholesky(start)] * 3)
    assert np.allclose(model.log_prob(x), theirs.score_samples(x.double()), atol=1e-4)
    assert np.allclose(model.posterior(x), theirs.predict_proba(x.double()), atol=1e-4)


def test_samples_of_a_mixture_have_its_weights_means_and_covariances():
    model = Mixture((2,), components=2)
    model.weights.copy_(torch.tensor([0.8, 0.2]))
    model.means.copy_(torch.tensor([[-20.0, 0.0], [20.0, 5.0]]))
    model.covariances.copy_(torch.tensor([[[4.0, 1.5], [1.5, 1.0]], [[0.25, -0.1], [-0.1, 9.0]]]))
    x = generate(model, 20_000, seed=0)
    for k, part in enumerate((x[x[:, 0] < 0], x[x[:, 0] > 0])):
        assert len(part) / 20_000 == pytest.approx(model.weights[k].item(), abs=0.015)
        assert torch.allclose(part.mean(0), model.means[k], atol=0.2)
        assert torch.allclose(torch.cov(part.T), model.covariances[k], rtol=0.1, atol=0.05)


def test_a_component_that_answers_for_no_point_stays_finite():
    x, r = torch.randn(20, 2, generator=g()).double(), torch.tensor([[1.0, 0.0]]).double().repeat(20, 1)
    weights, means, covariances = maximized(x, r, ridge=0.1)
    assert means.isfinite().all() and covariances.isfinite().all()
    assert weights[0].item() == pytest.approx(1) and 0 < weights[1] < 1e-12


def test_a_mixture_with_fewer_points_than_components_is_refused():
    with pytest.raises(ValueError, match="5 components need as many points to start from; got 4"):
        Mixture((2,), components=5).fit(torch.randn(4, 2, generator=g()), None, g())


def test_a_mixture_of_images_is_fitted_to_grey_values_spread_over_their_bins():
    black = -torch.ones(500, 1, 1, 2)
    model = Mixture((1, 1, 2), components=1, levels=3, ridge=0.0, rounds=1)
    model.fit(black, None, g())
    assert torch.allclose(model.covariances[0].diagonal(), torch.tensor(1 / 12), rtol=0.1)


def test_a_mixture_of_one_component_is_the_gaussian_of_the_data():
    x = torch.randn(500, 3, generator=g(9)) * torch.tensor([1.0, 2.0, 0.5]) + 1
    model = Mixture((3,), components=1, ridge=0.0, rounds=2)
    model.fit(x, None, g())
    assert torch.allclose(model.means[0], x.mean(0), atol=1e-5)
    assert torch.allclose(model.covariances[0], torch.cov(x.T, correction=0), atol=1e-5)


def test_a_mixture_finds_eight_heaps_and_samples_them():
    data = load("eight_gaussians")
    model = Mixture((2,), components=8, ridge=1e-4, rounds=80)
    model.fit(data.train.x0[:3000], None, g(1))
    truth = torch.stack([data.train.x0[data.train.label == k].mean(0) for k in range(8)])
    drawn = generate(model, 4000, seed=0)
    to_heap = torch.cdist(drawn, truth)
    assert (to_heap.min(1).values < 0.6).float().mean() > 0.95
    assert torch.bincount(to_heap.argmin(1), minlength=8).min() > 250
    assert model.log_prob(data.held_out.x0).mean() > -1.6


def test_dequantized_values_stay_in_their_bins_and_fill_them(digits):
    x0 = digits.train.x0[:200]
    moved = (dequantized(x0, 17, g()) - x0) * 16
    assert moved.abs().max() <= 1 and abs(moved.var().item() - 1 / 3) < 0.01
    assert dequantized(x0, None, g()) is x0


@pytest.mark.parametrize(
    "make", [lambda: PCAGaussian(SHAPE, 20, levels=17), lambda: Mixture(SHAPE, 3, levels=17, rounds=5)]
)
def test_bits_of_a_density_bound_the_probability_of_a_discrete_image(digits, make):
    model = make()
    model.fit(digits.train.x0, None, g())
    bits = model.bits_per_dim(digits.held_out.x0, 17, g())
    x = dequantized(digits.held_out.x0, 17, g())
    assert torch.allclose(bits, -(model.log_prob(x) / 64 + math.log(1 / 8)) / math.log(2), rtol=1e-5)
    assert bits.shape == (500,) and bits.mean() < math.log2(17)


# The autoencoder


def test_codes_are_drawn_from_a_gaussian_with_their_mean_and_covariance(digits):
    torch.manual_seed(0)
    ae = Autoencoder(SHAPE, k=2, width=16)
    model = CodeGaussian(ae)
    with torch.no_grad():
        model.fit(digits.train.x0, None, g())
        z = ae.encode(digits.train.x0)
    assert torch.allclose(model.mean, z.mean(0), atol=1e-5) and torch.allclose(
        model.root @ model.root.T, torch.cov(z.T), atol=1e-5
    )
    eps = torch.randn(16, 2, generator=g(5))
    assert torch.allclose(generate(model, 16, seed=5), ae.decode(model.mean + eps @ model.root.T), atol=1e-6)


def test_the_loss_of_an_autoencoder_is_the_squared_error_per_image(digits):
    torch.manual_seed(0)
    ae, x0 = Autoencoder(SHAPE, k=3, width=16), digits.train.x0[:7]
    back = ae.decode(ae.encode(x0))
    assert torch.allclose(ae(x0), sum((a - b).square().sum() for a, b in zip(back, x0, strict=True)) / 7)
    assert ae.encode(x0).shape == (7, 3) and back.shape == x0.shape and back.abs().max() <= 1


def test_the_covariance_of_few_codes_is_the_unbiased_one(digits):
    model = CodeGaussian(load_trained("autoencoder-digits").model)
    with torch.no_grad():
        model.fit(digits.train.x0[:6], None, g())
        z = model.autoencoder.encode(digits.train.x0[:6])
    assert np.allclose(model.root @ model.root.T, np.cov(z.T), rtol=1e-3)


def test_the_loss_of_the_codes_is_minus_the_log_of_their_gaussian(digits):
    torch.manual_seed(0)
    model, x0 = CodeGaussian(Autoencoder(SHAPE, k=2, width=16)), digits.train.x0
    with torch.no_grad():
        model.fit(x0, None, g())
        z = model.autoencoder.encode(x0).double()
        exact = multivariate_normal(z.mean(0), np.cov(z.T)).logpdf(z).mean()
        assert model(x0).item() == pytest.approx(-exact, rel=1e-3)


def test_codes_and_pictures_end_at_1_smoothly_however_large_the_weights_are(digits):
    torch.manual_seed(0)
    ae = Autoencoder(SHAPE, k=2, width=16)
    with torch.no_grad():
        ae.encoder[-2].bias += torch.tensor([2.0, -2.0])
        ae.decoder[-3].bias += 2
        codes = ae.encode(digits.train.x0[:50])
        pictures = ae.decode(codes)
    assert codes.abs().min() > 0.9 and codes.abs().max() < 1 and pictures.min() > 0.9 and pictures.max() < 1


def test_the_loss_moves_the_encoder_and_the_decoder(digits):
    torch.manual_seed(0)
    ae = Autoencoder(SHAPE, k=2, width=16)
    ae(digits.train.x0[:50]).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in ae.parameters())


@pytest.mark.parametrize(
    "make",
    [lambda: NaiveBayes(SHAPE, 17), lambda: Autoencoder(SHAPE, 2, 8), lambda: Autoregressive(SHAPE, 17, 4, 1)],
)
@pytest.mark.parametrize("shape", [(1, 8, 7), (1, 4, 16), (3, 8, 8)])
def test_images_of_another_shape_are_refused_even_with_as_many_pixels(make, shape):
    with pytest.raises(ValueError, match="x0 must be images of shape"):
        make()(torch.zeros(3, *shape))


# One pixel after the other


@pytest.fixture(name="painter")
def _painter():
    torch.manual_seed(1)
    return Autoregressive((1, 3, 3), levels=2, width=8, depth=2)


def test_the_probabilities_of_all_images_add_up_to_1_and_samples_come_as_often(painter):
    every = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=9))).view(-1, 1, 3, 3)
    log_p = painter.log_prob(every)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-5)
    drawn = generate(painter, 8000, seed=3)
    found = (drawn[:, None] == every).flatten(2).all(-1).float().mean(0)
    assert (found - log_p.exp()).abs().max() < 5 * (log_p.exp().max() / 8000).sqrt()


@pytest.mark.parametrize("at", range(0, 64, 7))
def test_an_answer_does_not_see_its_own_pixel_nor_a_later_one(at):
    torch.manual_seed(2)
    model = Autoregressive(SHAPE, levels=5, width=8, depth=3)
    level = torch.randint(5, (1, 8, 8), generator=g(at))
    other = level.clone()
    other.flatten()[at:] = (other.flatten()[at:] + 1) % 5
    answers, others = (model.net(each).flatten(2) for each in (level, other))
    assert torch.equal(answers[..., : at + 1], others[..., : at + 1])
    if at + 1 < 64:
        assert not torch.equal(answers[..., at + 1 :], others[..., at + 1 :])


def test_temperature_0_is_the_most_probable_grey_value_each_time(painter):
    (image,) = generate(painter, 5, seed=0, temperature=0.0).unique(dim=0)
    level = ((image[None, 0] + 1) / 2).long()
    assert torch.equal(painter.net(level).argmax(1), level)
    assert len(generate(painter, 50, seed=0).unique(dim=0)) > 20


def test_bits_are_those_of_the_pixels_one_by_one(painter):
    x0 = 2 * torch.randint(2, (4, 1, 3, 3), generator=g(4)).float() - 1
    level = ((x0[:, 0] + 1) / 2).long()
    picked = painter.net(level).log_softmax(1).gather(1, level[:, None])
    assert torch.allclose(painter.bits_per_dim(x0, 2, g()), -picked.flatten(1).mean(1) / math.log(2))
    assert torch.allclose(painter(x0), -picked.flatten(1).sum(1).mean())


def test_dropout_takes_whole_channels_and_keeps_their_mean_and_the_order():
    torch.manual_seed(5)
    model = Autoregressive(SHAPE, levels=5, width=8, depth=3, dropout=0.4)
    keep = model.draw((4000, 1, 8, 8), g(1), torch.device("cpu"))["keep"]
    assert keep.shape == (4000, 3, 8) and keep.unique().tolist() == [0, pytest.approx(1 / 0.6)]
    assert abs(keep.mean().item() - 1) < 5 * (0.4 / 0.6 / keep.numel()) ** 0.5
    level = torch.randint(5, (2, 8, 8), generator=g(2))
    other = level.clone()
    other[:, 4:] = (other[:, 4:] + 1) % 5
    answers, others = (model.net(each, keep[:2]).flatten(2) for each in (level, other))
    assert torch.equal(answers[..., :33], others[..., :33]) and not torch.equal(answers, others)
    assert not torch.equal(answers, model.net(level).flatten(2))


def test_without_dropout_a_training_step_sees_all_channels(digits):
    torch.manual_seed(6)
    model, x0 = Autoregressive(SHAPE, levels=17, width=8, depth=2), digits.train.x0[:5]
    assert torch.equal(model(x0, **model.draw(x0.shape, g(), torch.device("cpu"))), model(x0))


def test_an_answer_sees_every_pixel_before_it_in_reach():
    torch.manual_seed(3)
    model = Autoregressive((1, 5, 5), levels=2, width=8, depth=1)
    level, seen = torch.zeros(1, 5, 5, dtype=torch.long), []
    for at in range(25):
        other = level.clone()
        other.flatten()[at] = 1
        if not torch.equal(model.net(level)[..., 2, 2], model.net(other)[..., 2, 2]):
            seen.append(at)
    assert seen == list(range(12))


def test_a_layer_adds_what_it_makes_of_its_own_place_to_what_it_was_given():
    torch.manual_seed(3)
    model = Autoregressive((1, 5, 5), levels=2, width=8, depth=1)
    level, (layer,) = torch.randint(2, (2, 5, 5), generator=g()), model.net.layers
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, :, 1, 1] = 2 * torch.eye(8)
        layer.bias.fill_(0.5)
        h = model.net.first(F.one_hot(level, 2).movedim(-1, 1).float())
        assert torch.allclose(model.net(level), model.net.out(F.silu(h + 2 * F.silu(h) + 0.5)), atol=1e-6)


def test_the_loss_of_a_training_step_sees_the_channels_that_were_kept(digits):
    torch.manual_seed(6)
    model, x0 = Autoregressive(SHAPE, levels=17, width=8, depth=2, dropout=0.5), digits.train.x0[:5]
    keep = model.draw(x0.shape, g(), torch.device("cpu"))["keep"]
    assert torch.equal(model(x0, keep=keep), -model.log_prob(x0, keep).mean()) and not torch.equal(
        model(x0, keep=keep), model(x0)
    )


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_each_layer_loses_channels_of_its_own(layer):
    torch.manual_seed(7)
    model = Autoregressive(SHAPE, levels=5, width=8, depth=3)
    level, keep = torch.randint(5, (1, 8, 8), generator=g()), torch.ones(1, 3, 8)
    keep[:, layer, :4] = 0
    alone = Autoregressive(SHAPE, levels=5, width=8, depth=3)
    alone.load_state_dict(model.state_dict())
    with torch.no_grad():
        alone.net.layers[layer].weight[:, :4] = 0
    assert torch.allclose(model.net(level, keep), alone.net(level), atol=1e-6)


def test_samples_are_painted_with_all_channels():
    torch.manual_seed(7)
    with_dropout = Autoregressive((1, 3, 3), levels=5, width=8, depth=2, dropout=0.9)
    without = Autoregressive((1, 3, 3), levels=5, width=8, depth=2)
    without.load_state_dict(with_dropout.state_dict())
    assert torch.equal(generate(with_dropout, 20, seed=0), generate(without, 20, seed=0))


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_temperature_divides_the_scores(temperature):
    torch.manual_seed(8)
    model = Autoregressive((1, 1, 1), levels=4, width=4, depth=0)
    with torch.no_grad():
        model.net.out.bias.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5]))
        scores = model.net(torch.zeros(1, 1, 1, dtype=torch.long)).flatten()
    drawn = generate(model, 20_000, seed=0, temperature=temperature)
    found = torch.bincount(to_indices(drawn, 4).flatten(), minlength=4) / 20_000
    assert torch.allclose(found, (scores / temperature).softmax(0), atol=0.02)


@pytest.mark.parametrize("temperature", [-1.0, math.nan, math.inf, "hot", None])
def test_a_temperature_is_a_finite_number_of_at_least_0(painter, temperature):
    with pytest.raises(ValueError, match="temperature must be a finite number of at least 0"):
        generate(painter, 2, temperature=temperature)


def test_an_image_that_is_no_square_is_painted_and_measured_row_by_row():
    torch.manual_seed(9)
    model = Autoregressive((1, 2, 3), levels=2, width=8, depth=1)
    every = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=6))).view(-1, 1, 2, 3)
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 2
        p = model.log_prob(every).exp()
    assert torch.allclose(model.bits_per_dim(every, 2, g()), -p.log2() / 6, atol=1e-5)
    found = (generate(model, 10_000, seed=0)[:, None] == every).flatten(2).all(-1).float().mean(0)
    assert ((found - p).abs() < 5 * (p * (1 - p) / 10_000).sqrt() + 1e-4).all()


# All of them


def fitted(model, digits):
    with torch.no_grad():
        model.fit(digits.train.x0[:300], digits.train.label[:300], g())
    return model


def untrained():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return Autoregressive(SHAPE, 17, width=4, depth=1)


@pytest.mark.parametrize(
    "make",
    [
        lambda digits: fitted(NaiveBayes(SHAPE, 17), digits),
        lambda digits: fitted(PCAGaussian(SHAPE, 5, levels=17), digits),
        lambda digits: fitted(Mixture(SHAPE, 3, levels=17, rounds=2), digits),
        lambda digits: fitted(CodeGaussian(load_trained("autoencoder-digits").model), digits),
        lambda digits: untrained(),
    ],
    ids=["naive-bayes", "pca-gaussian", "mixture", "code-gaussian", "autoregressive"],
)
def test_fits_and_samples_are_made_with_the_generator_alone(digits, make):
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = make(digits)
        with torch.no_grad():
            made.append((model.sample(20, g(3)), model.sample(20, g(4)), *model.state_dict().values()))
    assert all(torch.equal(a, b) for a, b in zip(*made, strict=True))
    assert not torch.equal(made[0][0], made[0][1])


@pytest.mark.parametrize("name", ["naive-bayes-digits", "pca-gaussian-digits", "mixture-digits", "pixels-digits"])
def test_a_shipped_model_finds_held_out_digits_as_probable_as_its_card_says(digits, name):
    trained = load_trained(name)
    with torch.no_grad():
        bits = trained.model.bits_per_dim(digits.held_out.x0, 17, g())
    assert bits.mean().item() == pytest.approx(trained.card["scores"]["bits_per_dim"]["mean"], rel=1e-4)


def test_the_shipped_autoencoder_has_the_loss_that_its_card_says():
    trained = load_trained("autoencoder-digits")
    found, told = measure_loss(trained)["held_out"], trained.card["held_out"]
    assert found["loss"] == pytest.approx(told["loss"], rel=1e-4) and found["images"] == told["images"]
