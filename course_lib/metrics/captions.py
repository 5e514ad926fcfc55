"""Does a picture show what its caption says? A network that reads shapes tells, and the nearest known picture (lesson 11b)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_lib import checks
from course_lib.data import check_images
from course_lib.data.sets.shapes import ATTRIBUTES

NAMES = ("shape", "colour", "size", "second shape", "second colour", "second size", "layout")
EXCHANGED = {"objects": [3, 4, 5, 0, 1, 2, 6], "colours": [0, 4, 2, 3, 1, 5, 6]}  # what is read where each is asked for
BATCH = 500


@dataclass(frozen=True)
class Reading:
    """whole: the share of pictures in which every attribute is as asked, with its standard error; by_attribute: for each, the
    share among the pictures that have it. exchanged: the share, of pictures of two objects, that would be as asked if their
    "objects" changed places, or their "colours" alone; n: how many pictures.
    """

    whole: float
    standard_error: float
    by_attribute: dict[str, float]
    exchanged: dict[str, float]
    n: int


def reading(reader: nn.Module, x0: Tensor, attributes: Tensor) -> Reading:
    """What a reader sees in pictures of shapes, against what was asked for: (n, 7) attributes, -1 for none.

    Raises ValueError where they are not one row for each picture.
    """
    check_images(x0)
    if not hasattr(reader, "read"):
        raise ValueError(f"reader must be a network that reads, such as a Reader; got {checks.shown(reader)}")
    checks.indices("attributes", attributes, (len(x0), len(NAMES)), max(ATTRIBUTES) - 1, least=-1)
    if len(x0) == 0:
        raise ValueError("there is no picture to read")
    with torch.no_grad():
        read = torch.cat([reader.read(part) for part in x0.clamp(-1, 1).split(BATCH)])
    right, present = read == attributes, attributes >= 0
    shares = (right & present).sum(0) / present.sum(0).clamp(min=1)
    whole = (right | ~present).all(1).double().mean().item()
    named = {name: share.item() for name, share, some in zip(NAMES, shares, present.any(0), strict=True) if some}
    two, exchanged = present.all(1), {}
    for name, order in EXCHANGED.items() if two.any() else ():
        other = (read == attributes[:, order]).all(1) & (attributes != attributes[:, order]).any(1)
        exchanged[name] = other[two].double().mean().item()
    return Reading(whole, (whole * (1 - whole) / len(x0)) ** 0.5, named, exchanged, len(x0))


@dataclass(frozen=True)
class Naming:
    """nearest: how often the picture that was asked for is the nearest of all, among_five: one of the five nearest; each with
    its standard error. n: how many pictures, out of how many `known` ones.
    """

    nearest: float
    among_five: float
    standard_errors: tuple[float, float]
    n: int
    known: int


def naming(x0: Tensor, right: Tensor | Sequence[int], known: Tensor) -> Naming:
    """Whether the nearest of all known pictures is the right one. x0: (n, …) pictures, or features of them; right: (n,) rows
    of known, (m, …). Pictures that equal the right one are as right.

    Raises ValueError for other shapes, and for a row that does not exist.
    """
    rank = rank_of_right(x0, right, known)
    n = len(rank)
    first, five = (rank < 1).double().mean().item(), (rank < 5).double().mean().item()
    return Naming(first, five, tuple((p * (1 - p) / n) ** 0.5 for p in (first, five)), n, len(known))


def rank_of_right(x0: Tensor, right: Tensor | Sequence[int], known: Tensor) -> Tensor:
    """How many known pictures lie nearer to each x0 than the right one, (n,); 0 is best."""
    if checks.finite("x0", x0).shape[1:] != checks.finite("known", known).shape[1:]:
        raise ValueError(f"both must have one shape; got {tuple(x0.shape[1:])} and {tuple(known.shape[1:])}")
    if isinstance(right, list) and all(type(i) is int for i in right):
        right = torch.tensor(right)
    checks.indices("right", right, (len(x0),), len(known) - 1)
    known, ranks = known.flatten(1).to(x0.dtype), []
    for part, rows in zip(x0.flatten(1).split(BATCH), right.split(BATCH), strict=True):
        distance = torch.cdist(part, known, compute_mode="donot_use_mm_for_euclid_dist")
        own = distance.gather(1, rows[:, None])
        ranks.append((distance < own * (1 - 1e-5)).sum(1))
    return torch.cat(ranks)
