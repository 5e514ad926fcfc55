"""The solvers where the solution is known: in one dimension the flow carries quantiles along, and q_t is a formula.

Points that a solver should have reached are found without any ODE: x_t has the same F_t(x_t) as x_T, F_t being the
distribution function of q_t, a mixture. The SDEs are tested on their samples, against the mixture itself.
"""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from scipy.stats import ks_2samp, norm

from course_lib.diffusion import (
    NoiseSchedule,
    Oracle,
    dpm_solver,
    encode,
    euler,
    euler_maruyama,
    heun,
    langevin_step,
    last,
    sample,
    score,
    velocity,
)
from course_lib.exact import GaussianMixture

LINEAR = NoiseSchedule.linear()
SCHEDULES = {"linear": LINEAR, "cosine": NoiseSchedule.cosine()}
BUMPS = GaussianMixture([[-1.5], [1.0], [0.2]], torch.tensor([0.05, 0.08, 0.04]), torch.tensor([0.3, 0.3, 0.4]))
MIXTURE = GaussianMixture(
    [[-1.5, 0.5], [1.0, 1.0], [0.6, -1.4]],
    torch.tensor([[[0.10, 0.06], [0.06, 0.09]], [[0.05, 0], [0, 0.2]], [[0.2, 0.0], [0.0, 0.02]]]),
    torch.tensor([0.3, 0.3, 0.4]),
)


ODES = {"ddim": partial(sample, eta=0.0), "euler": euler, "heun": heun, "dpm_solver": dpm_solver}
SDES = {"euler_maruyama": euler_maruyama, "predictor-corrector": partial(euler_maruyama, corrections=1)}
FALLING = ODES | SDES
SAMPLERS = FALLING | {"encode": encode}


def path(name, times):
    """Falling times, the other way round for the one that rises."""
    return times[::-1] if name == "encode" else times


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def cdf(x, t, schedule=LINEAR):
    """F_t(x) of BUMPS, SciPy's."""
    q = BUMPS.noised(schedule.signal(t), schedule.noise(t))
    return norm.cdf(x.numpy(), q.mean[:, 0].numpy(), q.cov[:, 0, 0].sqrt().numpy()) @ q.weight.numpy()


def carried(x, t, s, schedule=LINEAR):
    """Where the exact flow takes x (n, 1) from t to s: the point of q_s with as much mass to its left. By bisection."""
    level = cdf(x, t, schedule)
    low, high = torch.full_like(x, -8.0), torch.full_like(x, 8.0)
    for _ in range(60):
        middle = (low + high) / 2
        left = torch.from_numpy(cdf(middle, s, schedule) < level)[:, None]
        low, high = torch.where(left, middle, low), torch.where(left, high, middle)
    return (low + high) / 2


class Watched:
    """A predictor that remembers how it was asked. Its answer depends on the condition, if there is one."""

    def __init__(self, predictor):
        self.predictor, self.schedule, self.asked = predictor, predictor.schedule, []

    def predict(self, x_t, t, cond=None):
        self.asked.append((t, cond))
        x0, eps = self.predictor.predict(x_t, t)
        return (x0, eps) if cond is None else (x0 + cond, eps - cond)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("t", [1, 333.3, 990, torch.tensor([1, 7, 300, 600, 999])], ids=str)
def test_the_score_is_the_gradient_of_log_q_t(schedule, t):
    x_t = noise(5, 2)
    found = score(Oracle(MIXTURE, schedule), x_t, t)
    for i, s in enumerate(torch.as_tensor(t, dtype=torch.float64).expand(5).tolist()):
        q = MIXTURE.noised(schedule.signal(s), schedule.noise(s))
        torch.testing.assert_close(found[i : i + 1], q.score(x_t[i : i + 1]), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("t", [3.5, 40, 500, 970.25])
def test_the_velocity_keeps_the_mass_on_the_left_of_every_point(schedule, t):
    """d/dt F_t(x_t) = 0, so v = -(dF_t/dt) / q_t."""
    x, h = torch.linspace(-2.5, 2.5, 41, dtype=torch.float64)[:, None], 1e-3
    t = torch.tensor(t, dtype=torch.float64)
    q = BUMPS.noised(schedule.signal(t), schedule.noise(t)).log_prob(x).exp()
    x, q = x[q > 1e-2], q[q > 1e-2]
    rise = torch.from_numpy(cdf(x, t + h, schedule) - cdf(x, t - h, schedule)) / (2 * h)
    found = velocity(Oracle(BUMPS, schedule), x, t)[:, 0]
    torch.testing.assert_close(found, -rise / q, rtol=1e-5, atol=1e-8)


def test_the_velocity_solves_the_continuity_equation_in_the_plane():
    """dq/dt + div(q v) = 0, by finite differences, at points where q is not tiny."""
    oracle, t, h = Oracle(MIXTURE, LINEAR), torch.tensor(300.0, dtype=torch.float64), 1e-4
    x = MIXTURE.noised(LINEAR.signal(t), LINEAR.noise(t)).sample(50, seeded())

    def density(x, t):
        return MIXTURE.noised(LINEAR.signal(t), LINEAR.noise(t)).log_prob(x).exp()

    rise = (density(x, t + h) - density(x, t - h)) / (2 * h)
    out = torch.zeros(50, dtype=torch.float64)
    for axis in torch.eye(2, dtype=torch.float64):
        ahead, behind = x + h * axis, x - h * axis
        flux = density(ahead, t)[:, None] * velocity(oracle, ahead, t) - density(behind, t)[:, None] * velocity(
            oracle, behind, t
        )
        out += (flux @ axis) / (2 * h)
    torch.testing.assert_close(rise, -out, rtol=1e-4, atol=1e-8)


def test_times_may_differ_within_a_batch():
    x, t = noise(3, 2), torch.tensor([4.5, 300.0, 900.0])
    oracle = Oracle(MIXTURE, LINEAR)
    for function in (score, velocity):
        one_by_one = torch.cat([function(oracle, x[i : i + 1], t[i].item()) for i in range(3)])
        torch.testing.assert_close(function(oracle, x, t), one_by_one, rtol=1e-6, atol=1e-9)


class TestOrder:
    """Halving the steps of a solver of order p divides its error by 2^p."""

    T, END, ORACLE = 1000, 50, Oracle(BUMPS, LINEAR)
    X_T = norm.ppf(np.linspace(0.02, 0.98, 40))
    X_T = torch.from_numpy(X_T)[:, None]
    X_END = carried(X_T, T, END)

    def error(self, solver, steps, start=T, end=END, x=X_T, exact=X_END):
        times = torch.linspace(start, end, steps + 1, dtype=torch.float64).tolist()
        return (last(solver(self.ORACLE, x, times)) - exact).abs().mean().item()

    @pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("ddim", 1), ("heun", 2), ("dpm_solver", 2)])
    def test_the_error_falls_with_the_order_of_the_solver(self, solver, order):
        coarse, fine = (self.error(ODES[solver], steps) for steps in (160, 320))
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)
        assert fine < (2e-2, 1e-3)[order - 1]

    def test_the_encoder_is_ddim_of_order_1_too(self):
        coarse, fine = (self.error(encode, steps, self.END, self.T, self.X_END, self.X_T) for steps in (160, 320))
        assert math.log2(coarse / fine) == pytest.approx(1, abs=0.15)
        assert fine < 2e-2

    def test_uneven_steps_do_not_cost_the_multistep_solver_its_order(self):
        """h and h_before differ by a factor of 3 from step to step."""

        def times(steps):
            even = torch.linspace(self.T, self.END, steps + 1, dtype=torch.float64)
            even[1::2] += (even[2::2] - even[1::2]) / 2
            return even.tolist()

        errors = [
            (last(dpm_solver(self.ORACLE, self.X_T, times(steps))) - self.X_END).abs().mean().item()
            for steps in (160, 320)
        ]
        assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)

    @pytest.mark.parametrize("solver", ODES)
    def test_down_to_time_0_it_ends_near_the_datas_own_quantiles(self, solver):
        x = last(ODES[solver](self.ORACLE, self.X_T, LINEAR.times(1000)))
        assert (x - carried(self.X_T, self.T, 0)).abs().max() < 0.02


def test_a_euler_step_goes_along_the_velocity():
    oracle, x = Oracle(MIXTURE, LINEAR), noise(6, 2)
    first, second = euler(oracle, x, [700, 640.5, 600])
    torch.testing.assert_close(first.x_t, x - 59.5 * velocity(oracle, x, 700), rtol=0, atol=1e-12)
    expected = first.x_t - 40.5 * velocity(oracle, first.x_t, 640.5)
    torch.testing.assert_close(second.x_t, expected, rtol=0, atol=1e-12)


def test_a_heun_step_is_the_trapezoid_in_signal_over_noise():
    """d(x/noise) / d(signal/noise) = x0: Euler's step to s, then the mean of the slopes at both of its ends."""
    oracle, x, t, s = Oracle(MIXTURE, LINEAR), noise(6, 2), 700, 500
    scaled = x / LINEAR.noise(t)
    step = LINEAR.signal(s) / LINEAR.noise(s) - LINEAR.signal(t) / LINEAR.noise(t)
    slope = oracle.predict(x, t)[0]
    ahead = oracle.predict(LINEAR.noise(s) * (scaled + step * slope), s)[0]
    expected = LINEAR.noise(s) * (scaled + step * (slope + ahead) / 2)
    torch.testing.assert_close(last(heun(oracle, x, [t, s])), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["heun", "dpm_solver"])
def test_few_steps_from_where_the_signal_is_nearly_0_do_not_explode(name):
    """The cosine schedule ends at a signal of 5e-5, by which nothing may be divided."""
    schedule = SCHEDULES["cosine"]
    oracle, x_T = Oracle(BUMPS, schedule), noise(200, 1)
    exact = carried(x_T, 1000, 0, schedule)
    for steps in (3, 10):
        found, ddims = (last(solver(oracle, x_T, schedule.times(steps))) for solver in (ODES[name], ODES["ddim"]))
        assert found.abs().max() < 2.5
        assert (found - exact).abs().mean() < (ddims - exact).abs().mean()


@pytest.mark.parametrize("name", ["heun", "dpm_solver"])
def test_a_single_step_to_0_is_ddims(name):
    oracle, x = Oracle(MIXTURE, LINEAR), noise(6, 2)
    torch.testing.assert_close(
        last(ODES[name](oracle, x, [300, 0])), last(ODES["ddim"](oracle, x, [300, 0])), rtol=0, atol=1e-12
    )


class TestDiffusers:
    """The same steps by an independent library, in float32. Its t is one less than ours: 0 is the first noisy time."""

    STEPS = 20
    COMMON = {
        "num_train_timesteps": 1000, "trained_betas": LINEAR.beta[1:].numpy(), "timestep_spacing": "trailing",
        "prediction_type": "epsilon",
    }  # fmt: skip

    def compare(self, ours, scheduler, **options):
        oracle = Oracle(MIXTURE, LINEAR)
        x = x_T = noise(200, 2).float()
        scheduler.set_timesteps(self.STEPS)
        times = LINEAR.times(self.STEPS)
        assert [t + 1 for t in scheduler.timesteps.tolist()] == times[:-1]
        states = ours(oracle, x_T, times)
        for t, state in zip(scheduler.timesteps.tolist(), states, strict=True):
            x = scheduler.step(oracle.predict(x, t + 1)[1], t, x, **options).prev_sample
            assert state.x_t.dtype == torch.float32
            torch.testing.assert_close(state.x_t, x, rtol=0, atol=1e-4)

    def test_ddpm(self):
        self.compare(
            lambda *a: sample(*a, eta=1.0, generator=seeded(5)),
            DDPMScheduler(**self.COMMON, clip_sample=False, variance_type="fixed_small"),
            generator=seeded(5),
        )

    @pytest.mark.parametrize("eta", [0.0, 0.6])
    def test_ddim_and_what_lies_between(self, eta):
        self.compare(
            lambda *a: sample(*a, eta=eta, generator=seeded(5)),
            DDIMScheduler(**self.COMMON, clip_sample=False, set_alpha_to_one=True),
            eta=eta,
            generator=seeded(5),
        )

    def test_dpm_solver(self):
        self.compare(
            dpm_solver,
            DPMSolverMultistepScheduler(**self.COMMON, algorithm_type="dpmsolver++", final_sigmas_type="zero"),
        )


class TestTwoSamples:
    """Does an SDE end in the mixture? Kolmogorov and Smirnov's two-sample test on log p(x), as for `sample`."""

    N, STEPS = 4_000, 1000
    NARROW = GaussianMixture([[-1.5], [1.0], [0.2]], torch.tensor([0.01, 0.04, 0.02]), torch.tensor([0.3, 0.3, 0.4]))
    ORACLE = Oracle(NARROW, LINEAR)

    def p_value(self, x, at=0):
        q = self.NARROW.noised(LINEAR.signal(at), LINEAR.noise(at))
        truth = q.sample(self.N, seeded(2))
        return min(ks_2samp(f(x), f(truth)).pvalue for f in (q.log_prob, torch.flatten))

    def walk(self, update):
        """Euler-Maruyama written out by hand."""
        x, generator = noise(self.N, 1), seeded(1)
        for t, s in pairwise(LINEAR.times(self.STEPS)):
            beta = LINEAR.beta[t]
            x = update(x, score(self.ORACLE, x, t), beta, torch.randn(x.shape, generator=generator).double() * (s > 0))
        return x

    @pytest.mark.parametrize("name", SDES)
    def test_with_the_exact_score_the_reverse_sde_reaches_the_mixture(self, name):
        steps = self.STEPS if name == "euler_maruyama" else self.STEPS // 2
        x = last(SDES[name](self.ORACLE, noise(self.N, 1), LINEAR.times(steps), generator=seeded(1)))
        assert self.p_value(x) > 0.01

    def test_the_same_loop_by_hand_does_too(self):
        assert self.p_value(self.walk(lambda x, s, beta, z: x + beta * (x / 2 + s) + beta.sqrt() * z)) > 0.01

    @pytest.mark.parametrize(
        "update",
        [
            lambda x, s, beta, z: x + beta * (x / 2 + s) + beta * z,
            lambda x, s, beta, z: x + beta * (x / 2 + s / 2) + beta.sqrt() * z,
            lambda x, s, beta, z: x + beta * (-x / 2 + s) + beta.sqrt() * z,
        ],
        ids=["without the square root", "with the ODE's half score", "with the wrong sign"],
    )
    def test_a_broken_one_is_caught(self, update):
        assert self.p_value(self.walk(update)) < 1e-6

    def test_correctors_mend_a_predictor_that_takes_too_few_steps(self):
        q, times = self.NARROW.noised(LINEAR.signal(100), LINEAR.noise(100)), [1000, 700, 400, 250, 100]
        truth = q.log_prob(q.sample(self.N, seeded(2)))
        none, some = (
            last(euler_maruyama(self.ORACLE, noise(self.N, 1), times, generator=seeded(1), corrections=n))
            for n in (0, 20)
        )
        assert ks_2samp(q.log_prob(some), truth).statistic < 0.5 * ks_2samp(q.log_prob(none), truth).statistic

    @pytest.mark.parametrize("t", [60, 400.5])
    def test_langevin_steps_leave_q_t_as_it_is(self, t):
        x, generator = self.NARROW.noised(LINEAR.signal(t), LINEAR.noise(t)).sample(self.N, seeded(4)), seeded(1)
        start = x
        for _ in range(60):
            x = langevin_step(self.ORACLE, x, t, generator=generator, r=0.08)
        assert self.p_value(x, at=t) > 0.01
        assert np.corrcoef(x.flatten(), start.flatten())[0, 1] < 0.99  # and yet the points moved

    def test_langevin_steps_bring_points_from_elsewhere_to_q_t(self):
        x, generator = noise(self.N, 1) + 1, seeded(1)
        assert self.p_value(x, at=400) < 1e-6
        for _ in range(400):
            x = langevin_step(self.ORACLE, x, 400, generator=generator, r=0.08)
        assert self.p_value(x, at=400) > 0.01


@pytest.mark.parametrize("r", [0.05, 0.16, 0.4])
def test_on_a_gaussian_langevin_steps_settle_at_the_variance_that_their_size_allows(r):
    """x <- (1 - a) x + sqrt(2 a) s z with a = size/s^2 has the variance s^2 / (1 - a/2) in the end."""
    gauss, t, n = Oracle(GaussianMixture([[0.0]], 0.5), LINEAR), 400, 20_000
    s2 = LINEAR.signal(t) ** 2 * 0.5 + LINEAR.noise(t) ** 2
    a = 2 * (r * LINEAR.noise(t)) ** 2 / s2
    x, generator = s2.sqrt() / (1 - a / 2).sqrt() * noise(n, 1, seed=3), seeded(1)
    for _ in range(5):
        before, x = x, langevin_step(gauss, x, t, generator=generator, r=r)
    assert x.var().item() == pytest.approx((s2 / (1 - a / 2)).item(), rel=5 * math.sqrt(2 / n))
    moved = x - (1 - a) * before
    assert moved.var().item() == pytest.approx((2 * a * s2).item(), rel=5 * math.sqrt(2 / n))


def test_euler_maruyama_takes_one_noise_a_step_and_none_for_the_last():
    oracle, x, generator = Oracle(MIXTURE, LINEAR), noise(20, 2), seeded(1)
    first, second = euler_maruyama(oracle, x, [200, 150, 0], generator=seeded(1))
    log_signal = LINEAR.signal(
        torch.tensor([200 - 1e-4, 200 + 1e-4, 150 - 1e-4, 150 + 1e-4], dtype=torch.float64)
    ).log()
    beta = (-log_signal.diff() / 1e-4)[[0, 2]].tolist()  # -d log alpha_bar / dt
    z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    expected = x + 50 * beta[0] * (x / 2 + score(oracle, x, 200)) + math.sqrt(50 * beta[0]) * z
    torch.testing.assert_close(first.x_t, expected, rtol=0, atol=1e-6)
    expected = first.x_t + 150 * beta[1] * (first.x_t / 2 + score(oracle, first.x_t, 150))
    torch.testing.assert_close(second.x_t, expected, rtol=0, atol=1e-6)


def test_corrections_are_langevin_steps_at_the_new_time_with_their_own_noise():
    oracle, x, generator = Oracle(MIXTURE, LINEAR), noise(6, 2), seeded(1)
    (found,) = euler_maruyama(oracle, x, [200, 150], generator=seeded(1), corrections=2, r=0.3)
    expected = last(euler_maruyama(oracle, x, [200, 150], generator=generator))
    for _ in range(2):
        expected = langevin_step(oracle, expected, 150, generator=generator, r=0.3)
    assert torch.equal(found.x_t, expected)
    plain = last(euler_maruyama(oracle, x, [150, 0]))
    assert torch.equal(last(euler_maruyama(oracle, x, [150, 0], corrections=2)), plain)


class TestThereAndBack:
    ORACLE = Oracle(MIXTURE, LINEAR)
    X0 = MIXTURE.sample(100, seeded())

    def test_an_image_that_was_encoded_is_sampled_again_the_better_the_more_steps(self):
        errors = []
        for steps in (50, 100, 200):
            times = LINEAR.times(steps)
            x_T = last(encode(self.ORACLE, self.X0, times[::-1]))
            errors.append((last(ODES["ddim"](self.ORACLE, x_T, times)) - self.X0).abs().mean().item())
        assert errors[0] > 1.7 * errors[1] > 1.7**2 * errors[2] and errors[2] < 0.03

    def test_what_it_is_encoded_to_looks_like_noise(self):
        x0 = BUMPS.sample(2_000, seeded())
        x_T = last(encode(Oracle(BUMPS, LINEAR), x0, LINEAR.times(250)[::-1]))
        assert ks_2samp(x_T.flatten(), noise(2_000, seed=1)).pvalue > 0.01

    def test_each_image_has_its_own_noise_which_no_generator_decides(self):
        a, b = (last(encode(self.ORACLE, self.X0, [0, 100, 1000])) for _ in range(2))
        assert torch.equal(a, b) and a.unique(dim=0).shape == a.shape

    def test_the_first_step_up_starts_at_the_image_itself(self):
        watched = Watched(self.ORACLE)
        first, _ = encode(watched, self.X0, [0, 40, 80])
        eps = self.ORACLE.predict(self.X0, 1)[1]
        assert [t for t, _ in watched.asked] == [1, 40]
        torch.testing.assert_close(first.x_t, LINEAR.q_sample(self.X0, 40, eps), rtol=0, atol=1e-12)
        assert torch.equal(first.x0, self.X0)


class TestEverySampler:
    ORACLE = Oracle(MIXTURE, LINEAR)

    @pytest.mark.parametrize("name", SAMPLERS)
    def test_it_yields_each_state_with_its_time_and_can_be_stopped(self, name):
        states = []
        for state in SAMPLERS[name](self.ORACLE, noise(5, 2), path(name, [900, 600.5, 200, 100])):
            states.append(state)
            if len(states) == 2:
                break
        assert [s.t for s in states] == ([200, 600.5] if name == "encode" else [600.5, 200])
        assert all(s.x_t.shape == s.x0.shape == s.eps.shape == (5, 2) for s in states)

    @pytest.mark.parametrize("name", FALLING)
    def test_its_x0_and_eps_are_what_x_was_made_of(self, name):
        """They explain the x_t before the step (Heun's, with the mean eps, too)."""
        x_T = noise(5, 2)
        first = next(iter(FALLING[name](self.ORACLE, x_T, [900, 600])))
        torch.testing.assert_close(
            LINEAR.signal(900) * first.x0 + LINEAR.noise(900) * first.eps, x_T, rtol=0, atol=1e-10
        )

    @pytest.mark.parametrize(
        ("times", "message"),
        [
            ([0, 50, 100], "times must fall"),
            ([100], "at least two"),
            ([], "at least two"),
            ([100, 50, 50, 0], "times must fall"),
            ([1001, 0], r"0 … 1000"),
            ([10, -1], r"0 … 1000"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("name", FALLING)
    def test_times_that_do_not_fall_or_leave_the_schedule_are_named_before_anything_is_computed(
        self, name, times, message
    ):
        watched = Watched(self.ORACLE)
        with pytest.raises(ValueError, match=message):
            FALLING[name](watched, noise(2, 2), times)
        assert watched.asked == []

    @pytest.mark.parametrize("times", [[100, 50, 0], [100], [0, 50, 50, 100], [0, 1001], [-1, 10]], ids=str)
    def test_the_encoders_must_rise_and_stay_inside(self, times):
        with pytest.raises(ValueError, match=r"times must"):
            encode(self.ORACLE, noise(2, 2), times)

    @pytest.mark.parametrize("times", [[100, 50, 0], [0, 50, 50, 100]], ids=str)
    def test_the_encoder_says_that_they_must_rise_and_shows_them_as_given(self, times):
        with pytest.raises(ValueError, match=r"times must rise.*got \[" + str(times[0])):
            encode(self.ORACLE, noise(2, 2), times)

    @pytest.mark.parametrize("name", SDES)
    def test_the_same_seed_gives_the_same_bytes_and_another_one_others(self, name):
        a, b, c = (last(SDES[name](self.ORACLE, noise(9, 2), LINEAR.times(5), generator=seeded(s))) for s in (5, 5, 6))
        assert torch.equal(a, b) and not torch.allclose(a, c)

    @pytest.mark.parametrize("name", [*ODES, "encode"])
    def test_an_ode_draws_nothing(self, name):
        torch.manual_seed(0)
        before = torch.get_rng_state()
        a, b = (last(SAMPLERS[name](self.ORACLE, noise(9, 2), path(name, LINEAR.times(5)))) for _ in range(2))
        assert torch.equal(a, b) and torch.equal(before, torch.get_rng_state())

    @pytest.mark.parametrize(
        ("name", "calls"),
        [("ddim", 5), ("euler", 5), ("heun", 9), ("dpm_solver", 5), ("euler_maruyama", 5), ("predictor-corrector", 9),
         ("encode", 5)],
    )  # fmt: skip
    def test_it_asks_the_network_as_often_as_it_says_and_hands_on_the_condition(self, name, calls):
        watched, cond = Watched(self.ORACLE), torch.tensor(0.1, dtype=torch.float64)
        times = path(name, LINEAR.times(5))
        x = last(SAMPLERS[name](watched, noise(4, 2), times, cond=cond))
        assert len(watched.asked) == calls and all(c is cond for _, c in watched.asked)
        assert {t for t, _ in watched.asked} <= {*times, 1} - {0}
        assert x.isfinite().all()

    @pytest.mark.parametrize("name", SAMPLERS)
    def test_images_keep_their_shape_and_dtype(self, name):
        mixture = GaussianMixture(noise(3, 12), 0.2)
        x = last(SAMPLERS[name](Oracle(mixture, LINEAR), noise(2, 3, 2, 2).float(), path(name, LINEAR.times(10))))
        assert x.shape == (2, 3, 2, 2) and x.dtype == torch.float32 and x.isfinite().all()

    @pytest.mark.parametrize("name", SAMPLERS)
    def test_no_gradients_pile_up(self, name):
        x = noise(4, 2).requires_grad_(True)
        assert not last(SAMPLERS[name](self.ORACLE, x, path(name, LINEAR.times(3)))).requires_grad
