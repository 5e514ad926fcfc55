"""Distributions in the plane: everything that can go wrong with a generative model can be seen there.

Each is centred and scaled to a variance of about 1 a coordinate, the scale on which the noise schedules live.
"""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from course_lib import checks
from course_lib.data.dataset import Dataset, Split


def _rand(n: int, generator: Generator) -> Tensor:
    return torch.rand(n, generator=generator, dtype=torch.float64)


def _jitter(points: Tensor, std: float, generator: Generator) -> Tensor:
    return points + std * torch.randn(points.shape, generator=generator, dtype=points.dtype)


def _pick(n: int, classes: int, generator: Generator) -> Tensor:
    return torch.randint(classes, (n,), generator=generator)


def moons(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Two interleaved half circles, stretched to equal variance."""
    label, angle = _pick(n, 2, generator), math.pi * _rand(n, generator)
    upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1)
    points = torch.where(label[:, None] == 0, upper, -upper)
    return _jitter(points * torch.tensor([1.15, 2.0]), 0.1, generator), label


def swiss_roll(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """One spiral of one and a half turns; the label counts its half turns."""
    u = _rand(n, generator).sqrt()
    angle = math.pi * (1.5 + 3 * u)
    points = torch.stack([angle * angle.cos(), angle * angle.sin()], 1) / 7.2 - torch.tensor([0.404, 0.088])
    return _jitter(points, 0.06, generator), (3 * u).long().clamp(max=2)


def eight_gaussians(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Eight narrow Gaussians on a circle."""
    label = _pick(n, 8, generator)
    angle = label.double() * math.pi / 4
    return _jitter(1.4 * torch.stack([angle.cos(), angle.sin()], 1), 0.12, generator), label


def checkerboard(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Uniform on the eight black squares of a 4 x 4 board: sharp edges, no gradient inside."""
    label = _pick(n, 8, generator)
    row, column = label // 2, 2 * (label % 2) + (label // 2) % 2
    corner = torch.stack([column, row], 1).double()
    inside = torch.stack([_rand(n, generator), _rand(n, generator)], 1)
    return (corner + inside - 2) * 0.86, label


def rings(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Two circles, one inside the other."""
    label, angle = _pick(n, 2, generator), 2 * math.pi * _rand(n, generator)
    radius = torch.where(label == 0, 0.8, 1.8)
    return _jitter(radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1), 0.08, generator), label


TOYS: dict[str, Callable[[int, Generator], tuple[Tensor, Tensor]]] = {
    f.__name__: f for f in (moons, swiss_roll, eight_gaussians, checkerboard, rings)
}


def toy(name: str, n: int, seed: int | Generator = 0) -> Tensor:
    """n points (n, 2) of a 2-D set, float32. seed: an int, or a generator to go on drawing from.

    Raises ValueError for an unknown name or n < 1.
    """
    return _draw(name, n, seed).x0


def toy_dataset(name: str) -> Dataset:
    """10,000 points of a 2-D set: 8,000 to train on, 2,000 held out, always the same ones."""
    return Dataset(
        name=name,
        train=_draw(name, 8_000, 0),
        held_out=_draw(name, 2_000, 1),
        classes=tuple(str(i) for i in range(int(_draw(name, 8_000, 0).label.max()) + 1)),
        source="drawn by the course",
    )


def _draw(name: str, n: int, seed: int | Generator) -> Split:
    if not isinstance(name, str) or name not in TOYS:
        raise ValueError(f"there is no 2-D set {checks.shown(name)}; choose one of: {', '.join(TOYS)}")
    checks.whole("n", n, 1)
    generator = seed if isinstance(seed, Generator) else Generator().manual_seed(checks.whole("seed", seed, 0))
    x0, label = TOYS[name](n, generator)
    return Split(x0.float(), label)
