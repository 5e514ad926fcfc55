"""U-Nets with one part taken out, to see what it was good for (lesson 08)."""

import torch
from torch import Tensor, nn

from course_lib.nets.blocks import Attention
from course_lib.nets.unet import UNet


class WithoutSkips(UNet):
    """What crosses from the way down to the way up is replaced by zeros; the weights are as many as before."""

    def across(self, h: Tensor) -> Tensor:
        return torch.zeros_like(h)


class WithoutTime(UNet):
    """Every image is announced as t = 0, so the network has to guess how noisy it is."""

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return super().forward(x_t, torch.zeros_like(t))


class WithoutAttention(UNet):
    """No pixel looks at another one but through convolutions, at whatever resolutions it was allowed to."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        for part in (*self.down, *self.up):
            if isinstance(part[-1], Attention):
                del part[-1]
        self.middle[1] = nn.Identity()


ABLATIONS = {"skips": WithoutSkips, "time": WithoutTime, "attention": WithoutAttention}
