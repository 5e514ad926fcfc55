"""log q_t(x) by the flow, where the density is a formula."""

import math

import pytest
import torch
from scipy.integrate import solve_ivp
from torch import nn

from course_lib.diffusion import Denoiser, NoiseSchedule, Oracle, V, flow_bits, log_likelihood, velocity
from course_lib.diffusion.likelihood import log_decoder
from course_lib.exact import GaussianMixture, Points

LINEAR = NoiseSchedule.linear()
MIXTURE = GaussianMixture(
    [[-1.5, 0.5], [1.0, 1.0], [0.6, -1.4]],
    torch.tensor([[[0.10, 0.06], [0.06, 0.09]], [[0.05, 0], [0, 0.2]], [[0.2, 0.0], [0.0, 0.02]]]),
    torch.tensor([0.3, 0.3, 0.4]),
)
ORACLE = Oracle(MIXTURE, LINEAR)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def at(t):
    return MIXTURE.noised(LINEAR.signal(t), LINEAR.noise(t))


@pytest.mark.parametrize(("start", "points"), [(1.0, "of the mixture"), (20.5, "anywhere"), (600.0, "anywhere")])
def test_with_the_exact_trace_it_is_the_density(start, points):
    q = at(start)
    x = q.sample(40, seeded()) if points == "of the mixture" else 2 * torch.randn(40, 2, generator=seeded()).double()
    found = log_likelihood(ORACLE, x, start, "exact")
    assert found.log_prob.shape == (40,)
    assert (found.log_prob - q.log_prob(x)).abs().mean() < 0.01


def test_a_gaussian_of_any_dimension_and_image_shape():
    """dim independent numbers of variance S: log N(x; 0, signal^2 S + noise^2) each."""
    oracle = Oracle(GaussianMixture(torch.zeros(1, 12), 0.3), LINEAR)
    variance = (LINEAR.signal(10) ** 2 * 0.3 + LINEAR.noise(10) ** 2).item()
    x = math.sqrt(variance) * torch.randn(3, 3, 2, 2, generator=seeded(), dtype=torch.float64)
    expected = -0.5 * (x**2 / variance + math.log(2 * math.pi * variance)).flatten(1).sum(1)
    for trace in ("exact", "hutchinson"):  # the Jacobian is a multiple of 1, so that every z is exact
        found = log_likelihood(oracle, x, 10.0, trace)
        assert found.x_T.shape == x.shape
        torch.testing.assert_close(found.log_prob, expected, rtol=0, atol=1e-3)


def test_hutchinsons_trace_is_the_exact_one_on_average():
    x, copies = at(5.0).sample(3, seeded()), 400
    exact = log_likelihood(ORACLE, x, 5.0, "exact", tolerance=1e-4).log_prob
    found = log_likelihood(ORACLE, x.repeat(copies, 1), 5.0, "hutchinson", seeded(1), tolerance=1e-4).log_prob
    found = found.reshape(copies, 3)
    error = found.std(0) / math.sqrt(copies)
    assert (error > 1e-3).all()  # else there would be nothing to average
    assert ((found.mean(0) - exact).abs() < 4 * error + 1e-3).all()


def test_each_image_has_its_own_z_of_signs_drawn_once_for_the_whole_way():
    x = at(5.0).sample(1, seeded()).repeat(64, 1)
    found = log_likelihood(ORACLE, x, 5.0, "hutchinson", seeded(1), tolerance=1e-4).log_prob
    # in two dimensions z^T J z has two values, one for z_1 z_2 = 1 and one for -1; new signs on the way would give more
    assert (found / 1e-6).round().unique().numel() == 2


def test_the_latents_are_where_another_integrator_goes():
    x = at(5.0).sample(4, seeded())

    def slope(t, state):
        t = torch.tensor(t, dtype=torch.float64)
        return velocity(ORACLE, torch.from_numpy(state).reshape(4, 2), t).flatten().numpy()

    other = solve_ivp(slope, (5.0, 1000.0), x.flatten().numpy(), method="RK45", rtol=1e-7, atol=1e-7)
    found = log_likelihood(ORACLE, x, 5.0, "exact")
    torch.testing.assert_close(found.x_T.flatten(), torch.from_numpy(other.y[:, -1]), rtol=0, atol=1e-3)


def test_it_takes_fewer_calls_when_less_is_asked_for_and_counts_them():
    calls = 0

    class Counting(Oracle):
        def predict(self, x_t, t, cond=None):
            nonlocal calls
            calls += 1
            return super().predict(x_t, t)

    x = at(5.0).sample(4, seeded())
    loose = log_likelihood(Counting(MIXTURE, LINEAR), x, 5.0, tolerance=1e-2)
    assert loose.calls == calls
    tight = log_likelihood(ORACLE, x, 5.0, tolerance=1e-5)
    assert 2 * loose.calls < tight.calls


def test_a_networks_weights_get_no_gradients_and_images_stay_in_float32():
    net = nn.Linear(2, 2)
    denoiser = Denoiser(TakesTime(net), LINEAR, V)
    x = torch.randn(5, 2, generator=seeded())
    found = log_likelihood(denoiser, x, 5.0, generator=seeded(), tolerance=1e-3)
    assert found.log_prob.dtype == found.x_T.dtype == torch.float32
    assert not found.log_prob.requires_grad and not found.x_T.requires_grad and not x.requires_grad
    assert net.weight.grad is None
    with torch.no_grad():  # it needs gradients inside all the same
        again = log_likelihood(denoiser, x, 5.0, generator=seeded(), tolerance=1e-3)
    assert torch.equal(found.log_prob, again.log_prob)


class TakesTime(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x_t, t):
        return self.net(x_t).tanh() * (t / 1000)[:, None]


def test_the_same_seed_gives_the_same_bytes_and_another_one_others():
    x = at(5.0).sample(9, seeded())
    a, b, c = (log_likelihood(ORACLE, x, 5.0, generator=seeded(s), tolerance=1e-2).log_prob for s in (3, 3, 4))
    assert torch.equal(a, b) and not torch.allclose(a, c)


@pytest.mark.parametrize("start", [0, 0.0, -1.0, 1000, 1200.0])
def test_the_start_must_lie_between_the_singular_end_and_T(start):
    with pytest.raises(ValueError, match="start must lie above 0 and below T = 1000; got"):
        log_likelihood(ORACLE, torch.zeros(2, 2), start)


SCHEDULE = NoiseSchedule.linear(100, 1e-3, 0.15)


def test_the_decoder_of_the_flow_is_bayes_rule_over_the_grey_levels():
    levels, s, x_s = torch.linspace(-1, 1, 5, dtype=torch.float64), 30, torch.tensor([[0.13, -0.7]])
    signal, noise = SCHEDULE.signal(s), SCHEDULE.noise(s)
    density = (-((x_s[0, :, None].double() - signal * levels) ** 2) / (2 * noise**2)).exp()
    log_p = (density / density.sum(1, keepdim=True)).log()
    for i in range(5):
        for j in range(5):
            x0 = torch.stack([levels[i], levels[j]])[None].float()
            found = log_decoder(SCHEDULE, x0, x_s, 5, s).item()
            assert found == pytest.approx((log_p[0, i] + log_p[1, j]).item(), abs=1e-5)


def test_the_bits_by_the_flow_are_a_bound_close_to_what_equally_likely_levels_cost():
    """Four grey levels, each as likely as the others: two bits per pixel, and not less."""
    schedule = NoiseSchedule.linear()
    levels = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None]
    x0 = levels.repeat(100, 1).float()
    bits = flow_bits(Oracle(Points(levels), schedule), x0, 4, 5.0, torch.Generator().manual_seed(0))
    assert bits.mean().item() == pytest.approx(2, abs=0.01 + 4 * bits.std().item() / math.sqrt(len(x0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trace": "Exact"}, "trace must be one of 'exact', 'hutchinson'; got 'Exact'"),
        ({"tolerance": 0}, "tolerance must lie strictly between 1.19209e-09 and 1; got 0"),
        ({"tolerance": math.nan}, "tolerance"),
        ({"x": torch.full((2, 2), math.nan)}, "x holds NaN"),
        ({"start": "1"}, "start must be a finite number"),
    ],
)
def test_a_likelihood_refuses_typos_and_numbers_that_are_none(options, message):
    with pytest.raises(ValueError, match=message):
        log_likelihood(**({"denoiser": ORACLE, "x": torch.zeros(2, 2), "start": 1.0} | options))


def test_the_bits_of_images_outside_the_range_are_none():
    with pytest.raises(ValueError, match=r"x0 must lie in \[-1, 1\]"):
        flow_bits(ORACLE, torch.full((2, 2), 255.0), 17, 1.0, torch.Generator())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 0}, "start must lie above 0 and below T = 1000; got 0"),
        ({"start": 1000}, "start must lie above 0 and below T = 1000; got 1000"),
        ({"generator": 0}, "generator must be a torch.Generator"),
        ({"x0": torch.full((2, 2), 0.9)}, "x0 must lie on its 17 grey levels"),
    ],
)
def test_the_bits_of_an_image_refuse_what_a_likelihood_refuses(options, message):
    right = {"model": ORACLE, "x0": torch.zeros(2, 2), "levels": 17, "start": 1.0, "generator": seeded()}
    with pytest.raises(ValueError, match=message):
        flow_bits(**(right | options))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_tolerance_beyond_the_digits_of_x_is_refused_for_the_solver_would_never_end(dtype):
    with pytest.raises(ValueError, match="tolerance must lie strictly between .*; got 1e-20"):
        log_likelihood(ORACLE, torch.zeros(2, 2, dtype=dtype), 1.0, tolerance=1e-20)
