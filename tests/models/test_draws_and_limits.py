"""What the latent models draw and from where, what their gradients reach, and what they refuse."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from course_lib.data import load
from course_lib.models import RBM, VAE, Flow, MarkovVAE, generate
from course_lib.models.decoders import binarized
from course_lib.models.flow import Coupling, Histogram

SHAPE, CPU = (1, 8, 8), torch.device("cpu")


def g(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module", name="digits")
def _digits():
    return load("digits")


def test_black_and_white_is_drawn_from_grey_in_the_loss_and_in_the_bits(digits):
    torch.manual_seed(0)
    model, x0 = VAE(SHAPE, 2, k=2, width=8, decoder="bernoulli"), digits.train.x0[:5]
    eps, u = torch.randn(5, 2, generator=g()), torch.rand(x0.shape, generator=g(1))
    white = torch.where(u < (x0 + 1) / 2, 1.0, -1.0)
    mu, logvar = model.encode(white)
    expected = -model.log_likelihood(white, mu + (0.5 * logvar).exp() * eps).mean()
    torch.testing.assert_close(model(x0, eps=eps, u=u)["reconstruction"], expected)
    generator = g(2)
    white = binarized(x0, torch.rand(x0.shape, generator=generator))
    expected = -model.log_prob(white, generator, 64) / 64 / math.log(2)
    torch.testing.assert_close(model.bits_per_dim(x0, 2, g(2)), expected)


def test_free_bits_are_free_for_the_average_not_for_each_image(digits):
    torch.manual_seed(3)
    model, x0, eps = VAE(SHAPE, 17, k=4, width=8), digits.train.x0[:9], torch.zeros(9, 4)
    nn.init.normal_(model.encoder[-1].weight, generator=g())
    mu, logvar = model.encode(x0)
    each = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).mean(0)
    model.free_bits = each.sort().values[1].item()
    torch.testing.assert_close(model(x0, eps=eps)["kl"], each.clamp(min=model.free_bits).sum())


@pytest.mark.parametrize("kind", ["vae", "chain"])
def test_the_gradient_reaches_every_weight(kind, digits):
    torch.manual_seed(4)
    model = VAE(SHAPE, 17, k=3, width=8) if kind == "vae" else MarkovVAE(SHAPE, 17, sizes=(3, 2), width=8)
    model, x0, eps = (
        model.double(),
        digits.train.x0[:6].double(),
        torch.randn(6, 3 if kind == "vae" else 5, generator=g()).double(),
    )

    def loss():
        return sum(model(x0, eps=eps).values())

    weights = list(model.parameters())
    found = torch.autograd.grad(loss(), weights)
    for weight, slope in zip(weights, found, strict=True):
        way = torch.randn(weight.shape, generator=g(1), dtype=torch.double)
        with torch.no_grad():
            ends = [(weight.add_(h * way), loss(), weight.sub_(h * way))[1] for h in (1e-6, -1e-6)]
        assert (ends[0] - ends[1]).item() / 2e-6 == pytest.approx((slope * way).sum().item(), rel=1e-4, abs=1e-6)


def test_an_encoders_variance_is_kept_within_e_to_12(digits):
    vae, chain = VAE(SHAPE, 17, k=2, width=8), MarkovVAE(SHAPE, 17, sizes=(2,), width=8)
    for net in (vae.encoder, chain.up[0]):
        nn.init.constant_(net[-1].bias, 200.0)
    assert (vae.encode(digits.train.x0[:3])[1] == 12).all()
    assert chain.parts(digits.train.x0[:3], torch.zeros(3, 2))["kl 1"].isfinite().all()


MODELS = {
    "vae": lambda: VAE(SHAPE, 2, k=3, width=8, decoder="bernoulli"),
    "categorical": lambda: VAE(SHAPE, 17, width=8, decoder="categorical"),
    "gaussian": lambda: VAE(SHAPE, 17, width=8, classes=3),
    "chain": lambda: MarkovVAE(SHAPE, 17, sizes=(5, 3, 2), width=8),
    "flow": lambda: Flow(SHAPE, layers=2, width=8, levels=17, dropout=0.2),
    "rbm": lambda: RBM(SHAPE, hidden=8, steps=2),
}


@pytest.mark.parametrize("kind", MODELS)
def test_all_noise_comes_from_the_generator_a_row_for_each_image(kind):
    torch.manual_seed(5)
    model = MODELS[kind]()
    drawn, again = (model.draw((3000, *SHAPE), g(1), CPU) for _ in range(2))
    for name, noise in drawn.items():
        assert torch.equal(noise, again[name]) and not torch.equal(noise[0], noise[1])
        if name == "eps":
            assert abs(noise.mean()) < 0.05 and abs(noise.std() - 1) < 0.05
        if name == "u":
            assert noise.min() >= 0 and noise.max() < 1 and abs(noise.mean() - 0.5) < 0.02
        if name == "keep":
            assert abs((noise == 0).double().mean() - 0.2) < 0.01 and noise.max() == 1.25
    for options in [{}, {"drawn": True}] if isinstance(model, VAE) else [{}]:
        with torch.no_grad():
            one, same, other = (model.sample(4, g(s), **options) for s in (1, 1, 2))
        assert torch.equal(one, same) and not torch.equal(one, other) and one.shape == (4, *SHAPE)
        if kind != "rbm":
            assert not torch.equal(one[0], one[1])
    x0 = torch.ones(2, *SHAPE)
    if not isinstance(model, RBM):
        with torch.no_grad():
            assert torch.equal(*(model.bits_per_dim(x0, model.levels, g(1)) for _ in range(2)))


def test_a_vaes_prior_is_standard_and_its_classes_are_equally_likely(monkeypatch):
    model = VAE(SHAPE, 17, k=2, width=8, classes=3)
    monkeypatch.setattr(model, "decode", lambda z, cond: (z, cond))
    z, cond = model.sample(9000, g())
    assert (z.std(0) - 1).abs().max() < 0.05
    assert (torch.bincount(cond, minlength=3) - 3000).abs().max() < 300


@pytest.mark.parametrize(
    "make", [lambda: VAE((3, 2, 2), 17, width=8), lambda: MarkovVAE((3, 2, 2), 17, sizes=(2, 2), width=8)]
)
def test_bits_are_per_number_of_an_image_with_channels_by_64_draws(make):
    model, x0 = make(), torch.zeros(4, 3, 2, 2)
    with torch.no_grad():
        torch.testing.assert_close(model.bits_per_dim(x0, 17, g()), -model.log_prob(x0, g(), 64) / 12 / math.log(2))


def test_a_chain_is_drawn_from_the_top_down_with_its_noise():
    chain = MarkovVAE(SHAPE, 17, sizes=(3, 2), width=8)
    for p in chain.down[0].parameters():
        nn.init.zeros_(p)
    with torch.no_grad():
        chain.down[0][-1].bias[3:] = math.log(4.0)
    seen = []
    chain.decoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    chain.sample(5000, g())
    assert (seen[0].std(0) - 2).abs().max() < 0.1


def test_each_network_gets_its_own_factors_layer_by_layer():
    torch.manual_seed(1)
    model, x0 = Flow((4,), layers=3, width=6), torch.randn(5, 4, generator=g())
    for layer in model.layers:
        nn.init.normal_(layer.net.layers[-1].weight)
    keep, z = torch.rand(5, 3, 2, 6, generator=g(1)), x0
    for i, layer in enumerate(model.layers):
        a = layer.net.layers
        hidden = a[1](a[0](z * layer.mask)) * keep[:, i, 0]
        s, t = a[4:](a[3](a[2](hidden)) * keep[:, i, 1]).chunk(2, dim=1)
        free = 1 - layer.mask
        z = z * (2 * torch.tanh(s / 2) * free).exp() + t * free
    torch.testing.assert_close(model.encode(x0, keep)[0], z)
    torch.testing.assert_close(model(x0, keep=keep), -model.log_prob(x0, keep).mean())


def test_a_coupling_scales_by_at_most_e_squared():
    layer = Coupling(torch.tensor([1.0, 0.0]), 4)
    nn.init.constant_(layer.net.layers[-1].bias, 100.0)
    assert layer(torch.zeros(1, 2))[1].item() == pytest.approx(2)


def test_the_loss_of_a_flow_spreads_a_grey_value_over_its_bin():
    model, x0 = Flow((2,), layers=2, width=4, levels=5), torch.tensor([[-1.0, 0.5], [0.0, 1.0]])
    nn.init.normal_(model.layers[1].net.layers[-1].weight, generator=g())
    for u in (torch.zeros(2, 2), torch.full((2, 2), 0.999)):
        torch.testing.assert_close(model(x0, u=u), -model.log_prob(x0 + (u - 0.5) / 2).mean())


def test_a_histogram_takes_what_lies_beyond_the_bins_and_extreme_noise():
    layer = Histogram(2, 5)
    assert layer(torch.tensor([[-1.3, 1.3]]))[0].isfinite().all()
    torch.testing.assert_close(layer.inverse(torch.tensor([[-40.0, 40.0]])), torch.tensor([[-1.25, 1.25]]))


def test_images_of_a_flow_lie_within_their_range_and_points_anywhere():
    model = Flow((1, 4, 4), layers=2, width=4, levels=3)
    assert generate(model, 50, temperature=3.0).abs().max() <= 1
    z = torch.randn(16, 2, generator=g()) * 2.5
    assert torch.equal(Flow((2,)).sample(16, g(), temperature=2.5), z)


def test_a_pixel_counts_as_white_above_the_middle_grey_and_a_fresh_machine_has_small_weights():
    torch.manual_seed(0)
    model = RBM((1, 1, 5), hidden=2000)
    seen = model.visible(torch.tensor([[[[-1.0, -0.25, 0.0, 0.25, 1.0]]]]))
    assert seen.tolist() == [[0, 0, 0, 1, 1]]
    assert abs(model.W.std() - 0.05) < 0.003 and not model.a.any() and not model.b.any()


def test_a_sample_of_a_machine_takes_so_many_steps(monkeypatch):
    model, calls = RBM(SHAPE, hidden=8), []
    real = model.gibbs
    monkeypatch.setattr(model, "gibbs", lambda v, u: calls.append(1) or real(v, u))
    model.sample(2, g(), steps=9)
    assert len(calls) == 8  # the last step ends in chances


def test_the_loss_of_a_machine_is_an_average():
    torch.manual_seed(0)
    model, x0, u = (
        RBM((1, 1, 4), hidden=3),
        torch.randn(6, 1, 1, 4, generator=g()).clamp(-1, 1),
        torch.rand(6, 1, 7, generator=g(1)),
    )
    nn.init.normal_(model.W)
    v = model.visible(x0)
    expected = (model.free_energy(v) - model.free_energy(model.gibbs(v, u[:, 0]))).mean()
    torch.testing.assert_close(model(x0, u=u), expected)


def test_the_gradient_of_a_flow_is_that_of_its_log_density():
    torch.manual_seed(1)
    model, x0 = Flow((4,), layers=3, width=6).double(), torch.randn(5, 4, generator=g()).double()
    for layer in model.layers:
        nn.init.normal_(layer.net.layers[-1].weight)
    weight = model.layers[0].net.layers[-1].bias
    (slope,) = torch.autograd.grad(model(x0), weight)
    for i in range(len(weight)):
        ends = []
        for h in (1e-6, -1e-6):
            with torch.no_grad():
                weight[i] += h
                ends.append(model(x0).item())
                weight[i] -= h
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(slope[i].item(), abs=1e-6)


# What is asked of them must fit


def test_bits_on_other_grey_levels_than_the_models_are_refused(digits):
    for model in (VAE(SHAPE, 17), MarkovVAE(SHAPE, 17), Flow(SHAPE, levels=17)):
        with pytest.raises(ValueError, match="knows 17 grey levels, so levels must be 17; got 256"):
            model.bits_per_dim(digits.train.x0[:2], 256, g())


def test_images_that_are_not_on_the_levels_have_no_likelihood(digits):
    grey = digits.train.x0[:2] * 0.97
    for call in (
        lambda: VAE(SHAPE, 17).log_prob(grey, g(), 1),
        lambda: VAE(SHAPE, 2, decoder="bernoulli").log_prob(grey, g(), 1),
        lambda: MarkovVAE(SHAPE, 17).log_prob(grey, g(), 1),
        lambda: Flow(SHAPE, levels=17).bits_per_dim(grey, 17, g()),
    ):
        with pytest.raises(ValueError, match="x0 must lie on its (17|2) grey levels"):
            call()


@pytest.mark.parametrize("y", [-1, 10])
def test_a_class_that_does_not_exist_is_refused(y):
    with pytest.raises(ValueError, match=r"cond must be whole numbers in 0 … 9, \(\d+,\); got"):
        generate(VAE(SHAPE, 17, classes=10), 2, cond=torch.tensor([0, y]))


def test_a_boltzmann_machine_takes_images_of_its_shape_alone():
    model = RBM((1, 2, 2), hidden=2)
    for x0 in (torch.zeros(2, 1, 2, 3), 255 * torch.ones(2, 1, 2, 2), torch.full((2, 1, 2, 2), torch.nan)):
        with pytest.raises(ValueError, match="x0 must"):
            model.visible(x0)
