"""Ways to look good without having learned to draw: each gives n "generated" digits, (n, 1, 8, 8), from a seed."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from course_lib.data import load, to_levels

DIGITS = load("digits")
TRAIN, HELD_OUT = DIGITS.train, DIGITS.held_out

Cheat = Callable[[int, Generator], Tensor]
CHEATS: dict[str, Cheat] = {}


def cheat(name: str) -> Callable[[Cheat], Cheat]:
    """Enter a function in the table of cheats."""

    def enter(make: Cheat) -> Cheat:
        CHEATS[name] = make
        return make

    return enter


def copies(n: int, generator: Generator) -> Tensor:
    """n training images, drawn with replacement."""
    return TRAIN.x0[torch.randint(len(TRAIN), (n,), generator=generator)]


def rounded(x0: Tensor) -> Tensor:
    """On the grey levels of the digits."""
    return to_levels(x0, DIGITS.levels)


def gaussian(x0: Tensor, n: int, generator: Generator) -> Tensor:
    """n draws of the Gaussian that has the images' mean and covariance."""
    flat = x0.flatten(1).double()
    values, vectors = torch.linalg.eigh(torch.cov(flat.T))
    z = torch.randn(n, flat.shape[1], generator=generator, dtype=torch.float64)
    return (flat.mean(0) + z * values.clamp(min=0).sqrt() @ vectors.T).float().reshape(n, *x0.shape[1:])


@cheat("one Gaussian a class, rounded")
def gaussian_per_class(n: int, generator: Generator) -> Tensor:
    label = torch.randint(10, (n,), generator=generator)
    parts = [gaussian(TRAIN.x0[TRAIN.label == k], int((label == k).sum()), generator) for k in range(10)]
    return rounded(torch.cat(parts))[torch.randperm(n, generator=generator)]


@cheat("one Gaussian")
def one_gaussian(n: int, generator: Generator) -> Tensor:
    return rounded(gaussian(TRAIN.x0, n, generator))


@cheat("PCA 20 and a Gaussian")
def pca(n: int, generator: Generator) -> Tensor:
    flat = TRAIN.x0.flatten(1)
    mean = flat.mean(0)
    directions = torch.linalg.svd(flat - mean, full_matrices=False).Vh[:20]
    codes = gaussian(((flat - mean) @ directions.T)[:, None, None], n, generator).flatten(1)
    return rounded((mean + codes @ directions).reshape(n, 1, 8, 8))


@cheat("half of one and half of another training image of a class")
def mixup(n: int, generator: Generator) -> Tensor:
    first = torch.randint(len(TRAIN), (n,), generator=generator)
    others = (TRAIN.label[first][:, None] == TRAIN.label).float().scatter(1, first[:, None], 0)
    second = torch.multinomial(others, 1, generator=generator)[:, 0]
    return rounded((TRAIN.x0[first] + TRAIN.x0[second]) / 2)


@cheat("copies, turned, scaled and shifted a little")
def warped(n: int, generator: Generator) -> Tensor:
    u = 2 * torch.rand(4, n, generator=generator) - 1
    angle, scale, shift = u[0] * math.radians(5), 1 + 0.05 * u[1], 0.05 * u[2:]
    cos, sin = scale * angle.cos(), scale * angle.sin()
    maps = torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], 1).reshape(n, 2, 3)
    grid = F.affine_grid(maps, [n, 1, 8, 8], align_corners=False)
    return rounded(F.grid_sample(copies(n, generator), grid, padding_mode="border", align_corners=False))


def copied_share(share: float, first: bool = False) -> Cheat:
    """Gaussians of a class, of which a share is replaced by copies, in random places or the last ones."""

    def make(n: int, generator: Generator) -> Tensor:
        images, count = gaussian_per_class(n, generator), round(share * n)
        images[n - count :] = copies(count, generator)
        return images if first else images[torch.randperm(n, generator=generator)]

    return make


CHEATS["80 % copies among Gaussians"] = copied_share(0.8)
CHEATS["10 % copies among Gaussians"] = copied_share(0.1)
CHEATS["Gaussians first, then as many copies"] = copied_share(0.5, first=True)
CHEATS["copies"] = copies


def noisy_copies(std: float) -> Cheat:
    """Copies with a little noise on them."""
    return lambda n, generator: rounded(copies(n, generator) + std * torch.randn(n, 1, 8, 8, generator=generator))


for std in (0.05, 0.1, 0.2, 0.3):
    CHEATS[f"copies with noise {std:g}"] = noisy_copies(std)


@cheat("one image a class")
def one_a_class(n: int, generator: Generator) -> Tensor:
    chosen = torch.stack([TRAIN.x0[TRAIN.label == k][0] for k in range(10)])
    return chosen[torch.randint(10, (n,), generator=generator)]


@cheat("class means")
def class_means(n: int, generator: Generator) -> Tensor:
    means = torch.stack([TRAIN.x0[TRAIN.label == k].mean(0) for k in range(10)])
    return rounded(means[torch.randint(10, (n,), generator=generator)])


@cheat("the held-out images")
def held_out(n: int, generator: Generator) -> Tensor:
    return HELD_OUT.x0[torch.randint(len(HELD_OUT), (n,), generator=generator)]
