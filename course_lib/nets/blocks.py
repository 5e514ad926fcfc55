"""The parts of a U-Net, each of a few lines (Ho et al. 2020, app. B; lesson 08)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import checks


def sinusoids(t: Tensor, width: int, longest: float = 10_000.0) -> Tensor:
    """t as sines and cosines of geometrically spaced frequencies: (batch,) to (batch, width), values in [-1, 1].

    Neighbouring times look alike, far ones don't (Vaswani et al. 2017, sec. 3.5). Raises ValueError for an odd or tiny width
    and for a t of another shape.
    """
    check_width(width)
    if not torch.is_tensor(t) or t.ndim != 1 or t.is_complex() or t.dtype == torch.bool:
        raise ValueError(f"t must be a tensor of numbers, (batch,); got {checks.shown(t)}")
    checks.number("longest", longest, 0, beyond=True)
    half = width // 2
    frequency = torch.exp(-math.log(longest) * torch.arange(half, device=t.device, dtype=torch.float32) / (half - 1))
    angle = t.float()[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def check_width(width: int) -> int:
    """Raises ValueError where a time embedding can't have so many sines and cosines."""
    if checks.whole("the width of a time embedding", width, 4) % 2:
        raise ValueError(f"the width of a time embedding must be even and at least 4; got {width}")
    return width


class TimeEmbedding(nn.Module):
    """t (batch,) to a learned vector (batch, out): sinusoids, then two linear layers."""

    def __init__(self, width: int, out: int):
        super().__init__()
        self.width = check_width(width)
        checks.whole("out", out, 1)
        self.layers = nn.Sequential(nn.Linear(width, out), nn.SiLU(), nn.Linear(out, out))

    def forward(self, t: Tensor) -> Tensor:
        return self.layers(sinusoids(t, self.width).to(self.layers[0].weight.dtype))


class ResidualBlock(nn.Module):
    """Two convolutions with a shortcut around them; the time is added between: (batch, c_in, h, w) to (…, c_out, h, w).

    time: the width of what is added; 0 where there is no time, as in an autoencoder.
    """

    def __init__(self, c_in: int, c_out: int, time: int, groups: int, dropout: float = 0.0):
        super().__init__()
        check_channels(groups, c_in=c_in, c_out=c_out)
        checks.whole("time", time, 0)
        check_dropout(dropout)
        self.norm1 = nn.GroupNorm(groups, c_in, eps=1e-6)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.time = nn.Linear(time, c_out) if time else None
        self.norm2 = nn.GroupNorm(groups, c_out, eps=1e-6)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = starts_at_zero(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.shortcut = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        if self.time is not None:
            h = h + self.time(F.silu(time))[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.shortcut(x) + h


class Attention(nn.Module):
    """Every pixel looks at every other (single-head self-attention), with a shortcut: (batch, c, h, w) to the same."""

    def __init__(self, c: int, groups: int):
        super().__init__()
        check_channels(groups, c=c)
        self.norm = nn.GroupNorm(groups, c, eps=1e-6)
        self.q, self.k, self.v = (nn.Conv2d(c, c, 1) for _ in range(3))
        self.out = starts_at_zero(nn.Conv2d(c, c, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (f(h).flatten(2).transpose(1, 2) for f in (self.q, self.k, self.v))
        h = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(h.transpose(1, 2).unflatten(2, x.shape[2:]))


class Downsample(nn.Module):
    """Half the height and width, by a convolution of stride 2."""

    def __init__(self, c: int):
        super().__init__()
        self.conv = nn.Conv2d(checks.whole("c", c, 1), c, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    """Twice the height and width: repeat each pixel, then smooth by a convolution."""

    def __init__(self, c: int):
        super().__init__()
        self.conv = nn.Conv2d(checks.whole("c", c, 1), c, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def check_channels(groups: int, **channels: int) -> None:
    """Raises ValueError where a GroupNorm can't split channels, given by their names, into groups."""
    checks.whole("groups", groups, 1)
    for name, c in channels.items():
        if checks.whole(name, c, 1) % groups:
            raise ValueError(f"{name} must be a multiple of groups = {groups}; got {c}")


def check_dropout(dropout: float) -> None:
    """Raises ValueError for a share that is not in [0, 1)."""
    if checks.number("dropout", dropout, 0, 1) == 1:
        raise ValueError("dropout must be below 1: nothing would be left")


def check_input(net: nn.Module, x: Tensor, weight: Tensor, shape: tuple[int, ...], t: Tensor) -> None:
    """Raises ValueError, naming the network, where x isn't (batch, *shape), and t isn't (batch,); it looks at no value.

    weight: one of the network's. A network in float32 can't compute in float64, nor the other way round.
    """
    kind = f"this {type(net).__name__}"
    if checks.batch("x_t", x).shape[1:] != shape:
        expected = "".join(f", {size}" for size in shape)
        raise ValueError(f"{kind} takes x_t of shape (batch{expected}); got {tuple(x.shape)}")
    if not torch.is_tensor(t) or t.shape != x.shape[:1]:
        raise ValueError(f"{kind} takes t of shape ({len(x)},), one time for each image; got {checks.shown(t)}")
    if (x.dtype == torch.float64) != (weight.dtype == torch.float64):
        raise ValueError(
            f"{kind} computes in {weight.dtype}; got x_t in {x.dtype}: convert it with .to({weight.dtype})"
        )


def starts_at_zero(layer: nn.Conv2d) -> nn.Conv2d:
    """The last layer of a residual branch starts at zero, so a new block changes nothing yet."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
