"""The U-Net of DDPM: down to few pixels and many channels, back up, with a shortcut across at every level."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.nets.blocks import (
    Attention,
    Downsample,
    ResidualBlock,
    TimeEmbedding,
    Upsample,
    check_channels,
    check_dropout,
    check_input,
)
from course_lib.nets.transformer import SpatialTransformer


class UNet(nn.Module):
    """x_t (batch, channels, size, size) and t (batch,) to an answer of x_t's shape (Ho et al. 2020, app. B; lesson 08).

    width: channels at full resolution; level i has width * multipliers[i], at size / 2**i.
    blocks: residual blocks a level on the way down (one more on the way up).
    attention: the resolutions at which pixels look at each other. groups: of the GroupNorms; it divides every width.
    context: the width of vectors at which pixels look there as well, as at words (lesson 11b); 0 where there are none.
    beside: channels that x_t brings along and that are not answered, such as those of another picture (lesson 11).
    The CIFAR-10 network of Ho et al. is UNet(3, 32, 128, (1, 2, 2, 2), 2, (16,), groups=32, dropout=0.1).
    Raises ValueError where the sizes don't fit together.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        width: int = 32,
        multipliers: tuple[int, ...] = (1, 2),
        blocks: int = 2,
        attention: tuple[int, ...] = (),
        groups: int = 8,
        dropout: float = 0.0,
        context: int = 0,
        beside: int = 0,
    ):
        super().__init__()
        for name, value in (("channels", channels), ("size", size), ("blocks", blocks)):
            checks.whole(name, value, 1)
        for name, value in (("context", context), ("beside", beside)):
            checks.whole(name, value, 0)
        for name, values in (("multipliers", multipliers), ("attention", attention)):
            if not isinstance(values, tuple | list) or not (values or name == "attention"):
                raise ValueError(f"{name} must be a list of whole numbers, such as (1, 2); got {checks.shown(values)}")
            for value in values:
                checks.whole(f"each of {name}", value, 1)
        check_channels(groups, width=width)
        check_dropout(dropout)
        smallest = size / 2 ** (len(multipliers) - 1)
        resolutions = [size // 2**level for level in range(len(multipliers))]
        if not smallest.is_integer():
            raise ValueError(f"a size of {size} can't be halved {len(multipliers) - 1} times; use fewer multipliers")
        if unknown := set(attention) - set(resolutions):
            raise ValueError(f"attention at {sorted(unknown)} is impossible: the resolutions are {resolutions}")
        self.channels, self.size = channels, size
        time = 4 * width

        def look(c: int) -> nn.Module:
            return SpatialTransformer(c, groups, context) if context else Attention(c, groups)

        def level(c_in: int, c_out: int, resolution: int) -> nn.ModuleList:
            block = ResidualBlock(c_in, c_out, time, groups, dropout)
            return nn.ModuleList([block, look(c_out)] if resolution in attention else [block])

        self.time = TimeEmbedding(width, time)
        self.first = nn.Conv2d(channels + beside, width, 3, padding=1)
        skips, c = [width], width
        self.down = nn.ModuleList()
        for i, (multiplier, resolution) in enumerate(zip(multipliers, resolutions, strict=True)):
            for _ in range(blocks):
                self.down.append(level(c, width * multiplier, resolution))
                c = width * multiplier
                skips.append(c)
            if i < len(multipliers) - 1:
                self.down.append(nn.ModuleList([Downsample(c)]))
                skips.append(c)

        self.middle = nn.ModuleList(
            [
                ResidualBlock(c, c, time, groups, dropout),
                look(c),
                ResidualBlock(c, c, time, groups, dropout),
            ]
        )

        self.up = nn.ModuleList()
        for i, (multiplier, resolution) in reversed(list(enumerate(zip(multipliers, resolutions, strict=True)))):
            for _ in range(blocks + 1):
                self.up.append(level(c + skips.pop(), width * multiplier, resolution))
                c = width * multiplier
            if i > 0:
                self.up.append(nn.ModuleList([Upsample(c)]))

        self.norm = nn.GroupNorm(groups, c, eps=1e-6)
        self.last = nn.Conv2d(c, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.check(x_t, t)
        return self.run(x_t, self.time(t))

    def check(self, x_t: Tensor, t: Tensor) -> None:
        """Raises ValueError for an x_t or a t of another shape or kind."""
        check_input(self, x_t, self.first.weight, (self.channels, self.size, self.size), t)

    def run(self, x: Tensor, time: Tensor, *context: Tensor) -> Tensor:
        """The answer to x (batch, channels + beside, size, size) at embedded times; context: vectors and their mask."""
        h = self.first(x)
        skips = [h]
        for layers in self.down:
            h = _apply(layers, h, time, context)
            skips.append(h)
        h = _apply(self.middle, h, time, context)
        for layers in self.up:
            if not isinstance(layers[0], Upsample):
                h = torch.cat([h, self.across(skips.pop())], dim=1)
            h = _apply(layers, h, time, context)
        return self.last(F.silu(self.norm(h)))

    def across(self, h: Tensor) -> Tensor:
        """What a skip connection carries from the way down to the way up: everything."""
        return h


def _apply(layers: nn.ModuleList, h: Tensor, time: Tensor, context: tuple[Tensor, ...]) -> Tensor:
    for layer in layers:
        if isinstance(layer, ResidualBlock):
            h = layer(h, time)
        else:
            h = layer(h, *context) if isinstance(layer, SpatialTransformer) else layer(h)
    return h
