"""The noise schedule against the identities of the paper, brute-force Bayes, and its own shape contract."""

import math

import pytest
import torch
from scipy.interpolate import PchipInterpolator

from course_lib.diffusion import NoiseSchedule

SCHEDULES = {
    "linear": NoiseSchedule.linear(),
    "cosine": NoiseSchedule.cosine(),
    "short": NoiseSchedule([0.1, 0.4, 0.9]),
    "one step": NoiseSchedule([0.5]),
}


@pytest.fixture(params=SCHEDULES, name="schedule")
def _schedule(request):
    return SCHEDULES[request.param]


def test_alpha_bar_is_the_product_of_the_alphas_and_1_at_time_0(schedule):
    product = 1.0
    assert schedule.alpha_bar[0] == 1
    for t in range(1, schedule.T + 1):
        product *= 1 - schedule.beta[t].item()
        assert schedule.alpha_bar[t].item() == pytest.approx(product, rel=1e-10)


def test_signal_and_noise_are_the_square_roots_of_alpha_bar_and_the_rest(schedule):
    t = torch.arange(schedule.T + 1)
    torch.testing.assert_close(schedule.signal(t) ** 2, schedule.alpha_bar, rtol=0, atol=1e-10)
    torch.testing.assert_close(schedule.noise(t) ** 2, 1 - schedule.alpha_bar, rtol=0, atol=1e-10)
    torch.testing.assert_close(
        schedule.snr(t[1:]), (schedule.alpha_bar / (1 - schedule.alpha_bar))[1:], rtol=1e-9, atol=0
    )


def test_the_linear_schedule_is_the_papers():
    schedule = NoiseSchedule.linear()
    assert (schedule.beta[1].item(), schedule.beta[1000].item()) == pytest.approx((1e-4, 0.02))
    assert schedule.alpha_bar[1000].item() == pytest.approx(4.0358e-5, rel=1e-4)


def test_the_cosine_schedule_is_the_papers():
    schedule, t = NoiseSchedule.cosine(), 400
    f = [math.cos((s / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for s in (t, 0)]
    assert schedule.alpha_bar[t].item() == pytest.approx(f[0] / f[1], rel=1e-10)
    assert schedule.beta.max().item() == 0.999


@pytest.mark.parametrize("name", ["linear", "cosine", "short"])
def test_between_whole_times_signal_falls_smoothly_and_agrees_at_them(name):
    schedule = SCHEDULES[name]
    t = torch.linspace(0, schedule.T, 20 * schedule.T + 1, dtype=torch.float64)
    signal = schedule.signal(t)
    assert (signal.diff() < 0).all()
    torch.testing.assert_close(signal[::20], schedule.signal(torch.arange(schedule.T + 1)), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(signal**2 + schedule.noise(t) ** 2, torch.ones_like(t), rtol=0, atol=1e-12)


def test_the_slope_of_log_alpha_bar_has_no_kink_at_whole_times():
    schedule = NoiseSchedule.linear()
    for t in (1.0, 250.0, 999.0):
        sides = []
        for side in (t - 1e-7, t + 1e-7):
            at = torch.tensor(side, dtype=torch.float64, requires_grad=True)
            schedule.signal(at).log().backward()
            sides.append(at.grad.item())
        assert sides[0] == pytest.approx(sides[1], rel=1e-5)


@pytest.mark.parametrize("name", ["linear", "cosine", "short"])
def test_the_rates_are_the_slopes_of_signal_and_noise(name):
    """By central differences; also at whole times, where two pieces of the curve meet, and near both ends."""
    schedule = SCHEDULES[name]
    T = schedule.T
    t = torch.tensor([0.01, 0.4, 1.0, 1.5, T / 2, T - 1.0, T - 0.75, T - 0.01], dtype=torch.float64)
    h = 1e-5
    for function, found in zip((schedule.signal, schedule.noise), schedule.rates(t), strict=True):
        torch.testing.assert_close(found, (function(t + h) - function(t - h)) / (2 * h), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rates_are_what_autograd_finds_on_both_sides_of_every_whole_time(name):
    schedule = SCHEDULES[name]
    whole = torch.arange(1, schedule.T, dtype=torch.float64)
    t = torch.cat([whole - 1e-9, whole + 1e-9, whole + 0.3, torch.tensor([0.5, schedule.T - 1e-9]).double()])
    t.requires_grad_(True)
    for function, found in zip((schedule.signal, schedule.noise), schedule.rates(t), strict=True):
        (slope,) = torch.autograd.grad(function(t).sum(), t)
        torch.testing.assert_close(found, slope, rtol=1e-6, atol=1e-12)


def log_alpha_bar(schedule, t):
    return 2 * schedule.signal(torch.as_tensor(t, dtype=torch.float64)).log()


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_between_whole_times_log_alpha_bar_is_the_monotone_cubic_of_fritsch_and_butland(name):
    """SciPy's, which takes other slopes at the two ends only."""
    schedule = SCHEDULES[name]
    whole = torch.arange(schedule.T + 1)
    t = torch.arange(1, schedule.T - 1).double()[:, None] + torch.tensor([0.2, 0.5, 0.7]).double()
    expected = PchipInterpolator(whole, log_alpha_bar(schedule, whole))(t)
    torch.testing.assert_close(log_alpha_bar(schedule, t), torch.from_numpy(expected), rtol=0, atol=1e-11)


def test_at_both_ends_log_alpha_bar_is_no_longer_bent():
    schedule = SCHEDULES["linear"]
    step = torch.arange(4).double() / 3
    second = 9 * torch.tensor([2.0, -5.0, 4.0, -1.0]).double()  # the second derivative of a cubic, exactly
    for t in (step, schedule.T - step):
        assert abs(second @ log_alpha_bar(schedule, t)) < 1e-8
    middle = second @ log_alpha_bar(schedule, 500 + step)
    assert abs(middle) > 1e-5, "elsewhere it is"


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rates_reach_both_ends(name):
    schedule = SCHEDULES[name]
    h = 1e-6
    at_the_end = torch.tensor([schedule.T - 2 * h, schedule.T - h, schedule.T], dtype=torch.float64)
    for function, found in zip((schedule.signal, schedule.noise), schedule.rates(schedule.T), strict=True):
        a, b, c = function(at_the_end)
        assert found.item() == pytest.approx(((3 * c - 4 * b + a) / (2 * h)).item(), rel=1e-3, abs=1e-9)
    signal_rate, noise_rate = schedule.rates(0)
    assert signal_rate.item() == pytest.approx(((schedule.signal(torch.tensor(h).double()) - 1) / h).item(), rel=1e-3)
    assert noise_rate.item() == math.inf
    assert schedule.rates(1e-6)[1] > 10 * schedule.rates(min(schedule.T, 1))[1] > 0


def test_whole_times_and_real_ones_have_the_same_rates_which_come_as_the_images_do():
    schedule, images = NoiseSchedule.linear(), torch.zeros(3, 1, 4, 4)
    for whole, real in zip(
        schedule.rates(torch.tensor([1, 500, 1000])), schedule.rates(torch.tensor([1.0, 500.0, 1000.0])), strict=True
    ):
        torch.testing.assert_close(whole, real, rtol=1e-12, atol=0)
    one, each = schedule.rates(500, images), schedule.rates(torch.tensor([1, 500, 1000]), images)
    assert all(rate.shape == () and rate.dtype == torch.float32 for rate in one)
    assert all(rate.shape == (3, 1, 1, 1) and rate.dtype == torch.float32 for rate in each)
    for a, b, c in zip(one, each, schedule.rates(500), strict=True):
        assert a == b[1, 0, 0, 0] and a.item() == pytest.approx(c.item(), rel=1e-6)
    with pytest.raises(ValueError, match=r"t must lie in 0 … 1000"):
        schedule.rates(1000.5)


def test_at_time_0_there_is_no_noise_not_even_a_negative_zero():
    """1 / noise(0) and log snr(0) must be +inf: a step of DPM-Solver to t = 0 needs them."""
    schedule = NoiseSchedule.linear()
    for t in (0, 0.0, torch.tensor(0), torch.zeros((), dtype=torch.float64)):
        assert schedule.noise(t) == 0 and not torch.signbit(schedule.noise(t))
        assert (schedule.signal(t) / schedule.noise(t)).log() == math.inf


def test_a_real_time_keeps_all_its_digits():
    schedule = NoiseSchedule.linear()
    exact = torch.tensor(500.1, dtype=torch.float64)
    for function in (schedule.signal, schedule.noise, lambda t: schedule.rates(t)[0]):
        assert function(500.1).item() == pytest.approx(function(exact).item(), rel=1e-14)


def test_the_posterior_is_bayes_rule_on_a_grid():
    schedule, x0, x_t = NoiseSchedule.linear(50, 0.01, 0.3), 0.6, -0.4
    x = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    for t in (2, 17, 50):
        before, alpha, beta = schedule.alpha_bar[t - 1], schedule.alpha[t], schedule.beta[t]
        log_p = -((x - before.sqrt() * x0) ** 2) / (2 * (1 - before)) - (x_t - alpha.sqrt() * x) ** 2 / (2 * beta)
        p = log_p.softmax(0)
        mean = (p * x).sum()
        found_mean, found_variance = schedule.posterior(*torch.tensor([[[x0]], [[x_t]]], dtype=torch.float64), t)
        assert found_mean.item() == pytest.approx(mean.item(), abs=1e-10)
        assert found_variance.item() == pytest.approx((p * (x - mean) ** 2).sum().item(), abs=1e-10)


def test_at_the_first_step_the_posterior_is_x0_itself(schedule):
    x0, x_1 = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean, variance = schedule.posterior(x0, x_1, 1)
    torch.testing.assert_close(mean, x0, rtol=0, atol=1e-12)
    assert variance.item() == 0


def test_t_may_be_one_number_or_one_for_each_image():
    schedule, images = NoiseSchedule.linear(), torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    eps = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    each = schedule.q_sample(images, torch.tensor([5, 500, 1000]), eps)
    for i, t in enumerate((5, 500, 1000)):
        torch.testing.assert_close(each[i : i + 1], schedule.q_sample(images[i : i + 1], t, eps[i : i + 1]))
    assert each.shape == images.shape and each.dtype == torch.float32


def test_a_batch_of_t_as_wide_as_the_images_is_not_broadcast_over_their_columns():
    schedule = NoiseSchedule.linear()
    with pytest.raises(ValueError, match="one for each of the 2 images"):
        schedule.q_sample(torch.zeros(2, 1, 8, 8), torch.arange(1, 9), torch.zeros(2, 1, 8, 8))
    square = torch.ones(8, 8)
    assert (schedule.signal(torch.arange(1, 9), square) * square).std(1).max() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_results_come_in_the_dtype_of_the_images(dtype):
    x = torch.zeros(4, 2, dtype=dtype)
    schedule = NoiseSchedule.linear()
    assert schedule.q_sample(x, torch.tensor([1, 2, 3, 4]), x).dtype == dtype
    assert {value.dtype for value in schedule.posterior(x, x, 7)} == {dtype}


@pytest.mark.parametrize("t", [-1, 1001, torch.tensor([3, 2000]), 1000.5])
def test_a_time_outside_the_schedule_is_an_error_that_names_the_range(t):
    with pytest.raises(ValueError, match=r"t must lie in 0 … 1000"):
        NoiseSchedule.linear().signal(t)


def test_a_posterior_has_no_time_0():
    with pytest.raises(ValueError, match=r"1 … 1000; got 0"):
        NoiseSchedule.linear().posterior(torch.zeros(1, 2), torch.zeros(1, 2), 0)


@pytest.mark.parametrize("betas", [[0.1, 0.0], [1.0], [-0.2], [float("nan")]])
def test_a_beta_outside_0_to_1_is_an_error(betas):
    with pytest.raises(ValueError, match=r"every beta must lie in \(0, 1\)"):
        NoiseSchedule(betas)


def test_no_betas_and_shapes_that_do_not_fit_are_errors():
    with pytest.raises(ValueError, match="at least one number"):
        NoiseSchedule([])
    with pytest.raises(ValueError, match=r"eps must have x0's shape \(2, 1, 8, 8\)"):
        NoiseSchedule.linear().q_sample(torch.zeros(2, 1, 8, 8), 3, torch.zeros(2, 8, 8))
    with pytest.raises(ValueError, match="one shape"):
        NoiseSchedule.linear().posterior(torch.zeros(2, 3), torch.zeros(3, 2), 3)


@pytest.mark.parametrize("steps", [1, 2, 7, 50, 999, 1000])
def test_a_path_of_times_falls_from_T_to_0(steps):
    times = NoiseSchedule.linear().times(steps)
    assert len(times) == steps + 1 and (times[0], times[-1]) == (1000, 0)
    assert all(a > b for a, b in zip(times, times[1:], strict=False))
    assert all(abs(t - 1000 * (1 - i / steps)) <= 0.5 for i, t in enumerate(times)), "the nearest to even steps"


@pytest.mark.parametrize("steps", [0, 1001, -3])
def test_a_path_with_more_steps_than_times_is_an_error(steps):
    with pytest.raises(ValueError, match=r"steps must lie in 1 … 1000"):
        NoiseSchedule.linear().times(steps)


def test_drawn_times_are_stratified_and_each_is_equally_likely():
    schedule = NoiseSchedule.linear(10, 0.01, 0.2)
    t = torch.stack([schedule.draw_times(4, torch.Generator().manual_seed(i)) for i in range(20_000)])
    strata = torch.tensor([[1, 3], [3, 5], [6, 8], [8, 10]])
    assert ((t >= strata[:, 0]) & (t <= strata[:, 1])).all()
    share = t.flatten().bincount(minlength=11)[1:] / t.numel()
    assert (share - 0.1).abs().max() < 5 * math.sqrt(0.1 * 0.9 / t.numel())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.signal(True), "t must hold real numbers; got True"),
        (lambda s: s.signal(torch.tensor([True])), "t must be real numbers; got torch.bool"),
        (lambda s: s.signal("3"), "t must hold real numbers"),
        (lambda s: s.posterior(torch.zeros(1, 2), torch.zeros(1, 2), 3.5), "t must be whole numbers"),
        (lambda s: s.q_sample(torch.zeros(2, 3).long(), 5, torch.zeros(2, 3)), "x0 must be floating point.*int64"),
        (lambda s: s.q_sample(torch.zeros(2, 3), 5, torch.zeros(2, 3).to(torch.uint8)), "eps must be floating point"),
        (lambda s: s.draw_times(0), "n must be a whole number of at least 1; got 0"),
        (lambda s: s.draw_times(3, weight=torch.ones(3)), r"weight must be a tensor of T \+ 1"),
        (lambda s: s.times(2.5), "steps must be a whole number in 1 … 1000; got 2.5"),
        (lambda s: NoiseSchedule.linear(T=0), "T must be a whole number of at least 1"),
        (lambda s: NoiseSchedule.cosine(offset=-1), "offset must be a finite number of at least 0"),
        (lambda s: NoiseSchedule([float("nan")]), r"every beta must lie in \(0, 1\)"),
    ],
)
def test_times_and_images_of_another_kind_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(NoiseSchedule.linear())


def test_a_time_in_8_bit_is_a_time_and_no_mask():
    schedule, t = NoiseSchedule.linear(), torch.tensor([3, 200], dtype=torch.uint8)
    assert torch.equal(schedule.signal(t), schedule.signal(t.long()))


@pytest.mark.parametrize("factor", [1e-300, 1e-35, 1e35, 1e300])
def test_weights_whose_sum_float32_can_not_hold_are_refused(factor):
    """They were drawn as t = 1 for ever: the sum became 0, or infinite."""
    weight = factor * torch.ones(4, dtype=torch.float64)
    with pytest.raises(ValueError, match="the sum of weight must lie in 1e-30 … 1e30; got 3e"):
        SCHEDULES["short"].draw_times(5, weight=weight)
