"""From noise to data: one update, two numbers, and every sampler between DDPM and DDIM. Lesson 09 derives it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor

from course_lib.diffusion.denoiser import Predictor
from course_lib.diffusion.schedule import NoiseSchedule


class State(NamedTuple):
    """Where a sampler stands: x_t at time t, and the x0 and eps that were predicted on the way here."""

    t: int | float
    x_t: Tensor
    x0: Tensor
    eps: Tensor


def sample(
    denoiser: Predictor,
    x_T: Tensor,
    times: Sequence[int | float],
    eta: float = 1.0,
    generator: Generator | None = None,
    cond: Tensor | None = None,
    variance: Literal["beta_tilde", "beta"] = "beta_tilde",
) -> Iterator[State]:
    """Walk from x_T along `times`, yielding a State after each step: iterate, record, or stop where you like.

    x_T: (batch, …) pure noise at times[0]. times: falling, usually `schedule.times(steps)`.
    eta = 1 is DDPM (Ho et al. 2020, algorithm 2), eta = 0 is DDIM (Song et al. 2021, eq. 12).
    variance: the noise that DDPM adds back, beta_tilde (the true posterior's) or beta (Ho et al. 2020, sec. 3.2).
    Raises ValueError where the times don't fall or leave 0 … T, or eta is outside 0 … 1.
    """
    check_times(times, denoiser.schedule)
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must lie in 0 … 1 (0 is DDIM, 1 is DDPM); got {eta}")

    def walk() -> Iterator[State]:
        x_t = x_T
        for t, s in pairwise(times):
            with torch.no_grad():
                x0, eps = denoiser.predict(x_t, t, cond)
                x_t = step(denoiser.schedule, x0, eps, t, s, eta, generator, variance)
            yield State(s, x_t, x0, eps)

    return walk()


def step(
    schedule: NoiseSchedule,
    x0: Tensor,
    eps: Tensor,
    t: int | float,
    s: int | float,
    eta: float = 1.0,
    generator: Generator | None = None,
    variance: Literal["beta_tilde", "beta"] = "beta_tilde",
) -> Tensor:
    """x_s at an earlier time s < t, given what x_t is made of (Song et al. 2021, eq. 12 and 16; lesson 09).

    x_s = signal_s x0 + sqrt(noise_s^2 - eta^2 sigma^2) eps + eta sigma z,  z ~ N(0, I)
    """
    (signal_t, noise_t), (signal_s, noise_s) = ((schedule.signal(r), schedule.noise(r)) for r in (t, s))
    beta = noise_t**2 - (signal_t / signal_s) ** 2 * noise_s**2
    beta_tilde = noise_s**2 / noise_t**2 * beta
    along = (noise_s**2 - eta**2 * beta_tilde).clamp(min=0).sqrt()
    mean = signal_s.to(x0) * x0 + along.to(x0) * eps
    if eta == 0 or s == 0:
        return mean
    sigma = eta * {"beta_tilde": beta_tilde, "beta": beta}[variance].sqrt()
    return mean + sigma.to(x0) * torch.randn(x0.shape, generator=generator, dtype=x0.dtype, device=x0.device)


def check_times(times: Sequence[int | float], schedule: NoiseSchedule) -> None:
    """Raises ValueError where the times don't fall, or leave 0 … T."""
    if len(times) < 2 or any(s >= t for t, s in pairwise(times)):
        raise ValueError(f"times must fall, and be at least two; got {_shortened(times)}")
    if times[0] > schedule.T or times[-1] < 0:
        raise ValueError(f"times must lie in 0 … {schedule.T}; got {_shortened(times)}")


def last(states: Iterable[State]) -> Tensor:
    """Run a sampler to its end and give its final x."""
    for state in states:  # noqa: B007
        pass
    return state.x_t


def _shortened(times: Sequence[int | float]) -> str:
    return str(list(times)) if len(times) <= 8 else f"[{times[0]}, {times[1]}, …, {times[-1]}]"
