"""Coloured pictures of three kinds in one set, for an autoencoder of all of them: emoji, shapes, pieces of photographs."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from course_lib.data.dataset import Dataset, Split
from course_lib.data.sets.emoji import emoji
from course_lib.data.sets.photos import photos
from course_lib.data.sets.shapes import SIZE, shapes

KINDS = ("emoji", "shapes", "photos")
SCENES, PIECES, UNSEEN = 3_000, 1_500, 500


@cache
def pictures() -> Dataset:
    """x0: (n, 3, 32, 32); label: (n,), the kind. The held-out pieces come from the right fifth of each photograph."""
    x0 = photos().train.x0
    edge = x0.shape[-1] * 4 // 5
    parts = {
        "train": (emoji().train.x0, shapes().train.x0[:SCENES], _pieces(x0[..., :edge], PIECES)),
        "held_out": (emoji().held_out.x0, shapes().held_out.x0[:UNSEEN], _pieces(x0[..., edge:], UNSEEN)),
    }
    splits = {
        name: Split(torch.cat(several), torch.cat([torch.full((len(x),), i) for i, x in enumerate(several)]))
        for name, several in parts.items()
    }
    source = "; ".join((emoji().source, photos().source, "shapes drawn by the course"))
    return Dataset("pictures", **splits, classes=KINDS, source=source, levels=256)


def _pieces(x0: Tensor, n: int) -> Tensor:
    """n random squares of the photographs, halved in size so that they show more."""
    small = torch.nn.functional.avg_pool2d(x0, 2)
    chance = np.random.RandomState(0)
    which, top, left = (chance.randint(0, most, n) for most in (len(x0), *(s - SIZE + 1 for s in small.shape[2:])))
    return torch.stack([small[i, :, y : y + SIZE, x : x + SIZE] for i, y, x in zip(which, top, left, strict=True)])
