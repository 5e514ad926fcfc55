"""A GAN that starts with few pixels and grows (Karras et al. 2018; lesson 05b)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.models.gan import GAN
from course_lib.nets.dcgan import down, up


def enlarged(x: Tensor, factor: int) -> Tensor:
    """Each pixel repeated, factor by factor."""
    return F.interpolate(x, scale_factor=float(factor), mode="nearest")


class GrowingGenerator(nn.Module):
    """One block for each doubling of the size, and after each a layer that makes an image of what there is by then."""

    def __init__(self, inputs: int, shape: tuple[int, ...], width: int, doublings: int):
        super().__init__()
        channels, height, side = shape
        h, w = height >> doublings, side >> doublings
        self.first = nn.Sequential(nn.Linear(inputs, width * h * w), nn.Unflatten(1, (width, h, w)))
        self.blocks = nn.ModuleList(up(width, width) for _ in range(doublings))
        self.to_image = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(1, width), nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh())
            for _ in range(doublings + 1)
        )

    def forward(self, z: Tensor, size: int, fade: float) -> Tensor:
        """Images after `size` doublings, and (fade > 0) so much of the next one; all of them at full size."""
        h = self.first(z)
        for block in self.blocks[:size]:
            h = block(h)
        x, left = self.to_image[size](h), len(self.blocks) - size
        if fade:
            x = torch.lerp(enlarged(x, 2), self.to_image[size + 1](self.blocks[size](h)), fade)
            left -= 1
        return enlarged(x, 2**left)


class GrowingCritic(nn.Module):
    """The same backwards: an image, made smaller, enters at the layer for its size."""

    def __init__(self, shape: tuple[int, ...], outputs: int, width: int, doublings: int):
        super().__init__()
        channels, height, side = shape
        h, w = height >> doublings, side >> doublings
        self.from_image = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.2)) for _ in range(doublings + 1)
        )
        self.blocks = nn.ModuleList(down(width, width) for _ in range(doublings))
        self.last = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(width * h * w, outputs)
        )

    def forward(self, x: Tensor, size: int, fade: float) -> Tensor:
        """(batch, outputs) of full-size images x."""
        left = len(self.blocks) - size
        h = self.from_image[size](F.avg_pool2d(x, 2**left))
        if fade:
            finer = self.blocks[size](self.from_image[size + 1](F.avg_pool2d(x, 2 ** (left - 1))))
            h = torch.lerp(h, finer, fade)
        for block in reversed(self.blocks[:size]):
            h = block(h)
        return self.last(h)


class ProgressiveGAN(GAN):
    """A GAN of images whose players both grow: `grow` steps at a size, as many to fade the next one in, and so on.

    doublings: how often the size doubles; it must divide the height and the width so often. Images are always of full
    size: what the players do not know yet is averaged away. Other options: those of GAN.
    """

    def __init__(
        self, shape: tuple[int, ...], k: int = 32, width: int = 32, doublings: int = 1, grow: int = 500, **options: Any
    ):
        self.doublings = checks.whole("doublings", doublings, 1, 10)
        super().__init__(shape, k, width, **options)
        self.grow = checks.whole("grow", grow, 1)
        self.register_buffer("steps", torch.tensor(0))

    def _networks(self, inputs: int, scores: int, width: int) -> tuple[nn.Module, nn.Module]:
        if len(self.shape) != 3 or self.shape[1] % 2**self.doublings or self.shape[2] % 2**self.doublings:
            raise ValueError(f"images of shape {self.shape} can't be halved {self.doublings} times")
        sizes = (width, self.doublings)
        return GrowingGenerator(inputs, self.shape, *sizes), GrowingCritic(self.shape, scores, *sizes)

    def forward(self, *args: Any, turn: str = "critic", **draws: Any) -> Tensor | dict[str, Tensor]:
        """As GAN's; a generator's turn ends a step, and they are counted."""
        loss = super().forward(*args, turn=turn, **draws)
        if turn == "generator" and self.training:
            self.steps += 1
        return loss

    @property
    def stage(self) -> tuple[int, float]:
        """How often the size has doubled, and how far the next doubling is faded in, in [0, 1)."""
        size, rest = divmod(int(self.steps), 2 * self.grow)
        return (size, max(0, rest - self.grow) / self.grow) if size < self.doublings else (self.doublings, 0.0)

    def generate(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        """As GAN's, at full size."""
        return self.generator(self._told(z, cond), *self.stage)

    def scores(self, x: Tensor) -> Tensor:
        """As GAN's."""
        return self.critic(x, *self.stage)
