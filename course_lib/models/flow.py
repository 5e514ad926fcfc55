"""A normalizing flow of affine coupling layers, RealNVP (Dinh, Sohl-Dickstein, Bengio 2017; lesson 04)."""

import math

import torch
from torch import Generator, Tensor, nn

from course_lib import checks
from course_lib.models.autoregressive import check_dropout
from course_lib.models.gaussians import Density
from course_lib.nets import perceptron

SMALLEST = 1e-3  # of a pixel's probability is spread evenly over all grey levels, so that none is impossible


class ScaleAndShift(nn.Module):
    """A perceptron with two hidden layers from `dim` numbers to a log-scale and a shift for each."""

    def __init__(self, dim: int, width: int):
        super().__init__()
        self.layers = perceptron(dim, width, width, 2 * dim)
        nn.init.zeros_(self.layers[-1].weight)  # at first, a coupling is the identity
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """keep: factors of the hidden units, (batch, 2, width)."""
        first, second = (1, 1) if keep is None else keep.unbind(1)
        hidden = self.layers[2:4](self.layers[:2](x) * first) * second
        log_scale, shift = self.layers[4:](hidden).chunk(2, dim=1)
        return 2 * torch.tanh(log_scale / 2), shift


class Coupling(nn.Module):
    """Where the mask is 1, x passes; elsewhere it is scaled and shifted by a network that sees only what passes."""

    def __init__(self, mask: Tensor, width: int):
        super().__init__()
        self.register_buffer("mask", mask)
        self.net = ScaleAndShift(len(mask), width)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Towards the noise: z (batch, dim), and log |det dz/dx|, (batch,)."""
        log_scale, shift = self.net(x * self.mask, keep)
        free = 1 - self.mask
        return x * (log_scale * free).exp() + shift * free, (log_scale * free).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """From the noise: x (batch, dim)."""
        log_scale, shift = self.net(z * self.mask)
        free = 1 - self.mask
        return (z - shift * free) * (-log_scale * free).exp()


class Histogram(nn.Module):
    """Each pixel on its own, from its dequantized grey value to a standard normal number and back.

    Each pixel has a learned histogram of its grey levels. Its distribution function takes the value to a uniform number u,
    and the inverse of the normal distribution function takes u to z.
    """

    def __init__(self, dim: int, levels: int):
        super().__init__()
        self.levels, self.score = levels, nn.Parameter(torch.zeros(dim, levels))

    def forward(self, x: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Towards the noise: z (batch, dim), and log |det dz/dx|, (batch,)."""
        share, below, pixel = self._bars()
        place = (x.double() + 1) * ((self.levels - 1) / 2) + 0.5
        level = place.floor().clamp(0, self.levels - 1).long()
        u = below[pixel, level] + share[pixel, level] * (place - level)
        z = torch.special.ndtri(u.clamp(1e-12, 1 - 1e-12))
        log_normal = -0.5 * (z.square() + math.log(2 * math.pi))
        log_density = share[pixel, level].log() + math.log((self.levels - 1) / 2)
        return z.to(x.dtype), (log_density - log_normal).sum(1).to(x.dtype)

    def inverse(self, z: Tensor) -> Tensor:
        """From the noise: x (batch, dim)."""
        share, below, pixel = self._bars()
        u = torch.special.ndtr(z.double())
        level = (u[:, :, None] >= below).sum(2).clamp(1, self.levels) - 1
        place = level + (u - below[pixel, level]) / share[pixel, level]
        return ((place - 0.5) / ((self.levels - 1) / 2) - 1).to(z.dtype)

    def _bars(self) -> tuple[Tensor, Tensor, Tensor]:
        """The share of each level, the share below it, (dim, levels), and each pixel's number."""
        share = (1 - SMALLEST) * self.score.double().softmax(1) + SMALLEST / self.levels
        return share, share.cumsum(1) - share, torch.arange(len(share), device=share.device)


class Flow(Density):
    """x = f(z) with z ~ N(0, I) and an invertible f: log p(x) = log N(f^-1(x); 0, I) + log |det d f^-1 / dx|.

    shape: of an image or a point. levels: how many grey values a pixel takes, which are spread over their bins
    (dequantized); None for points. layers: couplings, whose masks alternate. width: of their networks. dropout: the share
    of hidden units that each network loses in a training step, which keeps few images from being memorized.
    """

    def __init__(
        self, shape: tuple[int, ...], layers: int = 8, width: int = 128, levels: int | None = None, dropout: float = 0.0
    ):
        super().__init__(shape, levels)
        self.width, self.dropout = width, check_dropout(dropout)
        checks.whole("layers", layers, 1)
        checks.whole("width", width, 1)
        index = torch.stack(torch.meshgrid(*map(torch.arange, self.shape), indexing="ij"))
        board = (index.sum(0) % 2).float().flatten()  # black and white, as on a chessboard
        masks = (board if i % 2 else 1 - board for i in range(layers))
        first = [Histogram(self.dim, levels)] if levels else []
        self.layers = nn.ModuleList([*first, *(Coupling(mask, width) for mask in masks)])

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """Factors of the hidden units, (batch, layers, 2, width), and where in its bin each grey value lies, in [0, 1)."""
        kept = torch.rand(shape[0], len(self.layers), 2, self.width, generator=generator, device=device) >= self.dropout
        u = {"u": torch.rand(shape, generator=generator, device=device)} if self.levels else {}
        return u | {"keep": kept / (1 - self.dropout)}

    def forward(
        self, x0: Tensor, cond: Tensor | None = None, u: Tensor | None = None, keep: Tensor | None = None
    ) -> Tensor:
        """-log p per image, of images spread over their bins."""
        if u is not None:
            x0 = x0 + (u - 0.5) * 2 / (self.levels - 1)
        return -self.log_prob(x0, keep).mean()

    def encode(self, x0: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z = f^-1(x_0), (batch, dim), and log |det dz/dx_0|, (batch,)."""
        z = self._rows(x0).to(x0.dtype)
        log_det = torch.zeros(len(z), dtype=z.dtype, device=z.device)
        for i, layer in enumerate(self.layers):
            z, added = layer(z, None if keep is None else keep[:, i])
            log_det = log_det + added
        return z, log_det

    def decode(self, z: Tensor) -> Tensor:
        """x_0 = f(z), images or points."""
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z.reshape(-1, *self.shape)

    def log_prob(self, x0: Tensor, keep: Tensor | None = None) -> Tensor:
        """log p(x_0), (batch,)."""
        z, log_det = self.encode(x0, keep)
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1) + log_det

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n images or points; temperature: how wide z is drawn."""
        checks.number("temperature", temperature, 0)
        z = temperature * torch.randn(n, self.dim, generator=generator, device=generator.device)
        return self._as_images(self.decode(z))
