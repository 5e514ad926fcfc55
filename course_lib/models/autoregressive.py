"""One pixel after the other: a small masked convolutional network (van den Oord et al. 2016; lesson 01b)."""

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F


class MaskedConv(nn.Conv2d):
    """A 3 × 3 convolution that sees only what comes before a pixel, row by row from the top left.

    itself: whether it sees the pixel itself too, which the first layer must not, and the later ones may.
    """

    def __init__(self, c_in: int, c_out: int, itself: bool, kernel: int = 3):
        super().__init__(c_in, c_out, kernel, padding=kernel // 2)
        middle, mask = kernel // 2, torch.ones(kernel, kernel)
        mask[middle, middle + itself :] = 0
        mask[middle + 1 :] = 0
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class Autoregressive(nn.Module):
    """P(x_0) = prod_i P(x_i | x_1 … x_{i-1}), each over the grey levels.

    shape: (1, height, width). levels: how many grey values a pixel takes. width: channels; depth: layers after the first.
    """

    def __init__(self, shape: tuple[int, ...], levels: int, width: int = 48, depth: int = 5):
        super().__init__()
        self.shape, self.levels = tuple(shape), levels
        self.first = MaskedConv(levels, width, itself=False, kernel=5)
        self.layers = nn.ModuleList(MaskedConv(width, width, itself=True) for _ in range(depth))
        self.out = nn.Conv2d(width, levels, 1)

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """Nothing is random in a step."""
        return {}

    def logits(self, level: Tensor) -> Tensor:
        """What each pixel may be, once those before it are known: grey values (batch, h, w) to (batch, levels, h, w)."""
        h = self.first(F.one_hot(level, self.levels).movedim(-1, 1).float())
        for layer in self.layers:
            h = h + layer(F.silu(h))
        return self.out(F.silu(h))

    def log_prob(self, x0: Tensor) -> Tensor:
        """log P(x_0), exact, (batch,): one call of the network."""
        level = self._levels_of(x0)
        return -F.cross_entropy(self.logits(level), level, reduction="none").flatten(1).sum(1)

    def forward(self, x0: Tensor, cond: Tensor | None = None) -> Tensor:
        """-log P(x_0) per image."""
        return -self.log_prob(x0).mean()

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n images in [-1, 1], one network call for each pixel. temperature: 1 is the model, 0 the most probable grey value."""
        level = torch.zeros(n, *self.shape[1:], dtype=torch.long, device=generator.device)
        for i, j in torch.cartesian_prod(*map(torch.arange, self.shape[1:])).tolist():
            scores = self.logits(level)[:, :, i, j]
            if temperature == 0:
                level[:, i, j] = scores.argmax(1)
            else:
                chance = (scores / temperature).softmax(1)
                level[:, i, j] = torch.multinomial(chance, 1, generator=generator)[:, 0]
        return 2 * level[:, None] / (self.levels - 1) - 1

    def bits_per_dim(self, x0: Tensor, levels: int, generator: Generator) -> Tensor:
        """-log2 P(x_0) per pixel, exact, (batch,)."""
        return -self.log_prob(x0) / (math.prod(self.shape) * math.log(2))

    def _levels_of(self, x0: Tensor) -> Tensor:
        return ((x0[:, 0] + 1) * (self.levels - 1) / 2).round().long()
