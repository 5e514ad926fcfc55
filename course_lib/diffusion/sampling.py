"""From noise to data: one update, two numbers, and every sampler between DDPM and DDIM. Lesson 09 derives it.

A sampler is a plain generator of State under `@sampler`; all of them are called in one way:
sampler(denoiser, x_T, times, cond, generator, …). A notebook iterates it, records it, or stops it where it likes.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from itertools import pairwise
from typing import Any, Concatenate, Literal, NamedTuple, ParamSpec

import torch
from torch import Generator, Tensor

from course_lib import checks
from course_lib.diffusion.denoiser import Predictor, check_predictor
from course_lib.diffusion.schedule import NoiseSchedule, check_schedule


class State(NamedTuple):
    """Where a sampler stands: x_t at time t, and the x0 and eps that were predicted on the way here."""

    t: int | float
    x_t: Tensor
    x0: Tensor
    eps: Tensor


P = ParamSpec("P")
Walk = Callable[Concatenate[Predictor, Tensor, Sequence[float], P], Iterator[State]]


def sampler(walk: Walk[P], rising: bool = False) -> Walk[P]:
    """Make a sampler of a generator: it refuses bad arguments when it is called, and takes no gradients.

    rising: whether its times must rise, as on the way from data to noise, and not fall.
    """
    without_gradients, signature = torch.no_grad()(walk), inspect.signature(walk)

    @wraps(walk)
    def start(
        denoiser: Predictor, x_T: Tensor, times: Sequence[float], *args: P.args, **options: P.kwargs
    ) -> Iterator[State]:
        try:
            given = signature.bind(denoiser, x_T, times, *args, **options).arguments
        except TypeError as error:
            raise TypeError(f"{walk.__name__} takes ({', '.join(signature.parameters)}): {error}") from None
        check_times(times, check_predictor(denoiser).schedule, rising)
        checks.finite("x_T", x_T)
        checks.condition(given.get("cond"))
        checks.generator(given.get("generator"))
        return without_gradients(denoiser, x_T, times, *args, **options)

    return start


@sampler
def sample(
    denoiser: Predictor,
    x_T: Tensor,
    times: Sequence[float],
    cond: Tensor | None = None,
    generator: Generator | None = None,
    *,
    eta: float = 1.0,
    variance: Literal["beta_tilde", "beta"] = "beta_tilde",
) -> Iterator[State]:
    """Walk from x_T along `times`, yielding a State after each step: iterate, record, or stop where you like.

    x_T: (batch, …) pure noise at times[0]. times: falling, usually `schedule.times(steps)`.
    eta = 1 is DDPM (Ho et al. 2020, algorithm 2), eta = 0 is DDIM (Song et al. 2021, eq. 12).
    variance: the noise that DDPM adds back, beta_tilde (the true posterior's) or beta (Ho et al. 2020, sec. 3.2).
    Raises ValueError where the times don't fall or leave 0 … T, and at the first step for an eta outside 0 … 1.
    """
    x_t = x_T
    for t, s in pairwise(times):
        x0, eps = denoiser.predict(x_t, t, cond)
        x_t = step(denoiser.schedule, x0, eps, t, s, eta, generator, variance)
        yield State(s, x_t, x0, eps)


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
    Raises ValueError for an eta outside 0 … 1, and for times that don't fall.
    """
    check_step(eta, variance)
    check_times((t, s), check_schedule(schedule))
    if checks.floats("x0", x0).shape != checks.floats("eps", eps).shape:
        raise ValueError(f"x0 and eps must have one shape; got {tuple(x0.shape)} and {tuple(eps.shape)}")
    checks.generator(generator)
    (signal_t, noise_t), (signal_s, noise_s) = schedule.at(t), schedule.at(s)
    beta = (noise_t**2 - (signal_t / signal_s) ** 2 * noise_s**2).clamp(min=0)
    beta_tilde = noise_s**2 / noise_t**2 * beta
    along = (noise_s**2 - eta**2 * beta_tilde).clamp(min=0).sqrt()
    mean = signal_s.to(x0) * x0 + along.to(x0) * eps
    if eta == 0 or s == 0:
        return mean
    sigma = eta * {"beta_tilde": beta_tilde, "beta": beta}[variance].sqrt()
    return mean + sigma.to(x0) * torch.randn(x0.shape, generator=generator, dtype=x0.dtype, device=x0.device)


def last(states: Iterable[State]) -> Tensor:
    """Run a sampler to its end and give its final x. Raises ValueError where it yields no State."""
    state = None
    for state in states if isinstance(states, Iterable) and not torch.is_tensor(states) else ():  # noqa: B007
        pass
    if not isinstance(state, State):
        raise ValueError(f"last takes a sampler, which yields at least one State; got {checks.shown(states)}")
    return state.x_t


def check_step(eta: float, variance: str) -> None:
    """Raises ValueError for an eta outside 0 … 1, and for another variance than DDPM's two."""
    checks.number("eta", eta, 0, 1)
    checks.one_of("variance", variance, ("beta_tilde", "beta"))


def check_times(times: Any, schedule: NoiseSchedule, rising: bool = False) -> None:
    """Raises ValueError where the times are no numbers, don't fall (or rise), or leave 0 … T."""
    if not hasattr(times, "__getitem__") or isinstance(times, str | dict) or getattr(times, "ndim", 1) != 1:
        raise ValueError(f"times must be a list, such as schedule.times(50); got {checks.shown(times)}")
    for t in times:
        checks.number("each of the times", t)
    if len(times) < 2 or any(s == t or (s > t) != rising for t, s in pairwise(times)):
        raise ValueError(f"times must {'rise' if rising else 'fall'}, and be at least two; got {_shortened(times)}")
    if max(times) > schedule.T or min(times) < 0:
        raise ValueError(f"times must lie in 0 … {schedule.T}; got {_shortened(times)}")


def _shortened(times: Sequence[float]) -> str:
    return str(list(times)) if len(times) <= 8 else f"[{times[0]}, {times[1]}, …, {times[-1]}]"
