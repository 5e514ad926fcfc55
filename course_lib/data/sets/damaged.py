"""Emoji beside damaged copies of themselves: in the rain, without colour, with a hole (lesson 11)."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from course_lib import checks
from course_lib.data.dataset import Dataset, Split, check_images
from course_lib.data.sets.emoji import SIZE, emoji

DAMAGES = ("rain", "grey", "hole")
LUMA = (0.299, 0.587, 0.114)  # how bright the eye takes red, green and blue to be (ITU-R BT.601)
HOLE = 14


@cache
def damaged() -> Dataset:
    """x0: the emoji. label: (n, 3, 3, 32, 32), of each picture three damaged copies in the order of DAMAGES."""
    whole = emoji()
    train, held_out = (
        Split(part.x0, torch.stack([damage(part.x0, kind, seed) for kind in DAMAGES], dim=1))
        for seed, part in enumerate((whole.train, whole.held_out))
    )
    return Dataset("damaged", train, held_out, (), whole.source, levels=256)


def damage(x0: Tensor, kind: str, seed: int = 0) -> Tensor:
    """Pictures (n, 3, 32, 32) with rain over them, in grey, or with a square hole, which is 0 everywhere.

    kind: a name in DAMAGES. Raises ValueError for another one, and for what are no such pictures.
    """
    check_images(x0, shape=(3, SIZE, SIZE))
    checks.one_of("kind", kind, DAMAGES)
    checks.whole("seed", seed, 0, 2**32 - 1)
    if kind == "grey":
        return (x0 * torch.tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True).expand_as(x0).clone()
    chance = np.random.RandomState(seed)
    if kind == "hole":
        corner = torch.from_numpy(chance.randint(3, SIZE - HOLE - 2, (len(x0), 2)))
        inside = [
            (place >= c[:, None]) & (place < c[:, None] + HOLE)
            for place, c in zip([torch.arange(SIZE)] * 2, corner.T, strict=True)
        ]
        return x0 * ~(inside[0][:, :, None] & inside[1][:, None, :])[:, None]
    return _rain(x0, chance)


def _rain(x0: Tensor, chance: "np.random.RandomState", drops: int = 26, length: int = 7) -> Tensor:
    """Slanting streaks, each a pixel wide, that let a little of the picture through."""
    n = len(x0)
    veil = torch.zeros(n, SIZE + length, SIZE + length)
    rows = torch.arange(n)
    for _ in range(drops):
        y, x = (torch.from_numpy(chance.randint(0, SIZE, n)) for _ in range(2))
        strength = torch.from_numpy(0.5 + 0.4 * chance.rand(n)).float()
        for i in range(length):
            at = (rows, y + i, x + (length - i) // 3)
            veil[at] = torch.maximum(veil[at], strength)
    veil = veil[:, None, :SIZE, :SIZE]
    return x0 + veil * (torch.tensor((0.1, 0.2, 0.35)).view(3, 1, 1) - x0)
