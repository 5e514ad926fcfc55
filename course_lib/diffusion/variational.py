"""The variational bound on -log p(x_0), term by term, in nats. Lesson 07 derives every line.

-log p(x_0) <= L_T + L_{T-1} + … + L_1 + L_0                                      (Ho et al. 2020, eq. 5)

`sigma2` is the variance of p(x_{t-1} | x_t), a table of T + 1 numbers: `fixed_variance`, or `best_variance`.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from course_lib import checks
from course_lib.diffusion.denoiser import Predictor, check_predictor
from course_lib.diffusion.schedule import NoiseSchedule, check_schedule, spread
from course_lib.diffusion.target import Target


@dataclass(frozen=True)
class Bound:
    """The bound of one image after the other, in nats: prior L_T, steps L_{T-1} + … + L_1, decoder L_0; each (batch,).

    `steps` is an unbiased estimate (Monte Carlo over t and x_t). dim: numbers in an image.
    """

    prior: Tensor
    steps: Tensor
    decoder: Tensor
    dim: int

    @property
    def bits_per_dim(self) -> Tensor:
        """The whole bound, (batch,), in bits for each number of an image."""
        return (self.prior + self.steps + self.decoder) / (self.dim * math.log(2))


def bound(
    denoiser: Predictor, x0: Tensor, levels: int, sigma2: Tensor, generator: Generator | None = None, draws: int = 10
) -> Bound:
    """The bound on -log P(x_0) for images of `levels` grey levels in [-1, 1], from `draws` times for each image.

    x0: (batch, …). L_t falls about like 1/t, so t is drawn with p(t) proportional to 1/t, stratified over the batch, and
    each term divided by p(t): the same mean as with uniform t, with a fraction of the variance (lesson 07).
    Raises ValueError for images that are not on these levels, fewer than two levels, and a sigma2 that is no table of this
    schedule's.
    """
    schedule = check_predictor(denoiser).schedule
    check_levels(x0, levels)
    checks.whole("draws", draws, 1)
    many = x0.repeat(draws, *[1] * (x0.ndim - 1))
    p = torch.cat([torch.zeros(2), 1 / torch.arange(2, schedule.T + 1)]).to(x0.device)
    p = p / p.sum()
    t = schedule.draw_times(len(many), generator, x0.device, weight=p)
    t = t[torch.randperm(len(t), generator=generator, device=x0.device)]
    steps = (step_term(denoiser, many, t, sigma2, generator) / p[t]).reshape(draws, len(x0)).mean(0)
    decoder = decoder_term(denoiser, x0, levels, sigma2, generator)
    return Bound(prior_term(schedule, x0), steps, decoder, x0[0].numel())


def prior_term(schedule: NoiseSchedule, x0: Tensor) -> Tensor:
    """L_T = KL(q(x_T | x_0) | N(0, I)), in closed form; (batch,)."""
    remains = schedule.alpha_bar[-1].to(checks.batch("x0", x0))
    return 0.5 * (remains * (x0**2 - 1) - torch.log1p(-remains)).flatten(1).sum(1)


def step_term(
    denoiser: Predictor, x0: Tensor, t: int | Tensor, sigma2: Tensor, generator: Generator | None = None
) -> Tensor:
    """L_{t-1} = KL(q(x_{t-1} | x_t, x_0) | p(x_{t-1} | x_t)) at one random x_t an image; t in 2 … T; (batch,)."""
    t = torch.as_tensor(denoiser.schedule.check(t, first=2, whole=True), device=x0.device).expand(len(x0))
    square = (x0 - x0_hat(denoiser, x0, t, generator)).flatten(1).square().sum(1)
    return step_kl(denoiser.schedule, t, square, x0[0].numel(), sigma2)


def x0_hat(denoiser: Predictor, x0: Tensor, t: int | Tensor, generator: Generator | None = None) -> Tensor:
    """What the denoiser takes x_0 for, from one random x_t of each image; x0's shape."""
    checks.generator(generator)
    eps = torch.randn(x0.shape, generator=generator, dtype=checks.batch("x0", x0).dtype, device=x0.device)
    with torch.no_grad():
        return denoiser.predict(denoiser.schedule.q_sample(x0, t, eps), t)[0]


def step_kl(schedule: NoiseSchedule, t: Tensor, square: Tensor, dim: int, sigma2: Tensor) -> Tensor:
    """That KL for a squared error |x_0 - x0_hat|^2 over `dim` numbers: two Gaussians, both isotropic.

    KL = dim/2 (log(sigma2/beta_tilde) + beta_tilde/sigma2 - 1) + k^2 square / (2 sigma2),  k: x_0's factor in mu_tilde.
    t, square: (batch,), t in 2 … T. Raises ValueError for another t, and a sigma2 that is no table of T + 1 variances.
    """
    t, sigma2 = check_schedule(schedule).check(t, first=2, whole=True), check_variance(schedule, sigma2)
    checks.whole("dim", dim, 1)
    checks.batch("square", square, axes=1)
    beta_tilde, k = (spread(values[t.cpu()], square) for values in _posterior_tables(schedule))
    sigma2 = spread(sigma2[t.cpu()], square)
    ratio = beta_tilde / sigma2
    return 0.5 * dim * (ratio - 1 - ratio.log()) + k**2 * square / (2 * sigma2)


def decoder_term(
    denoiser: Predictor, x0: Tensor, levels: int, sigma2: Tensor, generator: Generator | None = None
) -> Tensor:
    """L_0 = -log P(x_0 | x_1) at one random x_1 an image; (batch,). P is `discretized` around mu(x_1)."""
    t = torch.ones(len(x0), dtype=torch.long, device=x0.device)
    sigma2 = check_variance(denoiser.schedule, sigma2)
    return -discretized(x0, x0_hat(denoiser, x0, t, generator), sigma2[1].sqrt().item(), levels).flatten(1).sum(1)


def discretized(x0: Tensor, mu: Tensor, sigma: float, levels: int) -> Tensor:
    """log of the mass that N(mu, sigma^2) has in x0's bin (Ho et al. 2020, eq. 13); x0's shape.

    The bins lie around `levels` values from -1 to 1; the first and the last reach to infinity.
    """
    half = 1 / (checks.whole("levels", levels, 2) - 1)
    checks.number("sigma", sigma, 0, beyond=True)
    x0, mu = checks.floats("x0", x0).double(), checks.floats("mu", mu).double()
    if x0.shape != mu.shape and 1 not in (x0.numel(), mu.numel()):
        raise ValueError(f"mu must be one number or of x0's shape {tuple(x0.shape)}; got {tuple(mu.shape)}")
    right = ((x0 + half - mu) / sigma).masked_fill(x0 > 1 - half, math.inf)
    left = ((x0 - half - mu) / sigma).masked_fill(x0 < half - 1, -math.inf)
    upper = left > 0  # there, both tails are near 1: look at them from the other side
    low, high = torch.where(upper, -right, left), torch.where(upper, -left, right)
    log_high = torch.special.log_ndtr(high)
    return log_high + torch.log1p(-torch.exp(torch.special.log_ndtr(low) - log_high))


def fixed_variance(schedule: NoiseSchedule, kind: Literal["beta", "beta_tilde"]) -> Tensor:
    """sigma_t^2 for t = 0 … T: beta_t, or beta_tilde_t with beta_tilde_2 at t = 1, where it would be 0.

    (Ho et al. 2020, sec. 3.2; Nichol and Dhariwal 2021, sec. 3.1)
    """
    if checks.one_of("kind", kind, ("beta", "beta_tilde")) == "beta":
        return check_schedule(schedule).beta
    if check_schedule(schedule).T < 2:
        raise ValueError("beta_tilde of a single step is 0: use 'beta', or a schedule of T = 2 or more")
    beta_tilde = _posterior_tables(schedule)[0].clone()
    beta_tilde[1] = beta_tilde[2]
    return beta_tilde


def best_variance(schedule: NoiseSchedule, mean_square: Tensor) -> Tensor:
    """The sigma_t^2 that makes the bound smallest: beta_tilde + k^2 E[(x_0 - x0_hat)^2] (Bao et al. 2022, theorem 1).

    mean_square: the denoiser's mean squared error a pixel in x_0, at t = 0 … T.
    """
    check_schedule(schedule).check_table("mean_square", mean_square)
    beta_tilde, k = _posterior_tables(schedule)
    return beta_tilde + k**2 * mean_square.to(k)


def _posterior_tables(schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    """beta_tilde and x_0's factor in mu_tilde, of q(x_{t-1} | x_t, x_0); entry 0 is unused."""
    one = torch.ones(schedule.T, dtype=torch.float64)
    k, beta_tilde = schedule.posterior(one, torch.zeros_like(one), torch.arange(1, schedule.T + 1))
    return torch.cat([one.new_zeros(1), beta_tilde]), torch.cat([one.new_zeros(1), k])


def bound_weight(schedule: NoiseSchedule, target: Target) -> Tensor:
    """lambda_t for t = 0 … T: what the squared error of a target weighs in the bound; entry 0 is 0.

    L_{t-1} = lambda_t |y - y_hat|^2 + constant, for the variance sigma_t^2 = beta_t (Ho et al. 2020, eq. 12; lesson 07).
    """
    if not isinstance(target, Target):
        raise ValueError(f"target must be EPS, X0 or V of course_lib.diffusion; got {checks.shown(target)}")
    t = torch.arange(1, check_schedule(schedule).T + 1)
    signal, noise = schedule.at(t)
    c, d = target.coefficients(signal, noise)
    k = _posterior_tables(schedule)[1][1:]
    of_x0 = k**2 / (2 * schedule.beta[1:])
    return torch.cat([of_x0.new_zeros(1), of_x0 * (noise / (signal * d - noise * c)) ** 2])


def check_levels(x0: Tensor, levels: int) -> Tensor:
    """The images, unchanged. Raises ValueError where they are not on so many grey levels (at least two) from -1 to 1."""
    checks.whole("levels", levels, 2)
    low, high = checks.finite("x0", x0).aminmax()
    if not (low >= -1 - 1e-4 and high <= 1 + 1e-4):
        raise ValueError(f"x0 must lie in [-1, 1], where the grey levels are; got {low:.3g} … {high:.3g}")
    level = (x0.float() + 1) / 2 * (levels - 1)
    if (off := (level - level.round()).abs().max()) > 0.1:
        raise ValueError(
            f"x0 must lie on its {levels} grey levels; a value is {off:.2g} of a step beside one: are there as many levels?"
        )
    return x0


def check_variance(schedule: NoiseSchedule, sigma2: Tensor) -> Tensor:
    """The table, unchanged. Raises ValueError for another length than T + 1, and for a variance that is not above 0."""
    return schedule.check_table("sigma2", sigma2, positive=True)
