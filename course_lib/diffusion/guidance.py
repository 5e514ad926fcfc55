"""Guidance: a condition made stronger than it was learned, by the denoiser's own answers or by a classifier (lesson 11)."""

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib import checks
from course_lib.diffusion.denoiser import Predictor, check_predictor

LARGEST = 1000.0
LogProb = Callable[[Tensor, Tensor, Tensor], Tensor]


class Guided:
    """Classifier-free guidance: what the condition changes, w times (Ho and Salimans 2022, eq. 6).

    eps = eps_u + w (eps_c - eps_u), and x0 likewise. w = 1 is the plain conditional denoiser, w = 0 the unconditional one.
    interval: the shares of T between which it guides; elsewhere the denoiser is the plain conditional one (Kynkaanniemi et al.
    2024). rescale: from 0 to 1, how far x0 is brought back to the spread that it has without guidance (Lin et al. 2024,
    sec. 3.4). Where the denoiser has `null(cond)`, both answers come from one doubled batch.
    """

    def __init__(self, denoiser: Predictor, w: float, interval: tuple[float, float] = (0.0, 1.0), rescale: float = 0.0):
        self.w = checks.number("guidance", w, -LARGEST, LARGEST)
        self.denoiser, self.schedule = check_predictor(denoiser), denoiser.schedule
        if not isinstance(interval, tuple | list) or len(interval) != 2:
            raise ValueError(f"interval must be two shares of T, such as (0.2, 0.7); got {checks.shown(interval)}")
        low, high = interval
        self.interval = (
            checks.number("the interval's start", low, 0, 1),
            checks.number("the interval's end", high, low, 1),
        )
        self.rescale = checks.number("rescale", rescale, 0, 1)

    def predict(self, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x0, eps), of which x_t is still the mixture. Raises ValueError without a condition, and for a t of many times
        where it guides in an interval only.
        """
        if cond is None:
            raise ValueError("guidance compares the answers with and without a condition: give it one")
        low, high = (share * self.schedule.T for share in self.interval)
        if self.interval != (0.0, 1.0) and not low <= t <= high:
            return self.denoiser.predict(x_t, t, cond)
        given, free = self._both(x_t, t, cond)
        x0, eps = (u + self.w * (c - u) for c, u in zip(given, free, strict=True))
        if not self.rescale:
            return x0, eps
        spread, wanted = (values.flatten(1).std(1).view(-1, *[1] * (x0.ndim - 1)) for values in (x0, given[0]))
        x0 = x0 * (1 + self.rescale * (wanted / spread - 1))
        signal, noise = self.schedule.at(self.schedule.check(t, noisy=True), x_t)
        return x0, (x_t - signal * x0) / noise

    def _both(
        self, x_t: Tensor, t: int | float | Tensor, cond: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        null = getattr(self.denoiser, "null", None)
        if null is None:
            return self.denoiser.predict(x_t, t, cond), self.denoiser.predict(x_t, t)
        t = torch.cat([t, t]) if torch.is_tensor(t) and t.ndim else t
        both = self.denoiser.predict(torch.cat([x_t, x_t]), t, torch.cat([cond, null(cond)]))
        return tuple(zip(*(values.chunk(2) for values in both), strict=True))


class ClassifierGuided:
    """Classifier guidance: a classifier of noisy images pulls a denoiser towards what it is asked for (Dhariwal and Nichol
    2021, algorithm 2). By Bayes' rule, the score of p(x_t | y) is that of p(x_t) plus the gradient of log p(y | x_t).

    log_prob(x_t, t, cond) gives log p(cond | x_t), (batch,), with t (batch,). w: how many times its gradient is added; with the
    exact classifier and w = 1, the exact conditional denoiser comes out. conditional: whether the denoiser is told cond too.
    """

    def __init__(self, denoiser: Predictor, log_prob: LogProb, w: float = 1.0, conditional: bool = False):
        self.w = checks.number("guidance", w, -LARGEST, LARGEST)
        if not callable(log_prob):
            raise ValueError(f"log_prob must be called as log_prob(x_t, t, cond); got {checks.shown(log_prob)}")
        self.denoiser, self.schedule = check_predictor(denoiser), denoiser.schedule
        self.log_prob, self.conditional = log_prob, conditional

    def predict(self, x_t: Tensor, t: int | float | Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x0, eps), of which x_t is still the mixture; signal above 0. Raises ValueError without a condition."""
        if checks.condition(cond, len(checks.batch("x_t", x_t))) is None:
            raise ValueError("guidance needs a condition: what should the classifier see?")
        signal, noise = self.schedule.at(self.schedule.check(t, noisy=True), x_t)
        with torch.enable_grad():
            seen = x_t.detach().requires_grad_()
            log_p = self.log_prob(seen, torch.as_tensor(t, device=x_t.device).expand(len(x_t)), cond)
            if (
                not torch.is_tensor(log_p)
                or log_p.shape != x_t.shape[:1]
                or log_p.is_complex()
                or not log_p.requires_grad
            ):
                raise ValueError(
                    f"log_prob must give a number with a gradient for each of {len(x_t)}; got {checks.shown(log_p)}"
                )
            (pull,) = torch.autograd.grad(log_p.sum(), seen)
        eps = self.denoiser.predict(x_t, t, cond if self.conditional else None)[1] - self.w * noise * pull
        return (x_t - noise * eps) / signal, eps
