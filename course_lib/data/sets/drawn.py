"""Digits drawn by the course, each of a few strokes: clean, as a program makes them, and therefore with a known label."""

import math
from functools import cache

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from course_lib import checks


def _arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> list[tuple[float, float]]:
    """Points of an ellipse around (x, y), from one angle to another, in degrees; 0 is to the right, 90 down."""
    steps = max(2, round(abs(end - start) / 15))
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


# In a box from (0, 0), top left, to (1, 1); each digit is a list of strokes, each stroke a list of points.
STROKES = (
    [_arc(0.5, 0.5, 0.34, 0.5, 0, 360)],
    [[(0.26, 0.24), (0.56, 0.0), (0.56, 1.0)]],
    [[*_arc(0.5, 0.28, 0.33, 0.28, 190, 400), (0.15, 1.0), (0.88, 1.0)]],
    [[*_arc(0.46, 0.25, 0.32, 0.25, 200, 450)], _arc(0.46, 0.74, 0.36, 0.26, 270, 515)],
    [[(0.64, 1.0), (0.64, 0.0), (0.12, 0.68), (0.92, 0.68)]],
    [[(0.82, 0.0), (0.26, 0.0), (0.22, 0.44), *_arc(0.48, 0.68, 0.34, 0.32, 245, 500)]],
    [[*_arc(0.62, 0.55, 0.46, 0.55, 285, 180), *_arc(0.5, 0.72, 0.34, 0.28, 180, 540)]],
    [[(0.14, 0.0), (0.86, 0.0), (0.42, 1.0)]],
    [_arc(0.5, 0.25, 0.28, 0.25, 0, 360), _arc(0.5, 0.75, 0.34, 0.25, 0, 360)],
    [[*_arc(0.5, 0.28, 0.34, 0.28, 0, -360), (0.84, 0.28), *_arc(0.4, 0.5, 0.44, 0.5, 0, 100)]],
)


def drawn_digits(label: Tensor, generator: Generator, size: int = 8) -> Tensor:
    """An image (n, 1, size, size) in [-1, 1] for each label (n,), at a random place, a little larger or smaller.

    Raises ValueError for a label that is no digit.
    """
    checks.whole("size", size, 4, 1024)
    checks.generator(generator, or_none=False)
    if not torch.is_tensor(label) or label.ndim != 1 or label.dtype != torch.int64:
        raise ValueError(f"label must be whole numbers, (n,); got {checks.shown(label)}")
    if label.numel() and not (label.min() >= 0 and label.max() <= 9):
        raise ValueError(f"label must lie in 0 … 9; got {int(label.min())} … {int(label.max())}")
    n, device = len(label), label.device
    scale, x, y = torch.rand(3, n, 1, 1, generator=generator, device=generator.device).to(device)
    wide, tall = size * (0.60 + 0.12 * scale), size * (0.74 + 0.1 * scale)
    left, top = (size - wide) * (0.25 + 0.5 * x), (size - tall) * y
    starts, ends = (points.to(device)[label] for points in _segments())
    box = torch.cat([wide, tall], dim=2)
    corner = torch.cat([left, top], dim=2)
    starts, ends = corner + box * starts, corner + box * ends
    centre = torch.arange(size, device=device) + 0.5
    pixels = torch.stack(torch.meshgrid(centre, centre, indexing="xy"), dim=2).view(1, -1, 1, 2)
    distance = _distance(pixels, starts[:, None], ends[:, None]).amin(2)
    pen = 0.055 * size
    ink = (1 - (distance - pen) / (0.09 * size)).clamp(0, 1)
    return (2 * ink - 1).view(n, 1, size, size)


def _distance(points: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """From each point to each segment."""
    along = end - start
    share = ((points - start) * along).sum(-1) / along.square().sum(-1).clamp(min=1e-12)
    return (points - start - share.clamp(0, 1)[..., None] * along).norm(dim=-1)


@cache
def _segments() -> tuple[Tensor, Tensor]:
    """Where the segments of each digit start and end, (10, segments, 2); short digits repeat their last one."""
    found = []
    for strokes in STROKES:
        pairs = [(a, b) for stroke in strokes for a, b in zip(stroke, stroke[1:], strict=False)]
        found.append(torch.tensor(pairs))
    longest = max(map(len, found))
    padded = torch.stack([F.pad(p, (0, 0, 0, 0, 0, longest - len(p))) for p in found])
    for row, p in zip(padded, found, strict=True):
        row[len(p) :] = p[-1]
    return padded[:, :, 0], padded[:, :, 1]
