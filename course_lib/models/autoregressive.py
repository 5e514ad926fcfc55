"""One pixel after the other: a small masked convolutional network (van den Oord et al. 2016; lesson 01b)."""

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.data import check_images, from_indices, to_indices
from course_lib.models.protocol import check_asked_levels


class MaskedConv(nn.Conv2d):
    """A convolution that sees only what comes before a pixel, row by row from the top left.

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


class PixelNet(nn.Module):
    """Grey values (batch, h, w) to scores (batch, levels, h, w): what each pixel may be, once those before it are known.

    width: channels; depth: layers after the first.
    """

    def __init__(self, levels: int, width: int, depth: int):
        super().__init__()
        self.levels, self.width = levels, width
        self.first = MaskedConv(levels, width, itself=False, kernel=5)
        self.layers = nn.ModuleList(MaskedConv(width, width, itself=True) for _ in range(depth))
        self.out = nn.Conv2d(width, levels, 1)

    def forward(self, level: Tensor, keep: Tensor | None = None) -> Tensor:
        """keep: (batch, depth, width), factors of the channels that each layer sees; 1 where it is None."""
        h = self.first(F.one_hot(level, self.levels).movedim(-1, 1).float())
        for i, layer in enumerate(self.layers):
            seen = F.silu(h)
            h = h + layer(seen if keep is None else seen * keep[:, i, :, None, None])
        return self.out(F.silu(h))


class Autoregressive(nn.Module):
    """P(x_0) = prod_i P(x_i | x_1 … x_{i-1}), each over the grey levels.

    shape: (1, height, width). levels: how many grey values a pixel takes. width: channels; depth: layers after the first.
    dropout: the share of channels that each layer loses in a training step, which keeps few images from being memorized.
    """

    def __init__(self, shape: tuple[int, ...], levels: int, width: int = 48, depth: int = 5, dropout: float = 0.0):
        super().__init__()
        self.shape, self.levels, self.dropout = checks.shape("shape", shape), levels, check_dropout(dropout)
        if len(shape) != 3 or shape[0] != 1:
            raise ValueError(f"shape must be (1, height, width), of grey images; got {checks.shown(shape)}")
        for name, value, least in (("levels", levels, 2), ("width", width, 1), ("depth", depth, 0)):
            checks.whole(name, value, least)
        self.net = PixelNet(levels, width, depth)

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """The channels that each layer keeps, as factors whose mean is 1: (batch, layers, channels)."""
        size = (shape[0], len(self.net.layers), self.net.width)
        kept = torch.rand(size, generator=generator, device=device) >= self.dropout
        return {"keep": kept / (1 - self.dropout)}

    def log_prob(self, x0: Tensor, keep: Tensor | None = None) -> Tensor:
        """log P(x_0), exact, (batch,): one call of the network."""
        level = to_indices(check_images(x0, shape=self.shape), self.levels)[:, 0]
        return -F.cross_entropy(self.net(level, keep), level, reduction="none").flatten(1).sum(1)

    def forward(self, x0: Tensor, cond: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
        """-log P(x_0) per image; keep: what `draw` gave, or all channels."""
        return -self.log_prob(x0, keep).mean()

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n images in [-1, 1], one network call for each pixel. temperature: 1 is the model, 0 the most probable grey value."""
        checks.number("temperature", temperature, 0)
        level = torch.zeros(n, *self.shape[1:], dtype=torch.long, device=generator.device)
        for i, j in torch.cartesian_prod(*map(torch.arange, self.shape[1:])).tolist():
            scores = self.net(level)[:, :, i, j]
            if temperature == 0:
                level[:, i, j] = scores.argmax(1)
            else:
                chance = (scores / temperature).softmax(1)
                level[:, i, j] = torch.multinomial(chance, 1, generator=generator)[:, 0]
        return from_indices(level[:, None], self.levels)

    def bits_per_dim(self, x0: Tensor, levels: int, generator: Generator) -> Tensor:
        """-log2 P(x_0) per pixel, exact, (batch,)."""
        check_asked_levels(levels, self.levels)
        return -self.log_prob(x0) / (math.prod(self.shape) * math.log(2))


def check_dropout(dropout: float) -> float:
    """The share that is dropped, in [0, 1). Raises ValueError for another one."""
    if checks.number("dropout", dropout, 0, 1) == 1:
        raise ValueError("dropout must lie below 1; at 1 nothing is left")
    return dropout
