"""A mixture of Gaussians, fitted by EM (lesson 01; Dempster, Laird and Rubin 1977)."""

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal

from course_lib import checks
from course_lib.models.gaussians import Density, dequantized


class Mixture(Density):
    """q(x) = sum_z q(z) N(x; mean_z, covariance_z) with z in 1 … components: first a component is drawn, then a point of it.

    ridge: added to every variance, so that no component can shrink to a point. rounds: of EM, from means that are data.
    """

    def __init__(
        self, shape: tuple[int, ...], components: int, levels: int | None = None, ridge: float = 1e-2, rounds: int = 60
    ):
        super().__init__(shape, levels)
        checks.whole("components", components, 1)
        checks.whole("rounds", rounds, 0)
        checks.number("ridge", ridge, 0)
        self.ridge, self.rounds = ridge, rounds
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, self.dim))
        self.register_buffer("covariances", torch.eye(self.dim).repeat(components, 1, 1))

    def fit(self, x0: Tensor, cond: Tensor | None, generator: Generator) -> None:
        """EM from data points as means, equal weights and the covariance of all."""
        x, components = self._rows(dequantized(x0, self.levels, generator)), len(self.weights)
        if len(x) < components:
            raise ValueError(f"{components} components need as many points to start from; got {len(x)}")
        rows = torch.randperm(len(x), generator=generator, device=x.device)[:components]
        spread = torch.cov(x.T, correction=0) + self.ridge * torch.eye(self.dim, dtype=x.dtype, device=x.device)
        parts = (torch.full_like(x[rows, 0], 1 / components), x[rows], spread.repeat(components, 1, 1))
        for _ in range(self.rounds):
            parts = maximized(x, responsibilities(x, *parts), self.ridge)
        for buffer, values in zip((self.weights, self.means, self.covariances), parts, strict=True):
            buffer.copy_(values)

    def log_prob(self, x0: Tensor) -> Tensor:
        """log q(x_0), (batch,)."""
        return log_joint(self._rows(x0), *self._parts()).logsumexp(1).to(x0.dtype)

    def posterior(self, x0: Tensor) -> Tensor:
        """q(z | x_0), (batch, components): to which cluster it belongs."""
        return responsibilities(self._rows(x0), *self._parts()).to(x0.dtype)

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None) -> Tensor:
        """n images in two steps: a component, then a point of its Gaussian."""
        z = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        root = torch.linalg.cholesky(self.covariances)
        eps = torch.randn(n, self.dim, generator=generator, device=generator.device)
        return self._as_images(self.means[z] + torch.einsum("nij,nj->ni", root[z], eps))

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.weights.double(), self.means.double(), self.covariances.double()


def log_joint(x: Tensor, weights: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """log q(x, z) for every component, (batch, components)."""
    return MultivariateNormal(means, covariances).log_prob(x[:, None]) + weights.log()


def responsibilities(x: Tensor, weights: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """The E-step: q(z | x), (batch, components)."""
    return log_joint(x, weights, means, covariances).softmax(1)


def maximized(x: Tensor, r: Tensor, ridge: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """The M-step: weights, means and covariances that are most probable once the responsibilities r are taken as given."""
    counts = r.sum(0) + 10 * torch.finfo(r.dtype).eps
    means = r.T @ x / counts[:, None]
    covariances = torch.stack([
        (r[:, k, None] * (x - means[k])).T @ (x - means[k]) / counts[k] for k in range(r.shape[1])
    ])  # fmt: skip
    return counts / counts.sum(), means, covariances + ridge * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
