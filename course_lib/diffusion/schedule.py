"""How fast data turns into noise. Lesson 06 derives every line."""

import math

import torch
from torch import Generator, Tensor

from course_lib import checks

LEAST_SUM = 1e-30  # of the weights by which times are drawn: float32, which adds them up, holds it with all its digits


class NoiseSchedule:
    """How much signal and how much noise x_t holds, for t = 0 … T.

    x_t = signal(t) x_0 + noise(t) eps,  signal = sqrt(alpha_bar), noise = sqrt(1 - alpha_bar)
                                                                     (Ho et al. 2020, eq. 4; lesson 06)
    x_0 is data (alpha_bar[0] = 1) and x_T is nearly pure noise. `beta`, `alpha` and `alpha_bar` have T + 1 entries, so
    an index is the lecture's t; they are float64 on the CPU (a product of a thousand factors) and cast where they are
    used. The methods take t as one number or as a batch, and give results in the dtype and on the device of the images;
    without images, in float64. A t outside 0 … T (1 … T for a single step) raises ValueError.

    Raises ValueError where a beta is outside (0, 1).
    """

    def __init__(self, betas: Tensor | list[float]):
        betas = checks.numbers("betas", betas)
        if betas.ndim != 1 or len(betas) == 0:
            raise ValueError(f"betas must be a list of at least one number; got the shape {tuple(betas.shape)}")
        if not ((betas > 0) & (1 - betas < 1) & (betas < 1)).all():
            raise ValueError(f"every beta must lie in (0, 1); got {betas.min():.3g} … {betas.max():.3g}")
        self.T = len(betas)
        self.beta = torch.cat([betas.new_zeros(1), betas])
        self.alpha = 1 - self.beta
        self.alpha_bar = self.alpha.cumprod(0)
        self._log_alpha_bar = self.alpha.log().cumsum(0)
        self._slope = _monotone_slopes(self._log_alpha_bar)
        self._tables: dict[tuple, Tensor] = {}

    @classmethod
    def linear(cls, T: int = 1000, first: float = 1e-4, last: float = 0.02) -> "NoiseSchedule":
        """beta rises evenly from `first` to `last` (Ho et al. 2020, sec. 4)."""
        checks.whole("T", T, 1)
        checks.number("first", first, 0, 1, beyond=True)
        checks.number("last", last, 0, 1, beyond=True)
        return cls(torch.linspace(first, last, T, dtype=torch.float64))

    @classmethod
    def cosine(cls, T: int = 1000, offset: float = 0.008, largest: float = 0.999) -> "NoiseSchedule":
        """sqrt(alpha_bar) falls like a quarter of a cosine; beta is cut at `largest` (Nichol and Dhariwal 2021, eq. 17)."""
        t = torch.arange(checks.whole("T", T, 1) + 1, dtype=torch.float64)
        checks.number("offset", offset, 0)
        checks.number("largest", largest, 0, 1, beyond=True)
        alpha_bar = ((t / T + offset) / (1 + offset) * math.pi / 2).cos() ** 2
        return cls((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=largest))

    def signal(self, t: int | float | Tensor, like: Tensor | None = None) -> Tensor:
        """sqrt(alpha_bar(t)), the factor of x_0. Smooth in real t; shaped to multiply `like` where it is given."""
        return self.at(t, like)[0]

    def noise(self, t: int | float | Tensor, like: Tensor | None = None) -> Tensor:
        """sqrt(1 - alpha_bar(t)), the factor of eps."""
        return self.at(t, like)[1]

    def snr(self, t: int | float | Tensor, like: Tensor | None = None) -> Tensor:
        """The signal-to-noise ratio alpha_bar / (1 - alpha_bar); infinite at t = 0 (Kingma et al. 2021, eq. 2)."""
        signal, noise = self.at(t, like)
        return (signal / noise) ** 2

    def rates(self, t: int | float | Tensor, like: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """d signal / dt and d noise / dt at real t, for ODEs and SDEs; noise rises infinitely fast at t = 0 (lesson 09)."""
        t = self.check(t)
        if like is not None:
            checks.floats("the images", like)
        fall = spread(_hermite_slope(self._log_alpha_bar, self._slope, t.cpu().double()), like)
        signal, noise = self.at(t.cpu().double(), like)
        return 0.5 * fall * signal, -0.5 * fall * signal**2 / noise

    def q_sample(self, x0: Tensor, t: int | float | Tensor, eps: Tensor) -> Tensor:
        """x_t from x_0 in one jump: signal(t) x0 + noise(t) eps (Ho et al. 2020, eq. 4; lesson 06).

        x0, eps: (batch, …), floating point, the same shape. Raises ValueError where they differ.
        """
        checks.floats("x0", x0)
        checks.floats("eps", eps)
        if eps.shape != x0.shape:
            raise ValueError(f"eps must have x0's shape {tuple(x0.shape)}; got {tuple(eps.shape)}")
        signal, noise = self.at(t, x0)
        return signal * x0 + noise * eps

    def posterior(self, x0: Tensor, x_t: Tensor, t: int | Tensor) -> tuple[Tensor, Tensor]:
        """Mean mu_tilde and variance beta_tilde of q(x_{t-1} | x_t, x_0) (Ho et al. 2020, eq. 6-7; lesson 07).

        x0, x_t: (batch, …); t: one step or one for each image, in 1 … T.
        """
        checks.floats("x0", x0)
        checks.floats("x_t", x_t)
        if x0.shape != x_t.shape:
            raise ValueError(f"x0 and x_t must have one shape; got {tuple(x0.shape)} and {tuple(x_t.shape)}")
        t = self.check(t, first=1, whole=True)
        beta, alpha, now = (spread(values[t.cpu()], x_t) for values in (self.beta, self.alpha, self.alpha_bar))
        before = spread(self.alpha_bar[t.cpu() - 1], x_t)
        mu_tilde = (before.sqrt() * beta * x0 + alpha.sqrt() * (1 - before) * x_t) / (1 - now)
        beta_tilde = beta * (1 - before) / (1 - now)
        return mu_tilde, beta_tilde

    def times(self, steps: int) -> list[int]:
        """steps + 1 whole times from T down to 0, evenly spaced: the path of a sampler (lesson 09)."""
        checks.whole("steps", steps, 1, self.T)
        return torch.linspace(self.T, 0, steps + 1, dtype=torch.float64).round().int().tolist()

    def draw_times(
        self,
        n: int,
        generator: Generator | None = None,
        device: torch.device | str = "cpu",
        weight: Tensor | None = None,
    ) -> Tensor:
        """n random times in 1 … T, rising, one from each of n equal strata, so a batch always sees early and late ones.

        Each single t is uniform, or has a probability in proportion to weight[t], of T + 1 entries (entry 0 is ignored);
        together they vary less than independent draws, and so does the loss (lesson 07). Raises ValueError for a weight of
        another length, with numbers below 0, or without one above it, and for a sum that float32 can't hold.
        """
        checks.whole("n", n, 1)
        checks.generator(generator)
        within = torch.rand(n, generator=generator, device=device)
        stratum = torch.arange(n, device=device)
        if weight is None:
            return ((stratum + within) * (self.T / n)).long().clamp(max=self.T - 1) + 1
        reached = self.check_weight(weight)[1:].to(device=device, dtype=torch.float32).cumsum(0)
        return torch.searchsorted(reached, (stratum + within) / n * reached[-1]).clamp(max=self.T - 1) + 1

    def at(self, t: int | float | Tensor, like: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """signal and noise at t, the two numbers of x_t; a table beside t is kept, so that no step waits for a transfer."""
        t = self.check(t)
        if like is not None:
            checks.floats("the images", like)
        if t.is_floating_point():
            values = _roots(_hermite(self._log_alpha_bar, self._slope, t.cpu().double()))
            return tuple(spread(value, like) for value in values)
        key = t.device, torch.float64 if like is None else like.dtype
        if key not in self._tables:
            self._tables[key] = [table.to(key[1]).to(key[0]) for table in _roots(self._log_alpha_bar)]
        return tuple(spread(table[t], like) for table in self._tables[key])

    def check(self, t: int | float | Tensor, first: int = 0, whole: bool = False, noisy: bool = False) -> Tensor:
        """t as a tensor, of float64 or int64 where it was none. On a GPU its values are not looked at, for nothing may wait.

        whole: for a single step or a table. noisy: for what divides by the noise, so t = 0 is none of them.
        Raises ValueError for a t outside first … T.
        """
        if not torch.is_tensor(t):
            numbers = checks.numbers("t", t)
            t = numbers if isinstance(t, float) else torch.as_tensor(t)
        if t.dtype == torch.bool or t.is_complex() or (whole and t.is_floating_point()):
            raise ValueError(f"t must be {'whole' if whole else 'real'} numbers; got {t.dtype}")
        if not t.is_floating_point():
            t = t.long()  # 8 bit would be taken for a mask
        if t.device.type == "cpu" and not ((t >= first) & (t <= self.T)).all():
            raise ValueError(f"t must lie in {first} … {self.T}; got {t.min()} … {t.max()}")
        if noisy and t.device.type == "cpu" and (t == 0).any():
            raise ValueError("x_0 holds no noise to predict: ask for t in 1 … T")
        return t

    def check_table(self, name: str, values: Tensor, positive: bool = False) -> Tensor:
        """A table of T + 1 finite numbers for t = 0 … T, of which entry 0 is ignored; none is below 0 (positive: nor 0).

        Values on a GPU are not looked at.
        """
        if not torch.is_tensor(values) or values.shape != (self.T + 1,) or values.is_complex():
            raise ValueError(f"{name} must be a tensor of T + 1 = {self.T + 1} numbers; got {checks.shown(values)}")
        used = values[1:]
        holds = (used > 0) if positive else (used >= 0)
        if values.device.type == "cpu" and not (holds & used.isfinite()).all():
            range_ = "above 0" if positive else "at least 0"
            raise ValueError(f"{name} must be finite and {range_} for t = 1 … T; got {used.min():g} … {used.max():g}")
        return values

    def check_weight(self, weight: Tensor) -> Tensor:
        """How often each t is drawn, T + 1 numbers as in `check_table`, of which one at least is above 0.

        They are added up in float32, so their sum may be neither tiny nor huge.
        """
        if self.check_table("weight", weight).device.type == "cpu":
            if not weight[1:].any():
                raise ValueError("weight is 0 for every t in 1 … T: none could be drawn")
            if not LEAST_SUM <= (total := weight[1:].double().sum().item()) <= 1 / LEAST_SUM:
                raise ValueError(f"the sum of weight must lie in 1e-30 … 1e30; got {total:g}: only its ratios count")
        return weight

    def __repr__(self) -> str:
        return f"NoiseSchedule(T={self.T}, alpha_bar[T]={self.alpha_bar[-1]:.3g})"


def _roots(log_alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar), the second without cancellation."""
    return log_alpha_bar.exp().sqrt(), log_alpha_bar.expm1().abs().sqrt()


def check_schedule(schedule: NoiseSchedule) -> NoiseSchedule:
    """The schedule, unchanged. Raises ValueError for anything else."""
    if not isinstance(schedule, NoiseSchedule):
        raise ValueError(
            f"schedule must be a NoiseSchedule, such as NoiseSchedule.cosine(); got {checks.shown(schedule)}"
        )
    return schedule


def spread(values: Tensor, like: Tensor | None) -> Tensor:
    """values, shaped to multiply the batch `like`: one number, or (batch, 1, …, 1); in its dtype, on its device.

    Raises ValueError where there are neither one nor len(like) values.
    """
    if like is None:
        return values
    values = values.to(like)
    if values.ndim == 0:
        return values
    if values.shape != like.shape[:1]:
        raise ValueError(f"t must be one number or one for each of the {len(like)} images; got {tuple(values.shape)}")
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _monotone_slopes(y: Tensor) -> Tensor:
    """Slopes of a monotone cubic through y at 0, 1, 2, … (Fritsch and Butland 1984): smooth, and it never overshoots."""
    step = y.diff()
    between = 2 * step[1:] * step[:-1] / (step[1:] + step[:-1])
    if len(step) == 1:
        return torch.cat([step, step])
    first, final = (1.5 * step[0] - 0.5 * between[0]).clamp(max=0), (1.5 * step[-1] - 0.5 * between[-1]).clamp(max=0)
    return torch.cat([first[None], between, final[None]])


def _hermite(y: Tensor, slope: Tensor, t: Tensor) -> Tensor:
    i = t.detach().long().clamp(0, len(y) - 2)
    u = t - i
    return (
        y[i] * (1 + 2 * u) * (1 - u) ** 2 + slope[i] * u * (1 - u) ** 2
        + y[i + 1] * u**2 * (3 - 2 * u) - slope[i + 1] * u**2 * (1 - u)
    )  # fmt: skip


def _hermite_slope(y: Tensor, slope: Tensor, t: Tensor) -> Tensor:
    i = t.detach().long().clamp(0, len(y) - 2)
    u = t - i
    return (
        (y[i + 1] - y[i]) * 6 * u * (1 - u) + slope[i] * (1 - u) * (1 - 3 * u) - slope[i + 1] * u * (2 - 3 * u)
    )  # fmt: skip
