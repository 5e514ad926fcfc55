"""The variational bound against cases where -log p(x_0) itself is known, and each term against its definition."""

import dataclasses
import math

import pytest
import torch
from scipy.stats import norm
from torch.distributions import Normal, kl_divergence

from course_lib.diffusion import (
    EPS,
    TARGETS,
    Bound,
    Denoiser,
    NoiseSchedule,
    Oracle,
    V,
    best_variance,
    bound,
    bound_weight,
    discretized,
    fixed_variance,
    step_kl,
)
from course_lib.diffusion.variational import decoder_term, prior_term, step_term
from course_lib.exact import GaussianMixture, Points
from course_lib.training import build, recipe_named

SCHEDULE = NoiseSchedule.linear(100, 1e-3, 0.15)
VARIANCES = {
    "beta": fixed_variance(SCHEDULE, "beta"),
    "beta_tilde": fixed_variance(SCHEDULE, "beta_tilde"),
    "odd": SCHEDULE.beta * (0.5 + torch.arange(101) / 100),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=5, shape=(1, 4, 4), seed=0):
    return torch.rand(n, *shape, generator=seeded(seed), dtype=torch.float64) * 2 - 1


def on_levels(n=5, shape=(1, 4, 4), seed=0):
    """Images of five grey levels."""
    return (2 * images(n, shape, seed)).round() / 2


class Answers:
    """A predictor that says x0_hat = answer(x_t, t), and remembers what it was asked."""

    def __init__(self, answer, schedule=SCHEDULE):
        self.answer, self.schedule, self.asked = answer, schedule, []

    def predict(self, x_t, t, cond=None):
        self.asked.append((x_t, t))
        x0 = self.answer(x_t, t)
        return x0, (x_t - self.schedule.signal(t, x_t) * x0) / self.schedule.noise(t, x_t)


def zeros(x_t, t):
    return torch.zeros_like(x_t)


class TestOneGaussian:
    """Data N(m, S) in each of `dim` numbers. Everything is linear, so every expectation is a formula; the bound must be

    H(data) + KL(q(x_T) | N(0, 1)) with the true reverse variances, and above p's own -log p(x_0) with others.
    """

    M, S, DIM = 0.3, 0.2, 3

    def pieces(self, schedule):
        """signal, noise and Var[x_0 | x_t] at t = 0 … T."""
        t = torch.arange(schedule.T + 1)
        signal, noise = schedule.signal(t), schedule.noise(t)
        return signal, noise, self.S * noise**2 / (signal**2 * self.S + noise**2)

    def expected_bound(self, schedule, sigma2):
        """The mean over x_0, x_t of L_T + … + L_1 and of -log N(x_0; mu(x_1), sigma2_1), from the library's terms."""
        _, _, left = self.pieces(schedule)
        t = torch.arange(2, schedule.T + 1)
        steps = step_kl(schedule, t, self.DIM * left[t], self.DIM, sigma2).sum()
        two = self.M + self.S**0.5 * torch.tensor([[-1.0], [1.0]], dtype=torch.float64).expand(2, self.DIM)
        first = self.DIM / 2 * ((2 * math.pi * sigma2[1]).log() + left[1] / sigma2[1])
        return (prior_term(schedule, two).mean() + steps + first).item()

    def cross_entropy(self, schedule, sigma2):
        """E[-log p(x_0)] of the chain from N(0, I), whose p(x_0) is the Gaussian found by walking down."""
        signal, noise, _ = self.pieces(schedule)
        mean, variance = torch.zeros(2, dtype=torch.float64)
        one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        for t in range(schedule.T, 0, -1):
            gain = signal[t] * self.S / (signal[t] ** 2 * self.S + noise[t] ** 2)  # x0_hat = m + gain (x_t - signal m)
            k = schedule.posterior(one, zero, t)[0].item()
            slope = k * gain + schedule.posterior(zero, one, t)[0].item()
            mean = k * self.M * (1 - gain * signal[t]) + slope * mean
            variance = slope**2 * variance + sigma2[t]
        square = self.S + (self.M - mean) ** 2
        return (self.DIM / 2 * ((2 * math.pi * variance).log() + square / variance)).item()

    @property
    def entropy(self):
        return self.DIM / 2 * math.log(2 * math.pi * math.e * self.S)

    @pytest.mark.parametrize("betas", [[0.3], [0.1, 0.4], torch.linspace(1e-3, 0.15, 100)], ids=len)
    def test_with_the_true_reverse_variances_only_the_prior_is_in_the_way(self, betas):
        schedule = NoiseSchedule(betas)
        signal, noise, left = self.pieces(schedule)
        last = Normal(signal[-1] * self.M, (signal[-1] ** 2 * self.S + noise[-1] ** 2).sqrt())
        gap = self.DIM * kl_divergence(last, Normal(torch.tensor(0.0).double(), 1.0)).item()
        sigma2 = best_variance(schedule, left)
        assert self.expected_bound(schedule, sigma2) == pytest.approx(self.entropy + gap, abs=1e-10)

    @pytest.mark.parametrize("kind", ["best", *VARIANCES])
    def test_the_bound_lies_above_the_chains_own_cross_entropy_and_that_above_the_entropy(self, kind):
        sigma2 = best_variance(SCHEDULE, self.pieces(SCHEDULE)[2]) if kind == "best" else VARIANCES[kind]
        found, chain = self.expected_bound(SCHEDULE, sigma2), self.cross_entropy(SCHEDULE, sigma2)
        assert found >= chain - 1e-10 and chain >= self.entropy - 1e-10
        if kind == "best":
            assert found - self.entropy < 0.01

    def test_no_fixed_variance_beats_the_best_one(self):
        best = self.expected_bound(SCHEDULE, best_variance(SCHEDULE, self.pieces(SCHEDULE)[2]))
        assert all(self.expected_bound(SCHEDULE, sigma2) > best + 0.01 for sigma2 in VARIANCES.values())


class TestGreyLevels:
    """The whole `bound` on data whose probabilities are known: -log P(x_0) is never more than it."""

    @staticmethod
    def mean_square(oracle, x0):
        """E[(x_0 - x0_hat)^2] at t = 0 … T."""
        rows = [torch.zeros(())]
        for t in range(1, oracle.schedule.T + 1):
            eps = torch.randn(x0.shape, generator=seeded(t), dtype=x0.dtype)
            rows.append((x0 - oracle.predict(oracle.schedule.q_sample(x0, t, eps), t)[0]).square().mean())
        return torch.stack(rows)

    def test_with_the_exact_denoiser_many_steps_come_close_to_the_density_of_a_mixture(self):
        mixture = GaussianMixture([[-0.4], [0.3], [0.15]], torch.tensor([0.01, 0.003, 0.02]), torch.tensor([3, 3, 4]))
        levels, n, gaps = 20_001, 8_000, {}
        bin_width = 2 / (levels - 1)
        x0 = (mixture.sample(n, seeded()) / bin_width).round() * bin_width
        x0 = x0[x0[:, 0].abs() < 0.95]
        for T, last in ((20, 0.6), (250, 0.06)):
            oracle = Oracle(mixture, NoiseSchedule.linear(T, 1e-4, last))
            sigma2 = best_variance(oracle.schedule, self.mean_square(oracle, x0))
            nats = bound(oracle, x0, levels, sigma2, seeded(1), draws=40).bits_per_dim * math.log(2)
            gap = nats + math.log(bin_width) + mixture.log_prob(x0)
            gaps[T], error = gap.mean().item(), gap.std().item() / math.sqrt(len(x0))
            assert error < 0.015 and gaps[T] > -4 * error
        assert gaps[250] < 0.02 + 4 * error and gaps[20] > gaps[250] + 8 * error

    def test_four_equally_likely_levels_cost_two_bits_each(self):
        levels = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None]
        schedule = NoiseSchedule.linear(500, 1e-4, 0.04)
        oracle, x0 = Oracle(Points(levels), schedule), levels.repeat(300, 1)
        sigma2 = best_variance(schedule, self.mean_square(oracle, x0) + 1e-8)
        bits = bound(oracle, x0, 4, sigma2, seeded(), draws=400).bits_per_dim
        error = bits.std().item() / math.sqrt(len(x0))
        assert error < 0.015 and 2 - 4 * error < bits.mean().item() < 2.02 + 4 * error

    @pytest.mark.parametrize("kind", VARIANCES)
    def test_whatever_the_denoiser_says_its_probabilities_do_not_sum_to_more_than_1(self, kind):
        """exp(-E[bound]) <= P(x_0), for each level, and P sums to 1 over them."""
        levels = torch.linspace(-1, 1, 3, dtype=torch.float64)[:, None]
        x0 = levels.repeat_interleave(4_000, 0)
        for answer in (lambda x_t, t: 0.8 * x_t, lambda x_t, t: (2 * x_t).tanh(), zeros):
            nats = bound(Answers(answer), x0, 3, VARIANCES[kind], seeded()).bits_per_dim * math.log(2)
            each = nats.reshape(3, -1)
            p = (-each.mean(1)).exp()
            error = (p * each.std(1) / math.sqrt(4_000)).square().sum().sqrt()
            assert p.sum() < 1 + 4 * error


@pytest.mark.parametrize("sigma2", VARIANCES.values(), ids=VARIANCES)
def test_a_step_is_the_kl_between_the_posterior_and_the_one_with_x0_hat_in_it(sigma2):
    x0, x0_hat, x_t = images(), images(seed=1), images(seed=2)
    t = torch.tensor([2, 3, 40, 99, 100])
    mean, variance = SCHEDULE.posterior(x0, x_t, t)
    wrong, _ = SCHEDULE.posterior(x0_hat, x_t, t)
    sigma = sigma2[t].sqrt().reshape(-1, 1, 1, 1)
    expected = kl_divergence(Normal(mean, variance.sqrt()), Normal(wrong, sigma)).flatten(1).sum(1)
    found = step_kl(SCHEDULE, t, (x0 - x0_hat).square().flatten(1).sum(1), 16, sigma2)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("t", [2, 70, torch.tensor([2, 3, 40, 99, 100])], ids=str)
def test_a_step_term_asks_at_x_t_and_takes_that_kl(t):
    x0, sigma2 = images(), VARIANCES["odd"]
    denoiser = Answers(lambda x_t, t: 0.3 * x_t)
    found = step_term(denoiser, x0, t, sigma2, seeded(3))
    x_t = SCHEDULE.q_sample(x0, t, torch.randn(x0.shape, generator=seeded(3), dtype=x0.dtype))
    ((seen, asked),) = denoiser.asked
    assert asked.tolist() == torch.as_tensor(t).expand(5).tolist()
    torch.testing.assert_close(seen, x_t, rtol=0, atol=1e-12)
    square = (x0 - 0.3 * x_t).square().flatten(1).sum(1)
    torch.testing.assert_close(found, step_kl(SCHEDULE, asked, square, 16, sigma2), rtol=1e-10, atol=0)


def test_the_prior_term_is_the_kl_of_what_is_left_at_T():
    for schedule in (NoiseSchedule([0.3, 0.5]), NoiseSchedule.linear()):
        x0, one = images(), torch.ones((), dtype=torch.float64)
        left = Normal(schedule.signal(schedule.T) * x0, schedule.noise(schedule.T) * torch.ones_like(x0))
        expected = kl_divergence(left, Normal(0 * one, one)).flatten(1).sum(1)
        torch.testing.assert_close(prior_term(schedule, x0), expected, rtol=1e-6, atol=1e-12)


def test_the_decoder_asks_at_t_1_and_takes_the_mass_of_the_bin():
    x0 = ((images() + 1) * 2.5).round() / 2.5 - 1
    denoiser = Answers(lambda x_t, t: 0.9 * x_t)
    found = decoder_term(denoiser, x0, 6, VARIANCES["odd"], seeded(3))
    x_1 = SCHEDULE.q_sample(x0, 1, torch.randn(x0.shape, generator=seeded(3), dtype=x0.dtype))
    ((seen, asked),) = denoiser.asked
    assert asked.tolist() == [1] * 5
    torch.testing.assert_close(seen, x_1, rtol=0, atol=1e-12)
    expected = -discretized(x0, 0.9 * x_1, VARIANCES["odd"][1].sqrt().item(), 6).flatten(1).sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)


class TestDiscretized:
    @pytest.mark.parametrize("sigma", [0.02, 0.3, 5.0])
    @pytest.mark.parametrize("levels", [2, 17, 256])
    def test_the_bins_share_all_of_the_mass(self, levels, sigma):
        x = torch.linspace(-1, 1, levels, dtype=torch.float64)
        for mu in (-3.0, -0.99, 0.013, 0.5, 1.2):
            log_mass = discretized(x, torch.full_like(x, mu), sigma, levels)
            assert log_mass.exp().sum().item() == pytest.approx(1, abs=1e-12)

    def test_a_bin_holds_the_difference_of_the_distribution_function(self):
        levels, sigma = 9, 0.4
        x = torch.linspace(-1, 1, levels, dtype=torch.float64)
        for mu in (-0.6, 0.0, 0.3):
            edges = [-math.inf, *((x[1:] + x[:-1]) / 2).tolist(), math.inf]
            expected = torch.from_numpy(norm.cdf(edges, mu, sigma)).diff()
            found = discretized(x, torch.full_like(x, mu), sigma, levels).exp()
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)

    def test_it_stays_exact_in_the_far_tails_on_both_sides(self):
        """In a tail the mass is nearly density(edge) sigma^2 / distance, whose log is finite where the mass is not."""
        levels, sigma = 256, 1e-3
        x0 = torch.tensor([[0.2 - 0.2 / 255, -1.0, 1.0]], dtype=torch.float64)
        for shift in (0.3, -0.3):
            mu = x0 + shift
            edge = abs(shift) - 1 / 255
            z = edge / sigma
            found = discretized(x0, mu, sigma, levels)
            expected = -(z**2) / 2 - math.log(z * math.sqrt(2 * math.pi))
            inside = [True, shift > 0, shift < 0]  # the others lie on the open side of an end
            assert found.isfinite().all()
            assert found[0][inside].tolist() == pytest.approx([expected] * sum(inside), rel=1e-6)
            assert found[0][[not value for value in inside]].tolist() == pytest.approx([0.0], abs=1e-12)

    def test_it_mirrors(self):
        x = torch.linspace(-1, 1, 11, dtype=torch.float64)
        mu = images(1, (11,))[0]
        torch.testing.assert_close(discretized(x, mu, 0.05, 11), discretized(-x, -mu, 0.05, 11), rtol=1e-9, atol=1e-12)

    def test_images_in_float32_find_their_ends_too(self):
        x = torch.arange(17) / 8 - 1
        ends = discretized(x[[0, -1]], torch.tensor([-5.0, 5.0]), 0.1, 17)
        assert ends.tolist() == [0.0, 0.0] and ends.dtype == torch.float64


class TestEstimate:
    """The steps of `bound` are the sum over all t, estimated from a few of them."""

    def exact(self, x0, sigma2):
        """Mean and deviation of one draw L_t / p_t for the answer 0, whose squared error depends on no x_t."""
        t = torch.arange(2, SCHEDULE.T + 1)
        p = 1 / t.double()
        p = p / p.sum()
        each = torch.stack([step_kl(SCHEDULE, t, square.expand(len(t)), x0[0].numel(), sigma2) for square in
                            x0.flatten(1).square().sum(1)])  # fmt: skip
        mean = each.sum(1)
        return mean, ((each**2 / p).sum(1) - mean**2).sqrt()

    @pytest.mark.parametrize("sigma2", VARIANCES.values(), ids=VARIANCES)
    def test_many_draws_give_the_sum_over_all_t(self, sigma2):
        x0, draws = on_levels(3, (2,)), 20_000
        mean, deviation = self.exact(x0, sigma2)
        found = bound(Answers(zeros), x0, 5, sigma2, seeded(), draws=draws).steps
        assert ((found - mean).abs() < 4 * deviation / math.sqrt(draws)).all()

    def test_one_draw_is_right_on_average_for_each_image_of_a_batch(self):
        """So no image may always get the early times of the stratified draws."""
        x0, sigma2, repeats, generator = on_levels(4, (2,)), VARIANCES["beta"], 1_000, seeded()
        mean, deviation = self.exact(x0, sigma2)
        found = torch.stack([
            bound(Answers(zeros), x0, 5, sigma2, generator, draws=1).steps for _ in range(repeats)
        ]).mean(0)  # fmt: skip
        assert ((found - mean).abs() < 4 * deviation / math.sqrt(repeats)).all()

    def test_the_times_are_stratified_with_p_proportional_to_1_over_t(self):
        denoiser = Answers(zeros)
        bound(denoiser, on_levels(50, (2,)), 5, VARIANCES["beta"], seeded(), draws=20)
        t = denoiser.asked[0][1].sort().values
        share = (t[:, None] <= torch.arange(2, 101)).double().mean(0)
        p = 1 / torch.arange(2, 101).double()
        assert (share - (p / p.sum()).cumsum(0)).abs().max() <= 1 / 1_000 + 1e-6

    def test_with_x_t_in_it_too_it_agrees_with_every_t_visited_once(self):
        """An answer that depends on x_t: the sum over t of step_term, against the estimate."""
        x0, sigma2 = on_levels(1, (2,)).repeat(400, 1), VARIANCES["beta"]
        denoiser = Answers(lambda x_t, t: 0.5 * x_t)
        every = sum(step_term(denoiser, x0, t, sigma2, seeded(t)) for t in range(2, 101))
        found = bound(denoiser, x0, 5, sigma2, seeded(), draws=20).steps
        error = math.sqrt((every.var() + found.var()).item() / 400)
        assert abs(found.mean() - every.mean()) < 4 * error

    def test_each_image_gets_its_own(self):
        x0 = torch.stack([torch.full((2,), value).double() for value in (0.0, 0.5, 1.0)])
        found = bound(Answers(zeros), x0, 5, VARIANCES["beta"], seeded(), draws=20_000)
        mean, deviation = self.exact(x0, VARIANCES["beta"])
        assert mean.diff().min() > 20 * deviation.max() / math.sqrt(20_000)
        assert (found.steps.diff() > 0).all() and found.prior.shape == found.decoder.shape == (3,)

    def test_the_same_seed_gives_the_same_bytes(self):
        a, b, c = (bound(Answers(zeros), on_levels(), 5, VARIANCES["beta"], seeded(s)) for s in (0, 0, 1))
        assert torch.equal(a.bits_per_dim, b.bits_per_dim) and not torch.equal(a.steps, c.steps)

    def test_a_batch_of_float32_images_gives_the_same_up_to_rounding(self):
        x0 = on_levels()
        wide, narrow = (bound(Answers(zeros), x, 5, VARIANCES["odd"], seeded(), 200) for x in (x0, x0.float()))
        assert narrow.steps.dtype == narrow.prior.dtype == torch.float32
        torch.testing.assert_close(narrow.steps.double(), wide.steps, rtol=1e-4, atol=0)
        torch.testing.assert_close(narrow.prior.double(), wide.prior, rtol=1e-4, atol=1e-6)


def test_the_parts_are_counted_in_bits_for_each_number():
    parts = torch.tensor([[1.0, 0.0], [2.0, 3.0], [5.0, 0.0]]) * math.log(2)
    torch.testing.assert_close(Bound(*parts, dim=4).bits_per_dim, torch.tensor([2.0, 0.75]))
    found = bound(Answers(zeros), on_levels(), 5, VARIANCES["beta"], seeded())
    torch.testing.assert_close(
        found.bits_per_dim * 16 * math.log(2), prior_term(SCHEDULE, on_levels()) + found.steps + found.decoder
    )


def test_the_best_variance_makes_each_step_smallest():
    mean_square = 0.3 * torch.rand(101, generator=seeded(), dtype=torch.float64) + 0.01
    best = best_variance(SCHEDULE, mean_square)
    t = torch.arange(2, 101)
    smallest = step_kl(SCHEDULE, t, 7 * mean_square[t], 7, best)
    for factor in (0.5, 0.9, 0.999, 1.001, 1.1, 2.0):
        assert (step_kl(SCHEDULE, t, 7 * mean_square[t], 7, factor * best) > smallest).all()


def test_the_fixed_variances_are_beta_and_the_posteriors():
    x = torch.zeros(99, 1, dtype=torch.float64)
    t = torch.arange(2, 101)
    assert torch.equal(VARIANCES["beta"], SCHEDULE.beta)
    torch.testing.assert_close(VARIANCES["beta_tilde"][2:], SCHEDULE.posterior(x, x, t)[1][:, 0], rtol=1e-10, atol=0)
    assert VARIANCES["beta_tilde"][1] == VARIANCES["beta_tilde"][2]
    assert len(VARIANCES["beta_tilde"]) == 101


class TestBoundWeight:
    @pytest.mark.parametrize("name", TARGETS)
    def test_it_makes_any_error_in_the_target_the_step_of_the_bound(self, name):
        """lambda |y - y_hat|^2 = k^2 |x_0 - x0_hat|^2 / (2 beta), whatever the answer."""
        target, t = TARGETS[name], torch.arange(1, 101)
        x0, eps, x0_hat = (images(100, (3,), seed) for seed in range(3))
        signal, noise = SCHEDULE.signal(t, x0), SCHEDULE.noise(t, x0)
        eps_hat = (signal * x0 + noise * eps - signal * x0_hat) / noise
        wrong = target.of(x0, eps, signal, noise) - target.of(x0_hat, eps_hat, signal, noise)
        k = SCHEDULE.posterior(torch.ones_like(x0), torch.zeros_like(x0), t)[0][:, 0]
        expected = k**2 * (x0 - x0_hat).square().sum(1) / (2 * SCHEDULE.beta[t])
        found = bound_weight(SCHEDULE, target)[t] * wrong.square().sum(1)
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=0)
        square = (x0 - x0_hat).square().sum(1)[1:]
        steps = step_kl(SCHEDULE, t[1:], square, 3, SCHEDULE.beta)
        constant = step_kl(SCHEDULE, t[1:], 0 * square, 3, SCHEDULE.beta)
        torch.testing.assert_close(found[1:], steps - constant, rtol=1e-8, atol=1e-12)

    def test_for_eps_it_is_the_factor_of_ho_et_al(self):
        schedule = NoiseSchedule.linear()
        beta, alpha, alpha_bar = schedule.beta[1:], schedule.alpha[1:], schedule.alpha_bar[1:]
        expected = beta**2 / (2 * beta * alpha * (1 - alpha_bar))
        torch.testing.assert_close(bound_weight(schedule, EPS)[1:], expected, rtol=1e-8, atol=0)

    def test_a_denoiser_with_it_draws_each_t_as_often_as_it_weighs(self):
        """In 100,000 draws each t's share is its weight's, within five binomial standard errors."""
        weight = bound_weight(SCHEDULE, EPS)
        denoiser = Denoiser(lambda x_t, t: 0 * x_t, SCHEDULE, EPS, weight)
        t = denoiser.draw((100_000, 1), torch.Generator().manual_seed(0), torch.device("cpu"))["t"]
        share, p = t.bincount(minlength=101) / 100_000, weight / weight.sum()
        assert ((share - p).abs() <= 5 * (p * (1 - p) / 100_000).sqrt()).all() and share[0] == 0

    def test_drawing_by_weight_has_the_mean_of_weighing(self):
        """E over weighted t of a function = its weighted mean over all t; strata make it nearly exact."""
        weight = bound_weight(SCHEDULE, V)
        f = torch.arange(101).double().sqrt()
        t = SCHEDULE.draw_times(200_000, torch.Generator().manual_seed(1), weight=weight)
        assert f[t].mean().item() == pytest.approx(((weight * f).sum() / weight.sum()).item(), rel=1e-4)


def test_the_recipe_for_the_bound_differs_from_the_simple_one_in_its_weight_alone():
    on_bound, simple, shipped = (
        build(recipe_named(name)) for name in ("ddpm-digits-bound", "ddpm-digits-simple", "ddpm-digits")
    )
    assert simple.weight is None and shipped.weight is None
    assert on_bound.target is simple.target is EPS and shipped.target.name == "v"
    torch.testing.assert_close(on_bound.weight, bound_weight(NoiseSchedule.linear(), EPS))
    assert torch.equal(on_bound.schedule.beta, simple.schedule.beta)
    for a, b in zip(on_bound.state_dict().values(), simple.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_weight_that_does_not_exist_is_named():
    recipe = recipe_named("ddpm-digits-bound")
    wrong = dataclasses.replace(recipe, options=recipe.options | {"weight": "vlb"})
    with pytest.raises(ValueError, match="there is no weight 'vlb'; choose one of: simple, bound"):
        build(wrong)


X0, TABLE = torch.zeros(3, 1, 4, 4), fixed_variance(SCHEDULE, "beta")
KNOWN = Oracle(GaussianMixture(torch.zeros(1, 16), 0.1), SCHEDULE)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fixed_variance(SCHEDULE, "Beta"), "kind must be one of 'beta', 'beta_tilde'; got 'Beta'"),
        (lambda: fixed_variance(NoiseSchedule([0.1]), "beta_tilde"), "beta_tilde of a single step is 0"),
        (lambda: bound(KNOWN, X0, 17, fixed_variance(NoiseSchedule.linear(), "beta")), r"sigma2 must be .*T \+ 1 = 101"),
        (lambda: bound(KNOWN, X0, 17, -TABLE), "sigma2 must be finite and above 0"),
        (lambda: bound(KNOWN, X0, 17, 0 * TABLE), "sigma2 must be finite and above 0"),
        (lambda: bound(KNOWN, X0, 17, TABLE * math.nan), "sigma2 must be finite and above 0"),
        (lambda: bound(KNOWN, X0, 0, TABLE), "levels must be a whole number of at least 2; got 0"),
        (lambda: bound(KNOWN, X0 + 255, 17, TABLE), r"x0 must lie in \[-1, 1\].*255 … 255"),
        (lambda: bound(KNOWN, X0.long(), 17, TABLE), "x0 must be floating point"),
        (lambda: bound(KNOWN, X0 + 0.1, 17, TABLE), r"x0 must lie on its 17 grey levels; .* 0\.2 of a step"),
        (lambda: bound(KNOWN, X0, 17, TABLE, draws=0), "draws must be a whole number of at least 1"),
        (lambda: step_term(KNOWN, X0, 1, TABLE), "t must lie in 2 … 100; got 1"),
        (lambda: best_variance(SCHEDULE, torch.ones(5)), r"mean_square must be .*T \+ 1"),
        (lambda: discretized(X0, X0, -1.0, 17), "sigma must be a finite number above 0"),
        (lambda: bound_weight(SCHEDULE, "eps"), "target must be EPS, X0 or V"),
    ],
)  # fmt: skip
def test_a_bound_of_what_has_none_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
