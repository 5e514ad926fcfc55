"""Whatever can say what x_0 and eps are in a given x_t: a network that learns it, or a distribution that knows it."""

import inspect
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn

from course_lib import checks
from course_lib.diffusion.schedule import NoiseSchedule, check_schedule
from course_lib.diffusion.target import EPS, Target


class Predictor(Protocol):
    """What a sampler needs; it can't tell a trained network from the truth."""

    schedule: NoiseSchedule

    def predict(self, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x0, eps), each of x_t's shape."""


LARGEST_VALUE = 8.0  # of data in a loss: what has a variance near 1 never reaches it


class Denoiser(nn.Module):
    """A network, a schedule and a target: `forward` is the training loss, `predict` serves the samplers.

    net(x_t, t) or net(x_t, t, cond): x_t (batch, …), t (batch,) in 0 … T; it answers in x_t's shape.
    weight: how often each t is drawn in training, T + 1 numbers; None is equally often, Ho et al.'s L_simple. The
    expected loss is that with a factor of weight[t], but rare large factors would make its gradient noisy.
    (Ho et al. 2020, algorithm 1 and eq. 14; lessons 07 and 08)
    Raises ValueError for parts of other kinds, and wherever the network's answer has another shape than x_t.
    """

    def __init__(
        self,
        net: nn.Module,
        schedule: NoiseSchedule,
        target: Target = EPS,
        weight: Tensor | None = None,
    ):
        super().__init__()
        if not callable(net) or isinstance(net, type):
            hint = f": make one of it, {net.__name__}(…)" if isinstance(net, type) else ""
            raise ValueError(f"net must be a network, called as net(x_t, t); got {checks.shown(net)}{hint}")
        check_schedule(schedule)
        if not isinstance(target, Target):
            raise ValueError(f"target must be EPS, X0 or V of course_lib.diffusion; got {checks.shown(target)}")
        if weight is not None:
            schedule.check_weight(weight)
        self.net, self.schedule, self.target, self.weight = net, schedule, target, weight
        self._scale_is_known = False

    def forward(
        self,
        x0: Tensor,
        cond: Tensor | None = None,
        generator: Generator | None = None,
        t: Tensor | None = None,
        eps: Tensor | None = None,
    ) -> Tensor:
        """The mean squared error of one noisy look at each x0 (batch, …); a scalar.

        t (batch,) in 1 … T and eps (as x0) are drawn from the generator unless they are given. Only the first batch is
        looked at value by value. Raises ValueError for images that are on another scale, and for another t.
        """
        if not self._scale_is_known:
            self.check_scale(x0)
            self._scale_is_known = True
        if t is not None and self.schedule.check(t, first=1, whole=True).shape != x0.shape[:1]:
            raise ValueError(f"t must be one time for each of the {len(x0)} images; got {checks.shown(t)}")
        checks.generator(generator)
        drawn = self.draw(x0.shape, generator, x0.device) if t is None or eps is None else {}
        t = drawn["t"] if t is None else t
        eps = drawn["eps"] if eps is None else eps
        x_t = self.schedule.q_sample(x0, t, eps)
        y = self.target.of(x0, eps, *self.schedule.at(t, x0))
        return (self._ask(x_t, t, cond).to(y.dtype) - y).square().flatten(1).mean(1).mean()

    def predict(self, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x0, eps) as the network sees them. x_t: (batch, …); t: one time or one for each image."""
        signal, noise = self.schedule.at(t, checks.batch("x_t", x_t))
        y = self._ask(x_t, torch.as_tensor(t, device=x_t.device).expand(len(x_t)), cond).to(x_t.dtype)
        return self.target.solve(x_t, y, signal, noise)

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """All that is random in one loss over a batch of this shape: the times and the noise."""
        t = self.schedule.draw_times(shape[0], generator, device, self.weight)
        return {"t": t, "eps": torch.randn(shape, generator=generator, device=device)}

    def check_scale(self, x0: Tensor) -> None:
        """Raises ValueError for data that are not finite, or not of a variance near 1, as schedules and targets want it."""
        largest = checks.finite("x0", x0).abs().max()
        if largest > LARGEST_VALUE:
            raise ValueError(
                f"x0 must be on the scale of the noise, images in [-1, 1]; got values up to {largest:.3g}: "
                "scale 8-bit images by x / 127.5 - 1"
            )

    def _ask(self, x_t: Tensor, t: Tensor, cond: Tensor | None) -> Tensor:
        checks.condition(cond, len(x_t))
        try:
            y = self.net(x_t, t) if cond is None else self.net(x_t, t, cond)
        except (TypeError, RuntimeError) as error:
            if reason := _misfit(self.net, x_t, cond):
                raise ValueError(reason) from error
            raise
        if not torch.is_tensor(y) or y.shape != x_t.shape or not y.is_floating_point():
            raise ValueError(
                f"the network must answer with one number for each of x_t's, in the shape {tuple(x_t.shape)}; "
                f"got {checks.shown(y)}"
            )
        return y


class Oracle:
    """The exact denoiser of a known distribution: x0 = E[x_0 | x_t], and the eps that goes with it.

    distribution: anything with `posterior_mean(x_t, signal, noise)` over vectors, such as those of `course_lib.exact`.
    The squared error of any denoiser is at least the oracle's (lesson 07).
    """

    def __init__(self, distribution: Any, schedule: NoiseSchedule):
        if not hasattr(distribution, "posterior_mean"):
            raise ValueError(f"distribution must have a posterior_mean; got {checks.shown(distribution)}")
        check_schedule(schedule)
        self.distribution, self.schedule = distribution, schedule

    def predict(self, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x0, eps); x_t of any shape (batch, …).

        Raises ValueError at t = 0, where x_t holds no eps, and for a condition, which the distribution knows nothing of.
        """
        if cond is not None:
            raise ValueError(f"an oracle of one distribution takes no cond; got {checks.shown(cond)}: leave it out")
        flat = checks.batch("x_t", x_t).flatten(1)
        signal, noise = self.schedule.at(self.schedule.check(t, noisy=True), flat)
        x0 = self.distribution.posterior_mean(flat, signal, noise).to(x_t.dtype)
        return x0.reshape(x_t.shape), ((flat - signal * x0) / noise).reshape(x_t.shape)


class Clipped:
    """A denoiser whose x0 stays in [low, high], with the eps that belongs to the clipped x0 (Ho et al.'s code; lesson 09)."""

    def __init__(self, denoiser: Predictor, low: float = -1.0, high: float = 1.0):
        checks.number("low", low)
        checks.number("high", high, low, beyond=True)
        self.denoiser, self.schedule, self.low, self.high = check_predictor(denoiser), denoiser.schedule, low, high

    def predict(self, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x0, eps), of which x_t is still the mixture. Raises ValueError at t = 0, where x_t holds no eps."""
        signal, noise = self.schedule.at(self.schedule.check(t, noisy=True), checks.batch("x_t", x_t))
        x0 = self.denoiser.predict(x_t, t, cond)[0].clamp(self.low, self.high)
        return x0, (x_t - signal * x0) / noise


def check_predictor(denoiser: Any) -> Predictor:
    """The denoiser, unchanged. Raises ValueError for what has no `predict` and no `schedule`."""
    if not hasattr(denoiser, "predict") or not isinstance(getattr(denoiser, "schedule", None), NoiseSchedule):
        raise ValueError(
            "denoiser must have `predict` and a `schedule`, as Denoiser(net, schedule, target) has; "
            f"got {checks.shown(denoiser)}"
        )
    return denoiser


def _misfit(net: Any, x_t: Tensor, cond: Tensor | None) -> str:
    """Why a network stopped, if it is for what it was given; an empty text if it is not."""
    if cond is not None:
        try:
            inspect.signature(getattr(net, "forward", net)).bind(x_t, x_t, cond)
        except (TypeError, ValueError):
            return "this network takes no condition, it is called as net(x_t, t): leave cond out"
    weight = next(net.parameters(), x_t) if isinstance(net, nn.Module) else x_t
    if weight.dtype != x_t.dtype and not torch.is_autocast_enabled(x_t.device.type):
        return f"the network computes in {weight.dtype}, and x_t is {x_t.dtype}: convert one, by .float() or .double()"
    return ""
