"""Samplers on distributions whose exact denoiser is known: what is wrong here is wrong in the sampler."""

import math
from itertools import pairwise

import pytest
import torch
from scipy.stats import ks_2samp

from course_lib.diffusion import SAMPLERS, Clipped, Guided, NoiseSchedule, Oracle, last, sample, step
from course_lib.exact import GaussianMixture, Points

SCHEDULE = NoiseSchedule.linear(100, 1e-3, 0.15)
MIXTURE = GaussianMixture(
    [[-1.5, 0.5], [1.0, 1.0], [0.6, -1.4]],
    torch.tensor([[[0.10, 0.06], [0.06, 0.09]], [[0.05, 0], [0, 0.2]], [[0.2, 0.0], [0.0, 0.02]]]),
    torch.tensor([0.3, 0.3, 0.4]),
)


def noise(n, seed=0, dim=2):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TestTwoSamples:
    """Does a sampler end in the mixture? Kolmogorov and Smirnov's two-sample test (SciPy's) on log p(x), which is sharp
    both for points in wrong places and for bumps that are a little too wide or too narrow.
    """

    N = 8_000
    FULL = NoiseSchedule.linear()
    BUMPS = GaussianMixture([[-1.5], [1.0], [0.2]], torch.tensor([0.01, 0.04, 0.02]), torch.tensor([0.3, 0.3, 0.4]))
    ORACLE = Oracle(BUMPS, FULL)

    def p_value(self, x):
        truth = self.BUMPS.sample(self.N, torch.Generator().manual_seed(2))
        return ks_2samp(self.BUMPS.log_prob(x), self.BUMPS.log_prob(truth)).pvalue

    def walk(self, update, asked=lambda t: t):
        """A sampling loop written out by hand; the denoiser is asked for the time asked(t)."""
        x, generator = noise(self.N, dim=1), torch.Generator().manual_seed(1)
        for t, s in pairwise(self.FULL.times(1000)):
            x0, eps = self.ORACLE.predict(x, asked(t))
            x = update(x, x0, eps, t, s, torch.randn(x.shape, generator=generator, dtype=x.dtype))
        return x

    def ddpm(self, x_t, x0, eps, t, s, z):
        mean, variance = self.FULL.posterior(x0, x_t, t)
        return mean + variance.sqrt() * z

    def ddim(self, x_t, x0, eps, t, s, z):
        return self.FULL.signal(s) * x0 + self.FULL.noise(s) * eps

    def ddpm_without_the_square_root(self, x_t, x0, eps, t, s, z):
        mean, variance = self.FULL.posterior(x0, x_t, t)
        return mean + variance * z

    @pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
    def test_with_the_exact_denoiser_every_sampler_reaches_the_mixture(self, eta):
        generator = torch.Generator().manual_seed(1)
        x = last(sample(self.ORACLE, noise(self.N, dim=1), self.FULL.times(1000), eta=eta, generator=generator))
        assert self.p_value(x) > 0.01

    @pytest.mark.parametrize("update", ["ddpm", "ddim"])
    def test_the_same_loops_by_hand_do_too(self, update):
        assert self.p_value(self.walk(getattr(self, update))) > 0.01

    def test_the_missing_square_root_is_caught(self):
        assert self.p_value(self.walk(self.ddpm_without_the_square_root)) < 1e-6

    def test_a_network_that_is_asked_one_time_off_is_caught(self):
        """The usual off-by-one: times 0 … T-1 in one place and 1 … T in the other."""
        assert self.p_value(self.walk(self.ddim, asked=lambda t: max(t - 1, 1))) < 1e-6
        assert self.p_value(self.walk(self.ddim, asked=lambda t: min(t + 1, 1000))) < 1e-6


def predicted(t, n=50):
    x_t = noise(n, seed=t)
    return x_t, *Oracle(MIXTURE, SCHEDULE).predict(x_t, t)


@pytest.mark.parametrize("t", [1, 2, 40, 100])
def test_a_step_with_eta_1_is_the_ddpm_posterior(t):
    x_t, x0, eps = predicted(t)
    mean, variance = SCHEDULE.posterior(x0, x_t, t)
    z = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(3), dtype=x_t.dtype)
    found = step(SCHEDULE, x0, eps, t, t - 1, eta=1.0, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(found, mean + variance.sqrt() * z, rtol=0, atol=1e-10)


@pytest.mark.parametrize("t", [2, 40, 100])
def test_algorithm_2_as_printed_gives_the_same_state(t):
    x_t, x0, eps = predicted(t)
    alpha, alpha_bar = SCHEDULE.alpha[t], SCHEDULE.alpha_bar[t]
    mean = (x_t - (1 - alpha) / (1 - alpha_bar).sqrt() * eps) / alpha.sqrt()
    z = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(3), dtype=x_t.dtype)
    found = step(SCHEDULE, x0, eps, t, t - 1, 1.0, torch.Generator().manual_seed(3), variance="beta")
    torch.testing.assert_close(found, mean + SCHEDULE.beta[t].sqrt() * z, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("t", "s"), [(100, 90), (40, 1), (7, 0)])
def test_a_step_with_eta_0_is_ddim(t, s):
    _, x0, eps = predicted(t)
    found = step(SCHEDULE, x0, eps, t, s, eta=0.0)
    expected = SCHEDULE.alpha_bar[s].sqrt() * x0 + (1 - SCHEDULE.alpha_bar[s]).sqrt() * eps
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_a_step_over_many_times_is_the_same_as_in_a_schedule_that_has_only_those(eta):
    times = [0, 10, 35, 100]
    kept = SCHEDULE.alpha_bar[times]
    coarse = NoiseSchedule(1 - kept[1:] / kept[:-1])
    _, x0, eps = predicted(35)
    a = step(SCHEDULE, x0, eps, 35, 10, eta, torch.Generator().manual_seed(0))
    b = step(coarse, x0, eps, 2, 1, eta, torch.Generator().manual_seed(0))
    torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_ddim_gives_each_noise_its_own_image_and_ddpm_does_not():
    oracle, x_T = Oracle(MIXTURE, SCHEDULE), noise(20)
    runs = {
        eta: [
            last(sample(oracle, x_T, SCHEDULE.times(20), eta=eta, generator=torch.Generator().manual_seed(i)))
            for i in (0, 1)
        ]
        for eta in (0.0, 1.0)
    }
    assert torch.equal(*runs[0.0]) and not torch.allclose(*runs[1.0])


def test_the_same_generator_seed_gives_the_same_bytes():
    oracle = Oracle(MIXTURE, SCHEDULE)
    a, b = (
        last(sample(oracle, noise(20), SCHEDULE.times(20), generator=torch.Generator().manual_seed(5)))
        for _ in range(2)
    )
    assert torch.equal(a, b)


def test_a_sampler_is_a_generator_that_yields_each_state_and_can_be_stopped():
    states = []
    for state in sample(Oracle(MIXTURE, SCHEDULE), noise(5), [100, 60, 20, 0], eta=0.0):
        states.append(state)
        if state.t == 20:
            break
    assert [s.t for s in states] == [60, 20]
    assert all(s.x_t.shape == s.x0.shape == s.eps.shape == (5, 2) for s in states)


def test_real_times_between_the_whole_ones_are_fine():
    x = last(sample(Oracle(MIXTURE, SCHEDULE), noise(50), [100, 55.5, 20.25, 0.5, 0], eta=0.0))
    assert x.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"times": [0, 50, 100]}, "times must fall"),
        ({"times": [100]}, "at least two"),
        ({"times": [100, 50, 50, 0]}, "times must fall"),
        ({"times": [101, 0]}, r"0 … 100; got \[101, 0\]"),
        ({"times": [100, 0], "eta": 1.5}, r"eta must lie in 0 … 1"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_computed(arguments, message):
    with pytest.raises(ValueError, match=message):
        last(sample(Oracle(MIXTURE, SCHEDULE), noise(2), **arguments))


def test_a_clipped_denoiser_keeps_x0_inside_and_x_t_the_same_mixture():
    x_t = 3 * noise(200, seed=9)
    x0, eps = Clipped(Oracle(MIXTURE, SCHEDULE)).predict(x_t, 60)
    assert x0.abs().max() == 1
    torch.testing.assert_close(SCHEDULE.signal(60) * x0 + SCHEDULE.noise(60) * eps, x_t, rtol=0, atol=1e-12)


def test_the_ideal_denoiser_of_a_finite_set_gives_its_points_back():
    points = 0.6 * torch.cartesian_prod(*2 * [torch.arange(-2, 3)]).double()
    x = last(sample(Oracle(Points(points), SCHEDULE), noise(200), SCHEDULE.times(100), eta=0.0))
    assert torch.cdist(x, points).min(1).values.max() < 1e-6


def test_the_number_of_copies_of_each_point_is_what_chance_allows():
    points = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.5]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    x = last(sample(Oracle(Points(points), SCHEDULE), noise(3_000), SCHEDULE.times(100), generator=generator))
    share = torch.cdist(x, points).argmin(1).bincount(minlength=3) / 3_000
    assert (share - 1 / 3).abs().max() < 4.5 * math.sqrt(2 / 9 / 3_000) + 0.01


@pytest.mark.parametrize("variance", ["beta_tilde", "beta"])
def test_the_step_to_t_0_adds_no_noise_whatever_the_variance(variance):
    oracle, x_1 = Oracle(MIXTURE, SCHEDULE), noise(5)
    state = next(sample(oracle, x_1, [1, 0], generator=torch.Generator().manual_seed(0), variance=variance))
    assert torch.equal(state.x_t, oracle.predict(x_1, 1)[0])


def test_every_sampler_is_called_in_one_way():
    oracle, x_T = Oracle(MIXTURE, SCHEDULE), noise(3)
    for name, walk in SAMPLERS.items():
        x = last(walk(oracle, x_T, SCHEDULE.times(10), None, torch.Generator().manual_seed(0)))
        assert x.shape == x_T.shape and x.isfinite().all(), name


class Halves:
    """A conditional denoiser of two known answers: the exact one of all data, and the exact one of a condition's."""

    def __init__(self, whole, part):
        self.whole, self.part, self.schedule = whole, part, whole.schedule

    def predict(self, x_t, t, cond=None):
        return (self.whole if cond is None else self.part).predict(x_t, t)


def test_guidance_follows_the_score_of_the_tempered_mixture():
    """eps_u + w (eps_c - eps_u) is the noise of a density proportional to p(x) (p(x | c) / p(x))^w: its score by autograd."""
    part = GaussianMixture(MIXTURE.mean[:1], MIXTURE.cov[:1])
    model, t, w = Halves(Oracle(MIXTURE, SCHEDULE), Oracle(part, SCHEDULE)), 60, 2.5
    x_t = noise(40).requires_grad_(True)
    signal, sigma = SCHEDULE.at(t)
    log_p, log_c = (d.noised(signal, sigma).log_prob(x_t) for d in (MIXTURE, part))
    (score,) = torch.autograd.grad((log_p + w * (log_c - log_p)).sum(), x_t)
    x0, eps = Guided(model, w).predict(x_t.detach(), t, torch.zeros(40))
    torch.testing.assert_close(eps, -sigma * score, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(signal * x0 + sigma * eps, x_t.detach(), rtol=1e-9, atol=1e-9)


def test_guidance_of_1_is_the_conditional_and_of_0_the_unconditional_denoiser():
    part = GaussianMixture(MIXTURE.mean[:1], MIXTURE.cov[:1])
    model, x_t, cond = Halves(Oracle(MIXTURE, SCHEDULE), Oracle(part, SCHEDULE)), noise(9), torch.zeros(9)
    for w, expected in ((1, model.predict(x_t, 50, cond)), (0, model.predict(x_t, 50))):
        torch.testing.assert_close(Guided(model, w).predict(x_t, 50, cond), expected)
    with pytest.raises(ValueError, match="give it one"):
        Guided(model, 2).predict(x_t, 50)


@pytest.mark.parametrize("w", [1e30, -1e30, math.nan, math.inf, "2", True, None])
def test_a_guidance_that_no_number_bears_is_refused(w):
    with pytest.raises(ValueError, match="guidance must"):
        Guided(Oracle(MIXTURE, SCHEDULE), w)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variance": "gamma", "eta": 0.0}, "variance must be one of 'beta_tilde', 'beta'; got 'gamma'"),
        ({"eta": math.nan}, "eta must"),
        ({"generator": 3}, "generator must be a torch.Generator"),
        ({"cond": torch.Generator()}, "give it as generator=…"),
        ({"times": "100"}, "times must be a list"),
        ({"times": [100, math.nan, 0]}, "each of the times must be a finite number; got nan"),
        ({"x_T": noise(2) / 0}, "x_T holds NaN or infinite"),
        ({"x_T": noise(2).long()}, "x_T must be floating point"),
        ({"denoiser": None}, "denoiser must have `predict`"),
    ],
)
def test_a_sampler_refuses_what_it_can_not_walk_with(options, message):
    given = {"denoiser": Oracle(MIXTURE, SCHEDULE), "x_T": noise(2), "times": [100, 50, 0]} | options
    with pytest.raises(ValueError, match=message):
        last(sample(**given))


def test_an_option_that_does_not_exist_is_named_at_the_call():
    with pytest.raises(TypeError, match="sample takes .*eta.*'etta'"):
        sample(Oracle(MIXTURE, SCHEDULE), noise(2), [100, 0], etta=0.0)


@pytest.mark.parametrize(("t", "s"), [(3, 5), (5, 5), (5, -1), (101, 3), ([5, 6], 3)])
def test_a_step_goes_from_a_later_to_an_earlier_time(t, s):
    with pytest.raises(ValueError, match="times must|each of the times"):
        step(SCHEDULE, noise(2), noise(2), t, s)


def test_a_step_between_the_closest_times_is_finite():
    x = step(SCHEDULE, noise(2), noise(2), 50.0, math.nextafter(50.0, 0), generator=torch.Generator().manual_seed(0))
    assert x.isfinite().all()


@pytest.mark.parametrize("states", [[], [1], None])
def test_the_last_of_no_states_is_an_error(states):
    with pytest.raises(ValueError, match="last takes a sampler"):
        last(states)


def test_a_clipped_denoiser_needs_a_range_and_noise():
    with pytest.raises(ValueError, match="high must be"):
        Clipped(Oracle(MIXTURE, SCHEDULE), 1.0, -1.0)
    with pytest.raises(ValueError, match="no noise to predict"):
        Clipped(Oracle(MIXTURE, SCHEDULE)).predict(noise(2), 0)
