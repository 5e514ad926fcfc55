"""U-Nets with one part taken out, to see what it was good for (lesson 08)."""

import torch
from torch import Tensor, nn

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
    """No pixel looks at another one but through convolutions; the `attention` of the options is ignored."""

    def __init__(self, *args, attention: tuple[int, ...] = (), **options):  # noqa: ARG002
        super().__init__(*args, **options)
        self.middle[1] = nn.Identity()


ABLATIONS = {"skips": WithoutSkips, "time": WithoutTime, "attention": WithoutAttention}
