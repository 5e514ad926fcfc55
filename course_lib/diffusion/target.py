"""What a network may be asked to predict, and how x_0 and eps are read off any answer. Lesson 07 derives it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from course_lib import checks


@dataclass(frozen=True)
class Target:
    """A regression target y = c x_0 + d eps; `coefficients(signal, noise)` gives c and d at a time t."""

    name: str
    coefficients: Callable[[Tensor, Tensor], tuple[Tensor | float, Tensor | float]]

    def of(self, x0: Tensor, eps: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
        """y, what the network should answer. Raises ValueError where x0 and eps are of different shapes."""
        if checks.floats("x0", x0).shape != checks.floats("eps", eps).shape:
            raise ValueError(f"x0 and eps must have one shape; got {tuple(x0.shape)} and {tuple(eps.shape)}")
        c, d = self.coefficients(signal, noise)
        return c * x0 + d * eps

    def solve(self, x_t: Tensor, y: Tensor, signal: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """(x0, eps) from x_t and an answer y.

        Raises ValueError where there is no solution: eps says nothing of x_0 at signal = 0, x_0 nothing of eps at
        noise = 0.
        """
        try:
            return solve(x_t, y, signal, noise, *self.coefficients(signal, noise))
        except ZeroDivisionError:
            share = "signal" if self.name == "eps" else "noise"
            raise ValueError(
                f"a {self.name}-prediction has no solution where the {share} is 0: use another target, or other times"
            ) from None


EPS = Target("eps", lambda signal, noise: (0.0, 1.0))  # noqa: ARG005
X0 = Target("x0", lambda signal, noise: (1.0, 0.0))  # noqa: ARG005
V = Target("v", lambda signal, noise: (-noise, signal))
TARGETS = {target.name: target for target in (EPS, X0, V)}


def solve(
    x_t: Tensor, y: Tensor, signal: Tensor, noise: Tensor, c: Tensor | float, d: Tensor | float
) -> tuple[Tensor, Tensor]:
    """The two equations x_t = signal x_0 + noise eps and y = c x_0 + d eps, solved for (x0, eps).

    x_t, y: (batch, …); the four factors multiply them. eps: Ho et al. 2020; v: Salimans and Ho 2022, app. D.
    Raises ZeroDivisionError where the two equations are one, and ValueError for an answer of another shape than x_t.
    """
    if checks.floats("y", y).shape != checks.floats("x_t", x_t).shape:
        raise ValueError(f"the answer y must have x_t's shape {tuple(x_t.shape)}; got {tuple(y.shape)}")
    det = torch.as_tensor(signal * d - noise * c)
    if det.device.type == "cpu" and (det == 0).any():
        raise ZeroDivisionError("the target and x_t are the same mixture of x_0 and eps")
    x0 = (d * x_t - noise * y) / det
    eps = (signal * y - c * x_t) / det
    return x0, eps
