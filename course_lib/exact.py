"""Distributions whose every diffusion quantity is known in closed form: the ground truth of the lessons.

Put through x_t = signal x_0 + noise eps, a Gaussian mixture stays one, so its density, its score and E[x_0 | x_t] are
formulas at every t. Everything is computed in float64 and returned in the dtype of the argument.
"""

import math

import torch
from torch import Generator, Tensor

from course_lib import checks


class GaussianMixture:
    """sum_k weight_k N(mean_k, cov_k) over vectors of any dimension.

    mean: (k, d). cov: (k, d, d), or (k,) or a number for isotropic components (a variance, not a deviation).
    weight: (k,), at least 0; it is normalized. Raises ValueError for shapes that don't fit and a cov that is not
    symmetric and positive semidefinite.
    """

    def __init__(self, mean: Tensor, cov: Tensor | float, weight: Tensor | None = None):
        mean, cov = checks.numbers("mean", mean), checks.numbers("cov", cov)
        if mean.ndim != 2 or not mean.numel() or not mean.isfinite().all():
            raise ValueError(f"mean must be (components, dimension), all finite; got {tuple(mean.shape)}")
        k, d = mean.shape
        if cov.ndim == 0 or cov.shape == (k,):
            cov = cov.expand(k)[:, None, None] * torch.eye(d, dtype=torch.float64)
        if not cov.isfinite().all():
            raise ValueError("cov holds NaN or infinite values")
        if cov.shape != (k, d, d) or not torch.allclose(cov, cov.mT):
            raise ValueError(f"cov must be symmetric, of shape ({k}, {d}, {d}); got {tuple(cov.shape)}")
        weight = torch.ones(k) if weight is None else checks.numbers("weight", weight)
        if weight.shape != (k,) or not ((weight >= 0).all() and 0 < weight.sum() < math.inf):
            raise ValueError(f"weight must be {k} numbers of at least 0, not all 0; got {weight.tolist()}")
        self.mean, self.cov, self.weight = mean, cov, weight.double() / weight.double().sum()
        self.variance, self.axes = torch.linalg.eigh(cov)
        if self.variance.min() < -1e-12:
            raise ValueError("every cov must be positive semidefinite")
        self.variance = self.variance.clamp(min=0)

    @property
    def dim(self) -> int:
        return self.mean.shape[1]

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """(n, d), float64."""
        checks.whole("n", n, 1)
        checks.generator(generator)
        k = torch.multinomial(self.weight, n, replacement=True, generator=generator)
        z = torch.randn(n, self.dim, generator=generator, dtype=torch.float64)
        return self.mean[k] + torch.einsum("nij,nj->ni", self.axes[k], self.variance[k].sqrt() * z)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x): (n, d) to (n,), in nats."""
        return self._look(x, 1.0, 0.0)[0].logsumexp(1).to(x.dtype)

    def score(self, x: Tensor) -> Tensor:
        """The gradient of log p at x: (n, d) to (n, d)."""
        log_joint, along, spread = self._look(x, 1.0, 0.0)
        pull = -torch.einsum("kij,nkj->nki", self.axes, along / spread)
        return (log_joint.softmax(1)[..., None] * pull).sum(1).to(x.dtype)

    def noised(self, signal: Tensor | float, noise: Tensor | float) -> "GaussianMixture":
        """The distribution q_t of x_t = signal x_0 + noise eps: again a mixture (lesson 06)."""
        checks.number("signal", signal)
        checks.number("noise", noise, low=0)
        eye = torch.eye(self.dim, dtype=torch.float64)
        return GaussianMixture(signal * self.mean, signal**2 * self.cov + noise**2 * eye, self.weight)

    def posterior_mean(self, x_t: Tensor, signal: Tensor | float, noise: Tensor | float) -> Tensor:
        """E[x_0 | x_t]: what the best possible denoiser answers. (n, d) to (n, d).

        signal, noise: numbers, or (n, 1) for a time of its own in each row.
        """
        log_joint, along, spread = self._look(x_t, signal, noise)
        gain = _column("signal", signal, len(x_t))[..., None] * self.variance / spread
        centres = self.mean + torch.einsum("kij,nkj->nki", self.axes, gain * along)
        return (log_joint.softmax(1)[..., None] * centres).sum(1).to(x_t.dtype)

    def posterior(self, x_t: Tensor, signal: float, noise: float) -> "GaussianMixture":
        """The whole distribution of x_0 given one x_t (d,): again a mixture, with components moved and narrowed."""
        signal, noise = float(checks.number("signal", signal)), float(checks.number("noise", noise, low=0))
        checks.finite("x_t", x_t, axes=1)
        log_joint, along, spread = self._look(x_t[None], signal, noise)
        mean = self.mean + torch.einsum("kij,kj->ki", self.axes, (signal * self.variance / spread * along)[0])
        narrowed = (self.variance * noise**2 / spread[0])[:, None] * self.axes
        return GaussianMixture(mean, narrowed @ self.axes.mT, log_joint[0].softmax(0))

    def _look(self, x: Tensor, signal: Tensor | float, noise: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        """Seen by each component of q_t: log weight_k N(x; …) (n, k), x along its axes, and the variance there (n, k, d)."""
        _points(x, self.dim)
        signal, noise = _column("signal", signal, len(x))[..., None], _column("noise", noise, len(x))[..., None]
        along = torch.einsum("kji,nkj->nki", self.axes, x.double()[:, None] - signal * self.mean)
        spread = (signal**2 * self.variance + noise**2).expand_as(along)
        if (spread == 0).any():
            raise ValueError(
                "a component without width has no density: ask for `noised(signal, noise)`, or for noise above 0"
            )
        log_normal = -0.5 * (along**2 / spread + spread.log() + math.log(2 * math.pi)).sum(-1)
        return self.weight.log() + log_normal, along, spread


class Points:
    """A finite data set as a distribution: each point with the same probability, and nothing between them.

    Its ideal denoiser is what a network of unlimited size would learn from these data: it gives them back (lesson 09).
    x: (n, …), flattened to vectors.
    """

    def __init__(self, x: Tensor):
        self.x = checks.finite("x", x).flatten(1).double()

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """n of the points, (n, d)."""
        checks.whole("n", n, 1)
        checks.generator(generator)
        return self.x[torch.randint(len(self.x), (n,), generator=generator)]

    def log_prob(self, x_t: Tensor, signal: Tensor | float, noise: Tensor | float) -> Tensor:
        """log q_t(x_t), (n,), for a noise above 0: a mixture of one Gaussian a point."""
        dim, kernel = self.x.shape[1], self._log_kernel(x_t, signal, noise)
        log_normal = kernel - 0.5 * dim * (2 * math.pi * _column("noise", noise, len(x_t)) ** 2).log()
        return (log_normal.logsumexp(1) - math.log(len(self.x))).to(x_t.dtype)

    def posterior_mean(self, x_t: Tensor, signal: Tensor | float, noise: Tensor | float) -> Tensor:
        """E[x_0 | x_t], (n, d): the points, weighted by how well each explains x_t."""
        return (self._log_kernel(x_t, signal, noise).softmax(1) @ self.x).to(x_t.dtype)

    def _log_kernel(self, x_t: Tensor, signal: Tensor | float, noise: Tensor | float) -> Tensor:
        _points(x_t, self.x.shape[1])
        x_t, signal, noise = x_t.double(), _column("signal", signal, len(x_t)), _column("noise", noise, len(x_t))
        if (noise**2 == 0).any():
            raise ValueError("noise must be above 0: without noise, points have no density")
        square = (x_t**2).sum(1, keepdim=True) - 2 * signal * (x_t @ self.x.T) + signal**2 * (self.x**2).sum(1)
        return -square / (2 * noise**2)


def _points(x: Tensor, dim: int) -> None:
    if checks.finite("x", x).shape[1:] != (dim,):
        raise ValueError(f"x must be (n, {dim}); got {tuple(x.shape)}")


def _column(name: str, value: Tensor | float, n: int) -> Tensor:
    """A number as (1, 1), a column (n, 1) as it is. Raises ValueError for other shapes, and for a noise below 0."""
    value = checks.numbers(name, value)
    if value.shape not in ((), (n, 1)) or not value.isfinite().all() or (name == "noise" and (value < 0).any()):
        range_ = " of at least 0" if name == "noise" else ""
        raise ValueError(
            f"{name} must be a finite number{range_}, or ({n}, 1) for a time of its own in each row; got {checks.shown(value)}"
        )
    return value.reshape(1, 1) if value.ndim == 0 else value
