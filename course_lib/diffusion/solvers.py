"""Other ways from noise to data: the score, the SDE and the ODE behind DDPM and DDIM. Lesson 09 derives each.

Samplers are called as `sample` is, with the same arguments in the same order. With sigma = noise/signal, the noise in
the scale of the data, the probability-flow ODE has the simplest form there is,  d(x/signal) / d sigma = eps(x, t).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Generator, Tensor

from course_lib import checks
from course_lib.diffusion.denoiser import Predictor, check_predictor
from course_lib.diffusion.sampling import State, sample, sampler


def score(denoiser: Predictor, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> Tensor:
    """The gradient of log q_t at x_t, which is -eps / noise (Vincent 2011; Song et al. 2021, sec. 3); t above 0."""
    schedule = check_predictor(denoiser).schedule
    noise = schedule.noise(schedule.check(t, noisy=True), x_t)
    return -denoiser.predict(x_t, t, cond)[1] / noise


def velocity(denoiser: Predictor, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> Tensor:
    """dx/dt along the probability flow: signal'(t) x0 + noise'(t) eps, for t above 0 (Song et al. 2021, eq. 13; lesson 13)."""
    schedule = check_predictor(denoiser).schedule
    signal_rate, noise_rate = schedule.rates(schedule.check(t, noisy=True), x_t)
    x0, eps = denoiser.predict(x_t, t, cond)
    return signal_rate * x0 + noise_rate * eps


@sampler
def euler(
    denoiser: Predictor,
    x_T: Tensor,
    times: Sequence[float],
    cond: Tensor | None = None,
    generator: Generator | None = None,  # noqa: ARG001
) -> Iterator[State]:
    """Euler's method on dx/dt = velocity, one network call a step; of order 1. The times must fall."""
    x = x_T
    for t, s in pairwise(times):
        x0, eps = denoiser.predict(x, t, cond)
        signal_rate, noise_rate = denoiser.schedule.rates(t, x)
        x = x + (s - t) * (signal_rate * x0 + noise_rate * eps)
        yield State(s, x, x0, eps)


@sampler
def heun(
    denoiser: Predictor,
    x_T: Tensor,
    times: Sequence[float],
    cond: Tensor | None = None,
    generator: Generator | None = None,  # noqa: ARG001
) -> Iterator[State]:
    """DDIM's step, then again with the mean of the x0 at both of its ends; two calls a step, one for a last step to 0.

    Of order 2. Heun's method on d(x/noise) / d(signal/noise) = x0; with the mean of the eps, as in Karras et al. 2022,
    algorithm 1, it is the same for small steps, but explodes where the signal is nearly 0. The times must fall.
    """
    schedule, x = denoiser.schedule, x_T
    for t, s in pairwise(times):
        (signal_t, noise_t), (signal_s, noise_s) = schedule.at(t, x), schedule.at(s, x)
        x0, eps = denoiser.predict(x, t, cond)
        if s > 0:
            guess = signal_s * x0 + noise_s * eps
            x0 = (x0 + denoiser.predict(guess, s, cond)[0]) / 2
            eps = (x - signal_t * x0) / noise_t
        x = signal_s * x0 + noise_s * eps
        yield State(s, x, x0, eps)


@sampler
def dpm_solver(
    denoiser: Predictor,
    x_T: Tensor,
    times: Sequence[float],
    cond: Tensor | None = None,
    generator: Generator | None = None,  # noqa: ARG001
) -> Iterator[State]:
    """DPM-Solver++(2M): DDIM's step with an x0 that is extrapolated from the last two; one call a step, of order 2.

    In lambda = log(signal/noise), with h the step and h_before the last one (Lu et al. 2022b, algorithm 2):
        x_s = noise_s/noise_t x_t - signal_s (e^-h - 1) ((1 + h/(2 h_before)) x0 - h/(2 h_before) x0_before)
    The first step, and a last one to t = 0, are DDIM's. The times must fall.
    """
    schedule = denoiser.schedule

    def log_snr(t: float) -> Tensor:
        signal, noise = schedule.at(t)
        return (signal / noise).log()

    x, x0_before, h_before = x_T, None, None
    for t, s in pairwise(times):
        x0, eps = denoiser.predict(x, t, cond)
        h = log_snr(s) - log_snr(t)
        first = x0_before is None or s == 0
        ahead = x0 if first else x0 + (h / h_before / 2).to(x) * (x0 - x0_before)
        shrink, towards = schedule.noise(s) / schedule.noise(t), -schedule.signal(s) * torch.expm1(-h)
        x = shrink.to(x) * x + towards.to(x) * ahead
        x0_before, h_before = x0, h
        yield State(s, x, x0, eps)


@sampler
def euler_maruyama(
    denoiser: Predictor,
    x_T: Tensor,
    times: Sequence[float],
    cond: Tensor | None = None,
    generator: Generator | None = None,
    *,
    corrections: int = 0,
    r: float = 0.16,
) -> Iterator[State]:
    """The reverse SDE  dx = (-beta x/2 - beta score) dt + sqrt(beta) dw,  with beta(t) = -d log alpha_bar / dt.

    corrections: steps of Langevin dynamics after each step, at the new time (predictor-corrector); r: their size, as in
    `langevin_step` (Song et al. 2021, eq. 6, algorithms 3 and 5). The step to t = 0 adds no noise.
    """
    checks.whole("corrections", corrections, 0)
    checks.number("r", r, 0, beyond=True)
    schedule, x = denoiser.schedule, x_T
    for t, s in pairwise(times):
        x0, eps = denoiser.predict(x, t, cond)
        beta = (-2 * schedule.rates(t)[0] / schedule.signal(t)).to(x)
        x = x + (t - s) * beta * (x / 2 - eps / schedule.noise(t, x))
        if s > 0:
            x = x + ((t - s) * beta).sqrt() * _noise_like(x, generator)
            for _ in range(corrections):
                x = langevin_step(denoiser, x, s, cond, generator, r)
        yield State(s, x, x0, eps)


def langevin_step(
    denoiser: Predictor,
    x: Tensor,
    t: int | float,
    cond: Tensor | None = None,
    generator: Generator | None = None,
    r: float = 0.16,
) -> Tensor:
    """x + size score + sqrt(2 size) z, which leaves q_t as it is when the size goes to 0.

    size = 2 (r noise)^2: then the part of the step that follows the score is about r times as long as the random part
    (Song et al. 2021, algorithm 5, where r is a signal-to-noise ratio).
    """
    checks.number("r", r, 0, beyond=True)
    checks.generator(generator)
    with torch.no_grad():
        size = 2 * (r * check_predictor(denoiser).schedule.noise(t, x)) ** 2
        return x + size * score(denoiser, x, t, cond) + (2 * size).sqrt() * _noise_like(x, generator)


@partial(sampler, rising=True)
def encode(
    denoiser: Predictor,
    x0: Tensor,
    times: Sequence[float],
    cond: Tensor | None = None,
    generator: Generator | None = None,  # noqa: ARG001
) -> Iterator[State]:
    """DDIM the other way: from images to the noise that would make them, along rising times (Song et al. 2021, sec. 4.3).

    The network knows no t below 1 and is asked for t = 1 there. Raises ValueError where the times don't rise.
    """
    schedule, x = denoiser.schedule, x0
    for t, s in pairwise(times):
        x0_hat, eps = denoiser.predict(x, max(t, 1), cond)
        if t == 0:
            x0_hat = x
        x = schedule.q_sample(x0_hat, s, eps)
        yield State(s, x, x0_hat, eps)


def _noise_like(x: Tensor, generator: Generator | None) -> Tensor:
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


SAMPLERS: dict[str, Callable[..., Iterator[State]]] = {
    "ddim": partial(sample, eta=0.0),
    "ddpm": partial(sample, eta=1.0),
    "euler": euler,
    "heun": heun,
    "dpm-solver": dpm_solver,
    "euler-maruyama": euler_maruyama,
}
