"""Classical generative models in closed form or by EM: PCA with a Gaussian in its plane, and mixtures (lesson 01).

Both are densities of continuous x. Grey values are discrete, so they are spread over their bins first (`dequantized`): then
exp of the mean log density, times the bin's volume, is at most the probability of the discrete image (lesson 04).
"""

import math

import torch
from torch import Generator, Tensor, nn
from torch.distributions import MultivariateNormal

from course_lib import checks
from course_lib.diffusion.variational import check_levels
from course_lib.models.protocol import check_asked_levels


def dequantized(x0: Tensor, levels: int | None, generator: Generator) -> Tensor:
    """Each grey value moved at random within its bin, whose width is 2 / (levels - 1); points come back as they are."""
    if levels is None:
        return x0
    return x0 + (torch.rand(x0.shape, generator=generator, device=x0.device) - 0.5) * 2 / (levels - 1)


class Density(nn.Module):
    """What both have in common: a log density, and everything that follows from it."""

    def __init__(self, shape: tuple[int, ...], levels: int | None):
        super().__init__()
        self.shape, self.levels = checks.shape("shape", shape), levels
        self.dim = math.prod(self.shape)
        if levels is not None:
            checks.whole("levels", levels, 2)

    def forward(self, x0: Tensor, cond: Tensor | None = None) -> Tensor:
        """-log p(x_0) per image, the grey values in the middle of their bins."""
        return -self.log_prob(x0).mean()

    def bits_per_dim(self, x0: Tensor, levels: int, generator: Generator) -> Tensor:
        """A bound on -log2 P(x_0) per pixel, (batch,): the density at one place in the bin, times the bin's volume."""
        check_asked_levels(levels, self.levels)
        log_p = self.log_prob(dequantized(check_levels(x0, levels), levels, generator))
        return -(log_p / self.dim + math.log(2 / (levels - 1))) / math.log(2)

    def _rows(self, x0: Tensor) -> Tensor:
        """(batch, dim) in float64. Raises ValueError for images or points of another shape."""
        if checks.finite("x0", x0).shape[1:] != self.shape:
            raise ValueError(f"x0 must be of shape (batch, {', '.join(map(str, self.shape))}); got {tuple(x0.shape)}")
        return x0.flatten(1).double()

    def _as_images(self, x: Tensor) -> Tensor:
        x = x.reshape(-1, *self.shape)
        return x if self.levels is None else x.clamp(-1, 1)


class PCAGaussian(Density):
    """x = mean + W z + sigma eps with z of k numbers: probabilistic PCA (Tipping and Bishop 1999), in closed form.

    The columns of W are the k directions of largest variance, and sigma^2 is the mean variance in the other directions.
    """

    def __init__(self, shape: tuple[int, ...], k: int, levels: int | None = None):
        super().__init__(shape, levels)
        checks.whole("k", k, 1, self.dim - 1)
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("directions", torch.eye(self.dim, k))
        self.register_buffer("variances", torch.ones(k))
        self.register_buffer("sigma2", torch.ones(()))

    def fit(self, x0: Tensor, cond: Tensor | None, generator: Generator) -> None:
        """The eigenvectors of the covariance (of the dequantized data)."""
        x = self._rows(dequantized(x0, self.levels, generator))
        variances, directions = torch.linalg.eigh(torch.cov(x.T, correction=0))
        k = len(self.variances)
        self.mean.copy_(x.mean(0))
        self.directions.copy_(directions[:, -k:].flip(1))
        self.variances.copy_(variances[-k:].flip(0))
        self.sigma2.copy_(variances[:-k].mean())

    def encode(self, x0: Tensor) -> Tensor:
        """Coordinates along the directions, (batch, k)."""
        return (self._rows(x0).to(x0.dtype) - self.mean) @ self.directions

    def decode(self, z: Tensor) -> Tensor:
        """The point of the k-dimensional plane with these coordinates, as images."""
        return (self.mean + z @ self.directions.T).reshape(-1, *self.shape)

    def log_prob(self, x0: Tensor) -> Tensor:
        """log p(x_0), (batch,)."""
        square = self.sigma2.double() * torch.eye(self.dim, dtype=torch.double, device=self.mean.device)
        W = self.directions.double() * (self.variances - self.sigma2).clamp(min=0).double().sqrt()
        normal = MultivariateNormal(self.mean.double(), W @ W.T + square)
        return normal.log_prob(self._rows(x0)).to(x0.dtype)

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None, *, noise: float = 1.0) -> Tensor:
        """n images: a point of the plane, and `noise` times the noise around it."""
        checks.number("noise", noise, 0)
        z = torch.randn(n, len(self.variances), generator=generator, device=generator.device)
        eps = torch.randn(n, self.dim, generator=generator, device=generator.device)
        spread = (self.variances - self.sigma2).clamp(min=0).sqrt()
        return self._as_images(self.mean + (z * spread) @ self.directions.T + noise * self.sigma2.sqrt() * eps)
