"""A denoiser for points in the plane."""

import torch
from torch import Tensor, nn

from course_lib.nets.blocks import sinusoids


class MLP(nn.Module):
    """x_t (batch, dim) and t (batch,) to an answer (batch, dim); `depth` hidden layers of `width` units (lesson 00)."""

    def __init__(self, dim: int = 2, width: int = 128, depth: int = 3, time: int = 64):
        super().__init__()
        self.time = time
        sizes = [dim + time, *[width] * depth]
        hidden = [layer for a, b in zip(sizes, sizes[1:], strict=False) for layer in (nn.Linear(a, b), nn.SiLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, dim))

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return self.layers(torch.cat([x_t, sinusoids(t, self.time).to(x_t)], dim=1))
