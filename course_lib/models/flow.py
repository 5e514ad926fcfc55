"""A normalizing flow of affine coupling layers, RealNVP (Dinh, Sohl-Dickstein, Bengio 2017; lesson 04)."""

import math

import torch
from torch import Generator, Tensor, nn

from course_lib import checks
from course_lib.models.gaussians import Density, dequantized
from course_lib.models.vae import perceptron


class Coupling(nn.Module):
    """Where the mask is 1, x passes; elsewhere it is scaled and shifted by a network that sees only what passes."""

    def __init__(self, mask: Tensor, width: int):
        super().__init__()
        self.register_buffer("mask", mask)
        self.net = perceptron(len(mask), width, width, 2 * len(mask))
        nn.init.zeros_(self.net[-1].weight)  # at first, the identity
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Towards the noise: z, and log |det dz/dx|, (batch,)."""
        log_scale, shift = self._of(x)
        return x * log_scale.exp() + shift, log_scale.sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """From the noise."""
        log_scale, shift = self._of(z)
        return (z - shift) * (-log_scale).exp()

    def _of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self.net(x * self.mask).chunk(2, dim=1)
        free = 1 - self.mask
        return 2 * torch.tanh(log_scale / 2) * free, shift * free


class Flow(Density):
    """x = f(z) with z ~ N(0, I) and an invertible f: log p(x) = log N(f^-1(x); 0, I) + log |det d f^-1 / dx|.

    shape: of an image or a point. levels: how many grey values a pixel takes; None for points. layers: couplings, whose masks
    alternate. Images are spread over their bins (dequantized), and brought from their interval to all numbers by a logit.
    """

    def __init__(self, shape: tuple[int, ...], layers: int = 8, width: int = 128, levels: int | None = None):
        super().__init__(shape, levels)
        checks.whole("layers", layers, 1)
        checks.whole("width", width, 1)
        even = (torch.arange(self.dim) % 2).float()
        if len(self.shape) == 3:  # a chessboard
            i, j = torch.meshgrid(torch.arange(self.shape[1]), torch.arange(self.shape[2]), indexing="ij")
            even = ((i + j) % 2).float().flatten().repeat(self.shape[0])
        self.layers = nn.ModuleList(Coupling(even if i % 2 else 1 - even, width) for i in range(layers))

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """Where in its bin each grey value lies: uniform in [0, 1)."""
        return {"u": torch.rand(shape, generator=generator, device=device)} if self.levels else {}

    def forward(self, x0: Tensor, cond: Tensor | None = None, u: Tensor | None = None) -> Tensor:
        """-log p per image, of images spread over their bins."""
        if self.levels:
            x0 = x0 + (u - 0.5) * 2 / (self.levels - 1)
        return -self.log_prob(x0).mean()

    def encode(self, x0: Tensor) -> tuple[Tensor, Tensor]:
        """z = f^-1(x_0), (batch, dim), and log |det dz/dx_0|, (batch,)."""
        x = self._rows(x0).to(x0.dtype)
        log_det = torch.zeros(len(x), dtype=x.dtype, device=x.device)
        if self.levels:
            x, log_det = self._unbounded(x)
        for layer in self.layers:
            x, added = layer(x)
            log_det = log_det + added
        return x, log_det

    def decode(self, z: Tensor) -> Tensor:
        """x_0 = f(z), images or points."""
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        if self.levels:
            z = (torch.sigmoid(z) * 2 - 1) * self._reach()
        return z.reshape(-1, *self.shape)

    def log_prob(self, x0: Tensor) -> Tensor:
        """log p(x_0), (batch,)."""
        z, log_det = self.encode(x0)
        return -0.5 * z.square().sum(1) - 0.5 * self.dim * math.log(2 * math.pi) + log_det

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n images or points; temperature: how wide z is drawn."""
        checks.number("temperature", temperature, 0)
        z = temperature * torch.randn(n, self.dim, generator=generator, device=generator.device)
        return self._as_images(self.decode(z))

    def _reach(self) -> float:
        """Half a bin beyond -1 … 1, and a little: there the logit is infinite."""
        return (1 + 1 / (self.levels - 1)) * 1.001

    def _unbounded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        p = (x / self._reach() + 1) / 2
        log_det = -(p.log() + (1 - p).log() + math.log(2 * self._reach())).sum(1)
        return p.logit(), log_det
