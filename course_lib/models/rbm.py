"""A restricted Boltzmann machine, trained by contrastive divergence (Hinton 2002; lesson 04b)."""

import itertools
import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.data import check_images


class RBM(nn.Module):
    """p(v, h) = exp(v·a + h·b + v W h) / Z with v and h of zeros and ones: without an arrow between two v or two h.

    shape: of an image, whose pixels count as 1 above the middle grey. hidden: how many h. steps: of the Gibbs chain that
    gives contrastive divergence its second average.
    """

    def __init__(self, shape: tuple[int, ...], hidden: int = 64, steps: int = 1):
        super().__init__()
        self.shape = checks.shape("shape", shape)
        checks.whole("hidden", hidden, 1)
        self.steps, visible = checks.whole("steps", steps, 1), math.prod(self.shape)
        self.W = nn.Parameter(0.05 * torch.randn(visible, hidden))
        self.a, self.b = nn.Parameter(torch.zeros(visible)), nn.Parameter(torch.zeros(hidden))

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """Uniform numbers for the Gibbs chain, (batch, steps, visible + hidden)."""
        size = (shape[0], self.steps, self.W.shape[0] + self.W.shape[1])
        return {"u": torch.rand(size, generator=generator, device=device)}

    def free_energy(self, v: Tensor) -> Tensor:
        """-log of the sum over h of exp(v·a + h·b + v W h), (batch,): log p(v) = -free_energy(v) - log Z."""
        return -(v @ self.a) - F.softplus(v @ self.W + self.b).sum(1)

    def forward(self, x0: Tensor, cond: Tensor | None = None, u: Tensor | None = None) -> Tensor:
        """Its gradient is contrastive divergence: the free energy of the data, minus that of what the chain makes of them."""
        v = self.visible(x0)
        with torch.no_grad():
            made = v
            for uniform in u.unbind(1):
                made = self.gibbs(made, uniform)
        return (self.free_energy(v) - self.free_energy(made)).mean()

    def gibbs(self, v: Tensor, u: Tensor) -> Tensor:
        """One step: h given v, then v given h. u: uniform numbers, (batch, visible + hidden)."""
        visible = self.W.shape[0]
        h = (u[:, visible:] < torch.sigmoid(v @ self.W + self.b)).to(v.dtype)
        return (u[:, :visible] < torch.sigmoid(h @ self.W.T + self.a)).to(v.dtype)

    def visible(self, x0: Tensor) -> Tensor:
        """Images in [-1, 1] as zeros and ones, (batch, pixels)."""
        return (check_images(x0, shape=self.shape).flatten(1) > 0).to(self.W.dtype)

    def log_Z(self) -> Tensor:
        """log of the sum over all v and h, by adding up all hidden states. Raises ValueError for more than 16 of them."""
        hidden = self.W.shape[1]
        if hidden > 16:
            raise ValueError(f"2^{hidden} hidden states are too many to add up; at most 16")
        h = torch.tensor(list(itertools.product((0.0, 1.0), repeat=hidden)), dtype=self.W.dtype)
        return (h @ self.b + F.softplus(h @ self.W.T + self.a).sum(1)).logsumexp(0)

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None, *, steps: int = 1000) -> Tensor:
        """n images: a chain of so many Gibbs steps from noise, then the chance of each pixel as its grey value."""
        checks.whole("steps", steps, 1)
        size, device = sum(self.W.shape), generator.device
        v = torch.randint(2, (n, self.W.shape[0]), generator=generator, device=device).to(self.W.dtype)
        for _ in range(steps - 1):
            v = self.gibbs(v, torch.rand(n, size, generator=generator, device=device))
        chance = torch.sigmoid(v @ self.W + self.b)
        h = (torch.rand(chance.shape, generator=generator, device=device) < chance).to(v.dtype)
        return (2 * torch.sigmoid(h @ self.W.T + self.a) - 1).reshape(n, *self.shape)
