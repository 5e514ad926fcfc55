"""Pictures of one or two coloured shapes with exact captions, drawn by the course: 32 x 32, seeded, indexed, endless.

Attributes are seven whole numbers: shape, colour and size of the first object, of the second one (-1 where there is none),
and the layout. Of two objects the left or the upper one is the first. `attributes_of` reads them from a caption.
"""

import itertools
import math
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib import checks
from course_lib.data.dataset import Dataset, Split
from course_lib.data.vocabulary import Vocabulary, words_of

SIZE = 32
SHAPES = ("circle", "square", "triangle", "star", "cross")
COLOURS = {
    "red": (214, 39, 40), "green": (44, 150, 60), "blue": (40, 90, 200), "yellow": (245, 205, 30), "purple": (140, 60, 170),
    "orange": (245, 130, 30),
}  # fmt: skip
SIZES = ("small", "large")
LAYOUTS = ("middle", "left", "right", "top", "bottom", "left of", "above")  # the last two are of two objects
NEVER = {
    ("circle", "yellow"),
    ("square", "purple"),
    ("triangle", "blue"),
    ("star", "red"),
    ("cross", "orange"),
}  # held out
ATTRIBUTES = (len(SHAPES), len(COLOURS), len(SIZES)) * 2 + (len(LAYOUTS),)  # how many values each attribute can take
ALONE = 5  # layouts of one object
TRAIN, HELD_OUT, BLOCK, CAPTIONS = 16_000, 1_000, 1_000, 4
LATER = 100_000
OPPOSITE = {"left of": "right of", "above": "below"}


class Scenes(NamedTuple):
    """x0: (n, 3, 32, 32) in [-1, 1], on white. attributes: (n, 7). captions: for each picture, four texts."""

    x0: Tensor
    attributes: Tensor
    captions: list[list[str]]


@cache
def shapes() -> Dataset:
    """x0: (n, 3, 32, 32). label: (n, 4, 12), four captions of each picture as word numbers.

    held_out: pictures in which a shape has a colour that it never has in `train`, such as a yellow circle.
    """
    vocabulary = Vocabulary(sorted({word for caption in _all_phrases() for word in words_of(caption)}))
    train, held_out = _split(TRAIN, vocabulary, unseen=False), _split(HELD_OUT, vocabulary, unseen=True)
    return Dataset("shapes", train, held_out, (), "drawn by the course", levels=256, vocabulary=vocabulary)


@cache
def scenes() -> Dataset:
    """Scenes of all combinations, later in the row than those of `shapes`; label: (n, 7), their attributes."""
    train, held_out = draw_shapes(LATER, TRAIN), draw_shapes(LATER + TRAIN, 2 * HELD_OUT)
    splits = (Split(part.x0, part.attributes) for part in (train, held_out))
    return Dataset("scenes", *splits, (), "drawn by the course", levels=256)


def draw_shapes(start: int, n: int) -> Scenes:
    """n scenes from number `start` on, any combinations; scene i is the same whoever asks for it, and there is no last one.

    Raises ValueError for numbers below 0.
    """
    checks.whole("start", start, 0)
    checks.whole("n", n, 1)
    first, last = start // BLOCK, (start + n - 1) // BLOCK
    parts = [_block(block) for block in range(first, last + 1)]
    mine = slice(start - first * BLOCK, start - first * BLOCK + n)
    captions = list(itertools.chain(*(part.captions for part in parts)))[mine]
    return Scenes(torch.cat([p.x0 for p in parts])[mine], torch.cat([p.attributes for p in parts])[mine], captions)


def has_unseen(attributes: Tensor) -> Tensor:
    """Which scenes (n, 7) show a combination of shape and colour that no training picture shows, as a mask (n,)."""
    checks.indices("attributes", attributes, (None, len(ATTRIBUTES)), max(ATTRIBUTES) - 1, least=-1)
    names = tuple(COLOURS)
    table = torch.tensor([[(shape, colour) in NEVER for colour in names] for shape in SHAPES])
    second = attributes[:, 3] >= 0
    return table[attributes[:, 0], attributes[:, 1]] | (second & table[attributes[:, 3], attributes[:, 4]])


def attributes_of(caption: str) -> Tensor:
    """The seven attributes of a caption, (7,). Raises ValueError, saying what is wanted, for a text of another grammar."""
    words = words_of(caption)
    shapes, colours = ([w for w in words if w in names] for names in (SHAPES, COLOURS))
    sizes = [{"little": "small", "big": "large"}.get(w, w) for w in words if w in (*SIZES, "little", "big")]
    relation = next((word for word in words if word in ("left", "right", "above", "below", "top", "bottom")), "middle")
    objects = [
        [SHAPES.index(s), list(COLOURS).index(c), SIZES.index(z)]
        for s, c, z in zip(shapes, colours, sizes, strict=False)
    ]
    if not len(shapes) == len(colours) == len(sizes) == len(objects) in (1, 2):
        raise ValueError(
            "a caption of shapes must name one or two objects, each by size, colour and shape, such as "
            f"'a small red circle left of a large blue square'; got {checks.shown(caption)}"
        )
    if len(objects) == 1:
        return torch.tensor([*objects[0], -1, -1, -1, LAYOUTS.index(relation)])
    if relation not in ("left", "right", "above", "below"):
        raise ValueError(f"of two objects, one must be left of, right of, above or below the other; got {caption!r}")
    told_first = words[0] in ("left", "right", "above", "below")  # "above a small red circle, a large blue square"
    if (relation in ("right", "below")) != told_first:
        objects.reverse()
    return torch.tensor(
        [*objects[0], *objects[1], LAYOUTS.index("left of" if relation in ("left", "right") else "above")]
    )


def _split(n: int, vocabulary: Vocabulary, unseen: bool) -> Split:
    """The first n scenes with, or without, a combination that is held out."""
    x0, label, block = [], [], 0
    while sum(map(len, x0)) < n:
        part = _block(block)
        rows = has_unseen(part.attributes) == unseen
        x0.append(part.x0[rows])
        chosen = [part.captions[i] for i in rows.nonzero()[:, 0].tolist()]
        label.append(vocabulary.encode(list(itertools.chain(*chosen))).view(len(chosen), CAPTIONS, -1))
        block += 1
    return Split(torch.cat(x0)[:n], torch.cat(label)[:n])


@lru_cache(2)
def _block(block: int) -> Scenes:
    """A thousand scenes, three of ten with one object."""
    chance = np.random.RandomState(np.random.SeedSequence((7, block)).generate_state(1))
    n = BLOCK
    numbers = [torch.from_numpy(chance.randint(0, most, n)) for most in ATTRIBUTES[:6]]
    two = torch.from_numpy(chance.rand(n) < 0.7)
    alone, both = (torch.from_numpy(chance.randint(low, high, n)) for low, high in ((0, ALONE), (ALONE, len(LAYOUTS))))
    attributes = torch.stack([*numbers, torch.where(two, both, alone)], dim=1)
    attributes[~two, 3:6] = -1
    jitter, turn = torch.from_numpy(chance.rand(n, 4, 2)).float(), torch.from_numpy(chance.rand(n, 2)).float()
    captions = [_captions(row, chance) for row in attributes.tolist()]
    return Scenes(_draw(attributes, jitter, turn), attributes, captions)


def _captions(attributes: list[int], chance: "np.random.RandomState") -> list[str]:
    """Four ways to say it: both orders of two objects, other words."""
    first, second = ([_name(attributes[i : i + 3], big) for big in (False, True)] for i in (0, 3))
    layout = LAYOUTS[attributes[6]]
    if attributes[3] < 0:
        where = "in the middle" if layout == "middle" else f"at the {layout}"
        return [f"{first[0]} {where}", f"{where} {first[0]}", f"{first[1]} {where}", f"picture of {first[0]} {where}"]
    back = OPPOSITE[layout]
    told = [f"{first[0]} {layout} {second[0]}", f"{second[0]} {back} {first[0]}", f"{layout} {second[1]} {first[1]}",
            f"{back} {first[0]} {second[0]}"]  # fmt: skip
    return [told[i] for i in chance.permutation(CAPTIONS)]


def _name(numbers: list[int], other: bool) -> str:
    shape, colour, size = numbers
    word = {"small": "little", "large": "big"}[SIZES[size]] if other else SIZES[size]
    return f"a {word} {list(COLOURS)[colour]} {SHAPES[shape]}"


def _all_phrases() -> list[str]:
    """Every word that a caption can have."""
    objects = [_name([s, c, z], big) for s in range(5) for c in range(6) for z in range(2) for big in (False, True)]
    return [*objects, *LAYOUTS, *OPPOSITE.values(), "picture of", "in the middle at"]


def _draw(attributes: Tensor, jitter: Tensor, turn: Tensor) -> Tensor:
    """Scenes (n, 3, 32, 32); jitter: (n, 4, 2) in [0, 1) moves and scales the objects, turn (n, 2) turns them."""
    n, middle = len(attributes), SIZE / 2
    x0 = torch.ones(n, 3, SIZE, SIZE)
    colours = torch.tensor(list(COLOURS.values())) / 127.5 - 1
    layout = attributes[:, 6]
    away = torch.tensor([[0, 0], [-8, 0], [8, 0], [0, -8], [0, 8], [-8, 0], [0, -8]])[layout].float()
    along = torch.tensor([[2, 2], [1, 4], [1, 4], [4, 1], [4, 1], [0.8, 4], [4, 0.8]])[layout]
    for i, sign in ((0, 1), (1, -1)):
        present = attributes[:, 3 * i] >= 0
        shape, colour, size = (attributes[:, 3 * i + j].clamp(min=0) for j in range(3))
        centre = middle + sign * away + along * (2 * jitter[:, i] - 1)
        radius = torch.where(size == 1, 6.2, 3.6) + 0.6 * jitter[:, 2 + i, 0]
        ink = _covered(shape, centre, radius, (2 * turn[:, i] - 1) * 0.2) * present[:, None, None]
        x0 += ink[:, None] * (colours[colour][:, :, None, None] - x0)
    return x0


def _covered(shape: Tensor, centre: Tensor, radius: Tensor, turn: Tensor) -> Tensor:
    """How much of each pixel a shape covers, (n, 32, 32), from its distance to the outline."""
    cos, sin, unit = turn.cos(), turn.sin(), SIZE / 2
    per_pixel = unit / radius / EXTENT
    shift = (unit - centre) / unit  # in grid_sample's coordinates, where the picture is [-1, 1]
    x = torch.stack([cos, -sin, cos * shift[:, 0] - sin * shift[:, 1]], dim=1) * per_pixel[:, None]
    y = torch.stack([sin, cos, sin * shift[:, 0] + cos * shift[:, 1]], dim=1) * per_pixel[:, None]
    grid = F.affine_grid(torch.stack([x, y], dim=1), [len(shape), 1, SIZE, SIZE], align_corners=False)
    outside = F.grid_sample(_outlines()[shape][:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    return (0.5 - outside * radius[:, None, None]).clamp(0, 1)


EXTENT, DETAIL = 1.6, 97


@cache
def _outlines() -> Tensor:
    """The distance to the outline of each shape of radius 1, negative inside, on a fine grid over [-1.6, 1.6]^2."""
    axis = (torch.arange(DETAIL) + 0.5) / DETAIL * 2 * EXTENT - EXTENT
    points = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).view(-1, 2)
    circle = points.norm(dim=1) - 0.92
    around = [torch.tensor(corners) for corners in _polygons()]
    found = [circle, *(_from_polygon(points, corners) for corners in around)]
    return torch.stack(found).view(-1, DETAIL, DETAIL)


def _polygons() -> list[list[tuple[float, float]]]:
    def ring(n: int, *radii: float, start: float = -90.0) -> list[tuple[float, float]]:
        angles = [math.radians(start + 360 * i / n) for i in range(n)]
        return [
            (radii[i % len(radii)] * math.cos(a), radii[i % len(radii)] * math.sin(a)) for i, a in enumerate(angles)
        ]

    arm, end = 0.32, 1.0
    quarter = [(arm, -end), (arm, -arm), (end, -arm)]
    cross = [(x * c - y * s, x * s + y * c) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1)) for x, y in quarter]
    return [ring(4, 1.2, start=-45.0), [(x, y + 0.15) for x, y in ring(3, 1.2)], ring(10, 1.15, 0.48), cross]


def _from_polygon(points: Tensor, corners: Tensor) -> Tensor:
    """The signed distance (n,) of points (n, 2) to a polygon."""
    start, along = corners[None], (corners.roll(-1, 0) - corners)[None]
    to_start = points[:, None] - start
    share = ((to_start * along).sum(-1) / along.square().sum(-1)).clamp(0, 1)
    distance = (to_start - share[..., None] * along).norm(dim=-1).amin(1)
    end = start + along
    crosses = (start[..., 1] > points[:, None, 1]) != (end[..., 1] > points[:, None, 1])
    x = start[..., 0] + (points[:, None, 1] - start[..., 1]) * along[..., 0] / along[..., 1].where(
        along[..., 1] != 0, 1.0
    )
    inside = (crosses & (points[:, None, 0] < x)).sum(1) % 2 == 1
    return torch.where(inside, -distance, distance)
