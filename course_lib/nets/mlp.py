"""Perceptrons, and a denoiser for points in the plane."""

import torch
from torch import Tensor, nn

from course_lib import checks
from course_lib.nets.blocks import check_input, check_width, sinusoids


def perceptron(*sizes: int) -> nn.Sequential:
    """Linear layers from each of these sizes to the next, with SiLU between them.

    Raises ValueError for fewer than two sizes, and for one that is no whole number of at least 1.
    """
    if len(sizes) < 2:
        raise ValueError(
            f"a perceptron needs two sizes or more, as in perceptron(64, 128, 2); got {checks.shown(sizes)}"
        )
    for size in sizes:
        checks.whole("each size", size, 1)
    layers = [layer for a, b in zip(sizes, sizes[1:], strict=False) for layer in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*layers[:-1])


class MLP(nn.Module):
    """x_t (batch, dim) and t (batch,) to an answer (batch, dim); `depth` hidden layers of `width` units (lesson 00)."""

    def __init__(self, dim: int = 2, width: int = 128, depth: int = 3, time: int = 64):
        super().__init__()
        for name, value in (("dim", dim), ("width", width), ("depth", depth)):
            checks.whole(name, value, 1)
        self.dim, self.time = dim, check_width(time)
        self.layers = perceptron(dim + time, *[width] * depth, dim)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        check_input(self, x_t, self.layers[0].weight, (self.dim,), t)
        return self.layers(torch.cat([x_t, sinusoids(t, self.time).to(x_t)], dim=1))
