"""Normalizing flows, against autograd's Jacobian, quadrature and enumeration."""

import math

import pytest
import torch
from torch import nn

from course_lib.data import load
from course_lib.models import Flow, generate
from course_lib.models.flow import Coupling, Histogram
from course_lib.training import load_trained


def g(seed=0):
    return torch.Generator().manual_seed(seed)


def flow(shape=(2,), layers=4, seed=0, levels=None, width=16, std=0.5):
    """A flow in float64 whose layers do something."""
    torch.manual_seed(seed)
    model = Flow(shape, layers=layers, width=width, levels=levels).double()
    for layer in model.layers:
        if isinstance(layer, Histogram):
            nn.init.normal_(layer.score)
        else:
            nn.init.normal_(layer.net.layers[-1].weight, std=std)
            nn.init.normal_(layer.net.layers[-1].bias, std=std)
    return model.requires_grad_(False)


@pytest.mark.parametrize("shape", [(2,), (5,), (1, 3, 3), (2, 2, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_a_flow_of_points_is_inverted_to_rounding_error(shape, seed):
    model = flow(shape, seed=seed)
    x = torch.randn(40, *shape, generator=g(seed), dtype=torch.float64)
    z, _ = model.encode(x)
    torch.testing.assert_close(model.decode(z), x, rtol=0, atol=1e-9)
    torch.testing.assert_close(model.encode(model.decode(z))[0], z, rtol=0, atol=1e-9)


@pytest.mark.parametrize("levels", [2, 5, 17])
@pytest.mark.parametrize("seed", range(3))
def test_a_flow_of_images_is_inverted_to_rounding_error(levels, seed):
    model = flow((1, 3, 4), seed=seed, levels=levels)
    half = 1 / (levels - 1)
    x = (2 * torch.rand(40, 1, 3, 4, generator=g(seed), dtype=torch.float64) - 1) * (1 + 0.99 * half)
    torch.testing.assert_close(model.decode(model.encode(x)[0]), x, rtol=0, atol=1e-8)


def test_in_float32_the_flow_of_the_digits_is_inverted_to_1e_5():
    model, x0 = load_trained("flow-digits").model, load("digits").held_out.x0[:100]
    x0 = x0 + (torch.rand(x0.shape, generator=g()) - 0.5) / 8
    assert (model.decode(model.encode(x0)[0]) - x0).abs().max() < 1e-4
    double = model.double()
    assert (double.decode(double.encode(x0.double())[0]) - x0).abs().max() < 1e-5
    model.float()


@pytest.mark.parametrize(
    ("shape", "levels"), [((2,), None), ((4,), None), ((1, 2, 3), None), ((1, 2, 2), 5), ((1, 1, 3), 17)]
)
@pytest.mark.parametrize("seed", range(3))
def test_the_log_determinant_is_that_of_autograds_jacobian(shape, levels, seed):
    model = flow(shape, seed=seed, levels=levels)
    x = 1.8 * torch.rand(3, *shape, generator=g(seed), dtype=torch.float64) - 0.9
    _, log_det = model.encode(x)
    for one, found in zip(x, log_det, strict=True):
        J = torch.autograd.functional.jacobian(lambda y: model.encode(y[None])[0][0], one).reshape(model.dim, model.dim)
        assert found.item() == pytest.approx(torch.linalg.slogdet(J).logabsdet.item(), abs=1e-8)


def test_the_density_of_a_flow_adds_up_to_1_in_the_plane():
    model = flow(layers=3, seed=1, std=0.3)
    side = torch.linspace(-12, 12, 801, dtype=torch.float64)
    total = sum(model.log_prob(part).exp().sum() for part in torch.cartesian_prod(side, side).split(200_000)) * 0.03**2
    assert total.item() == pytest.approx(1, abs=1e-3)


def test_a_fresh_flow_of_points_is_the_standard_normal_distribution():
    x = torch.randn(50, 3, generator=g())
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1)
    torch.testing.assert_close(Flow((3,)).log_prob(x), expected)


def test_a_fresh_flow_of_images_gives_every_level_of_every_pixel_the_same_probability():
    x0 = load("digits").train.x0[:20]
    bits = Flow((1, 8, 8), levels=17).bits_per_dim(x0, 17, g())
    torch.testing.assert_close(bits, torch.full((20,), math.log2(17)), rtol=1e-4, atol=1e-4)


def test_masks_alternate_and_are_a_chessboard_for_images():
    first, second = (layer.mask for layer in Flow((2, 2, 3), layers=2).layers)
    assert torch.equal(first + second, torch.ones(12))
    board = first.view(2, 2, 3)
    assert (board[:, 1:] != board[:, :-1]).all() and (board[:, :, 1:] != board[:, :, :-1]).all()


def test_what_passes_a_coupling_is_unchanged_and_alone_decides():
    torch.manual_seed(0)
    mask = torch.tensor([1.0, 0.0, 1.0, 0.0])
    layer = Coupling(mask, 8)
    nn.init.normal_(layer.net.layers[-1].weight)
    x = torch.randn(6, 4, generator=g())
    z, log_det = layer(x)
    assert torch.equal(z[:, [0, 2]], x[:, [0, 2]]) and not torch.allclose(z[:, [1, 3]], x[:, [1, 3]])
    other = x.clone()
    other[:, [1, 3]] += 1
    torch.testing.assert_close(layer(other)[1], log_det)
    slope = layer(other)[0][:, [1, 3]] - z[:, [1, 3]]  # exp of the log-scales, whose sum is the determinant
    torch.testing.assert_close(slope.log().sum(1), log_det, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_masses_of_all_images_of_a_tiny_space_add_up_to_1_and_the_bound_lies_below(seed):
    model = flow((2,), seed=seed, levels=3, std=0.15)
    levels = torch.linspace(-1, 1, 3, dtype=torch.float64)
    images = torch.cartesian_prod(levels, levels)
    inside = (torch.arange(300, dtype=torch.float64) + 0.5) / 300 - 0.5
    box = torch.cartesian_prod(inside, inside)
    log_p = torch.stack([model.log_prob(image + box) for image in images])
    assert log_p.exp().mean(1).sum().item() == pytest.approx(1, abs=5e-3)
    assert (log_p.mean(1) <= log_p.exp().mean(1).log() + 1e-9).all()
    for image, expected in zip(images, log_p.mean(1), strict=True):
        bits = model.bits_per_dim(image.expand(4000, 2), 3, g(seed))
        nats = -bits * 2 * math.log(2)
        assert abs(nats.mean() - expected) < 4.5 * nats.std() / math.sqrt(4000)


def test_a_histogram_gives_each_level_its_share_and_draws_it_as_often():
    torch.manual_seed(0)
    layer = Histogram(3, 5).double()
    nn.init.normal_(layer.score)
    share = (1 - 1e-3) * layer.score.softmax(1) + 1e-3 / 5
    x = layer.inverse(torch.randn(40_000, 3, generator=g(), dtype=torch.float64)).detach()
    level = ((x + 1) * 2).round().long()
    for pixel in range(3):
        found = torch.bincount(level[:, pixel], minlength=5) / 40_000
        assert ((found - share[pixel]).abs() < 4.5 * (share[pixel] * (1 - share[pixel]) / 40_000).sqrt()).all()
    _, log_det = layer(x[:50])
    z = layer(x[:50])[0]
    log_density = log_det + torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
    expected = share[torch.arange(3), level[:50]].log().sum(1) + 3 * math.log(2)  # bins of width ½
    torch.testing.assert_close(log_density, expected, rtol=1e-6, atol=1e-6)


def test_keeping_every_hidden_unit_changes_nothing_and_dropping_them_changes_the_loss():
    torch.manual_seed(1)
    model = Flow((1, 8, 8), layers=2, width=16, levels=17, dropout=0.5)
    for layer in model.layers[1:]:
        nn.init.normal_(layer.net.layers[-1].weight)
    x0 = load("digits").train.x0[:8]
    draws = model.draw(x0.shape, g(), torch.device("cpu"))
    assert set(draws["keep"].unique().tolist()) == {0.0, 2.0}
    assert draws["u"].min() >= 0 and draws["u"].max() < 1
    plain = model(x0, u=draws["u"])
    torch.testing.assert_close(model(x0, u=draws["u"], keep=torch.ones(8, 3, 2, 16)), plain)
    assert (model(x0, **draws) - plain).abs() > 1


def test_temperature_0_is_the_image_of_the_origin():
    model = load_trained("flow-digits").model
    cold = generate(model, 3, temperature=0.0)
    torch.testing.assert_close(cold[0], model.decode(torch.zeros(1, 64))[0].clamp(-1, 1))
    assert torch.equal(cold[0], cold[1])


def test_the_shipped_flow_of_the_digits_knows_more_than_its_histograms():
    digits, model = load("digits"), load_trained("flow-digits").model
    bits = model.bits_per_dim(digits.held_out.x0, 17, g()).mean()
    alone = Flow((1, 8, 8), layers=1, levels=17)
    alone.layers[0].load_state_dict(model.layers[0].state_dict())
    assert bits < 2.1 < 2.3 < alone.bits_per_dim(digits.held_out.x0, 17, g()).mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (2,), "layers": 0}, "layers must be a whole number of at least 1"),
        ({"shape": (2,), "width": 0}, "width must be a whole number of at least 1"),
        ({"shape": (2,), "levels": 1}, "levels must be a whole number of at least 2"),
        ({"shape": (2,), "dropout": 1.0}, "dropout must lie below 1"),
        ({"shape": 2}, "shape must be a shape such as"),
    ],
)
def test_a_flow_that_can_t_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Flow(**options)


def test_points_of_another_dimension_are_refused():
    with pytest.raises(ValueError, match=r"x0 must be of shape \(batch, 2\); got \(5, 3\)"):
        Flow((2,)).log_prob(torch.zeros(5, 3))
