"""Whatever can say what x_0 and eps are in a given x_t: a network that learns it, or a distribution that knows it."""

import math
from typing import Protocol

import torch
from torch import Generator, Tensor, nn

from course_lib.diffusion.schedule import NoiseSchedule
from course_lib.diffusion.target import EPS, Target


class Predictor(Protocol):
    """What a sampler needs; it can't tell a trained network from the truth."""

    schedule: NoiseSchedule

    def predict(self, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x0, eps), each of x_t's shape."""


class Denoiser(nn.Module):
    """A network, a schedule and a target: `forward` is the training loss, `predict` serves the samplers.

    net(x_t, t) or net(x_t, t, cond): x_t (batch, …), t (batch,) in 0 … T; it answers in x_t's shape.
    weight: how often each t is drawn in training, T + 1 numbers; None is equally often, Ho et al.'s L_simple. The
    expected loss is that with a factor of weight[t], but rare large factors would make its gradient noisy.
    (Ho et al. 2020, algorithm 1 and eq. 14; lessons 07 and 08)
    """

    def __init__(
        self,
        net: nn.Module,
        schedule: NoiseSchedule,
        target: Target = EPS,
        weight: Tensor | None = None,
    ):
        super().__init__()
        self.net, self.schedule, self.target, self.weight = net, schedule, target, weight

    def forward(
        self,
        x0: Tensor,
        cond: Tensor | None = None,
        generator: Generator | None = None,
        t: Tensor | None = None,
        eps: Tensor | None = None,
    ) -> Tensor:
        """The mean squared error of one noisy look at each x0 (batch, …); a scalar.

        t (batch,) in 1 … T and eps (as x0) are drawn from the generator unless they are given.
        """
        drawn = self.draw(x0.shape, generator, x0.device) if t is None or eps is None else {}
        t = drawn["t"] if t is None else t
        eps = drawn["eps"] if eps is None else eps
        x_t = self.schedule.q_sample(x0, t, eps)
        y = self.target.of(x0, eps, *self.schedule.at(t, x0))
        return (self._ask(x_t, t, cond).to(y.dtype) - y).square().flatten(1).mean(1).mean()

    def predict(self, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x0, eps) as the network sees them. x_t: (batch, …); t: one time or one for each image."""
        y = self._ask(x_t, torch.as_tensor(t, device=x_t.device).expand(len(x_t)), cond).to(x_t.dtype)
        return self.target.solve(x_t, y, *self.schedule.at(t, x_t))

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """All that is random in one loss over a batch of this shape: the times and the noise."""
        t = self.schedule.draw_times(shape[0], generator, device, self.weight)
        return {"t": t, "eps": torch.randn(shape, generator=generator, device=device)}

    def _ask(self, x_t: Tensor, t: Tensor, cond: Tensor | None) -> Tensor:
        return self.net(x_t, t) if cond is None else self.net(x_t, t, cond)


class Oracle:
    """The exact denoiser of a known distribution: x0 = E[x_0 | x_t], and the eps that goes with it.

    distribution: anything with `posterior_mean(x_t, signal, noise)` over vectors, such as those of `course_lib.exact`.
    The squared error of any denoiser is at least the oracle's (lesson 07).
    """

    def __init__(self, distribution, schedule: NoiseSchedule):
        self.distribution, self.schedule = distribution, schedule

    def predict(self, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """(x0, eps); x_t of any shape (batch, …). Raises ValueError at t = 0, where x_t holds no eps."""
        flat = x_t.flatten(1)
        signal, noise = self.schedule.at(t, flat)
        if (noise == 0).any():
            raise ValueError("x_0 holds no noise to predict: ask for t in 1 … T")
        x0 = self.distribution.posterior_mean(flat, signal, noise).to(x_t.dtype)
        return x0.reshape(x_t.shape), ((flat - signal * x0) / noise).reshape(x_t.shape)


class Clipped:
    """A denoiser whose x0 stays in [low, high], with the eps that belongs to the clipped x0 (Ho et al.'s code; lesson 09)."""

    def __init__(self, denoiser: Predictor, low: float = -1.0, high: float = 1.0):
        self.denoiser, self.schedule, self.low, self.high = denoiser, denoiser.schedule, low, high

    def predict(self, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x0, eps), of which x_t is still the mixture."""
        signal, noise = self.schedule.at(t, x_t)
        x0 = self.denoiser.predict(x_t, t, cond)[0].clamp(self.low, self.high)
        return x0, (x_t - signal * x0) / noise


class Guided:
    """Classifier-free guidance: what the condition changes, w times (Ho and Salimans 2022, eq. 6; lesson 11).

    eps = eps_u + w (eps_c - eps_u), and x0 likewise. w = 1 is the plain conditional denoiser, w = 0 the unconditional one.
    """

    def __init__(self, denoiser: Predictor, w: float):
        if not math.isfinite(w):
            raise ValueError(f"the guidance must be a finite number (1 is none); got {w}")
        self.denoiser, self.schedule, self.w = denoiser, denoiser.schedule, w

    def predict(self, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x0, eps), of which x_t is still the mixture. Raises ValueError without a condition."""
        if cond is None:
            raise ValueError("guidance compares the answers with and without a condition: give it one")
        with_it, without = self.denoiser.predict(x_t, t, cond), self.denoiser.predict(x_t, t)
        return tuple(u + self.w * (c - u) for c, u in zip(with_it, without, strict=True))
