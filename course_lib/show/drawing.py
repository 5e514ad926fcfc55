"""A small set of shapes for what no plot says: systems, chains, blocks, maps; the same look everywhere."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle
from torch import Tensor

from course_lib import checks
from course_lib.show.figures import READABLE, SLIDE, use_style
from course_lib.show.figures import title as write_title
from course_lib.show.images import FRAME, as_picture
from course_lib.show.roles import colour, tint

Point = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """The place of something drawn: its centre and its size in inches; arrows join the middles of its sides."""

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self):
        for name in ("x", "y", "width", "height"):
            low = 0 if name in ("width", "height") else -math.inf
            checks.number(f"the {name} of a shape", getattr(self, name), low, beyond=True)

    left = property(lambda self: (self.x - self.width / 2, self.y))
    right = property(lambda self: (self.x + self.width / 2, self.y))
    top = property(lambda self: (self.x, self.y + self.height / 2))
    bottom = property(lambda self: (self.x, self.y - self.height / 2))


class Drawing:
    """A sheet of width x height inches, with (0, 0) at the lower left; x and y of a shape are its centre.

    Letters are just as large as the last row of a hall needs when the sheet fills a slide. A `role` is a name in ROLES
    or COLOURS. The finished sheet is `fig`.
    """

    def __init__(self, width: float, height: float, title: str = ""):
        use_style()
        checks.number("width", width, 0, beyond=True)
        checks.number("height", height, 0, beyond=True)
        self.fig, self.ax = plt.subplots(figsize=(width, height), layout="none")
        if title:
            write_title(self.fig, title)
        total = self.fig.get_figheight()
        self.ax.set(position=(0, 0, 1, height / total), xlim=(0, width), ylim=(0, height), aspect="equal")
        self.ax.axis("off")
        self.letters = math.ceil(2 * READABLE / min(SLIDE[0] / width, SLIDE[1] / total)) / 2

    def text(self, x: float, y: float, text: str, role: str = "black", ha: str = "center", va: str = "center") -> None:
        """Words at (x, y)."""
        self.ax.text(x, y, text, ha=ha, va=va, color=colour(role), fontsize=self.letters, linespacing=1.15, zorder=5)

    def box(self, x: float, y: float, text: str, role: str = "grey", width: float = 1.5, height: float = 0.8) -> Shape:
        """A rounded box with words in it: something that computes."""
        round_ = "round,pad=0,rounding_size=0.12"
        corner = (x - width / 2, y - height / 2)
        self.ax.add_patch(FancyBboxPatch(corner, width, height, round_, **_look(role)))
        self.text(x, y, text)
        return Shape(x, y, width, height)

    def trapezoid(
        self, x: float, y: float, text: str, role: str = "grey", width: float = 1.2, height: float = 1.4,
        end: float = 0.5,
    ) -> Shape:  # fmt: skip
        """A network that narrows to the right, to `end` of its height: an encoder; with `end` above 1 a decoder."""
        left, right = height / 2 / max(1, end), height / 2 * min(1, end)
        self._polygon(x, y, [(-width / 2, left), (width / 2, right)], role)
        self.text(x, y, text)
        return Shape(x, y, width, left + right)

    def hourglass(self, x: float, y: float, text: str, role: str, width: float = 2.4, height: float = 1.6) -> Shape:
        """A network that narrows to a half and widens again: a U-Net, an autoencoder."""
        self._polygon(x, y, [(-width / 2, height / 2), (0, height / 4), (width / 2, height / 2)], role)
        self.text(x, y, text)
        return Shape(x, y, width, height / 2)

    def _polygon(self, x: float, y: float, upper: Sequence[Point], role: str) -> None:
        """What lies between a broken line and its mirror image."""
        corners = [(x + i, y + j) for i, j in upper] + [(x + i, y - j) for i, j in reversed(upper)]
        self.ax.add_patch(Polygon(corners, joinstyle="round", **_look(role)))

    def circle(self, x: float, y: float, text: str, observed: bool = False, radius: float = 0.38) -> Shape:
        """A random variable; a grey one is observed."""
        look = _look("black") | {"facecolor": "#D4D4D4" if observed else "white"}
        self.ax.add_patch(Circle((x, y), radius, **look))
        self.text(x, y, text)
        return Shape(x, y, 2 * radius, 2 * radius)

    def node(self, x: float, y: float, sign: str = "+") -> Shape:
        """A small circle with + or ×, where two things meet."""
        checks.one_of("sign", sign, ("+", "×"))
        self.ax.add_patch(Circle((x, y), 0.17, **_look("black") | {"facecolor": "white"}))
        across = 0.09 if sign == "+" else 0.065
        for i, j in ((1, 0), (0, 1)) if sign == "+" else ((1, 1), (1, -1)):
            ends = ([x - across * i, x + across * i], [y - across * j, y + across * j])
            self.ax.plot(*ends, color="black", linewidth=1.8, zorder=4)
        return Shape(x, y, 0.34, 0.34)

    def slab(self, x: float, y: float, width: float, height: float, role: str, depth: float = 0.06) -> Shape:
        """Feature maps: as high as their resolution, as wide as their channels."""
        left, right, low, high = x - width / 2, x + width / 2, y - height / 2, y + height / 2
        look = {"edgecolor": "white", "linewidth": 0.6, "zorder": 2}
        over = [(left, high), (left + depth, high + depth), (right + depth, high + depth), (right, high)]
        beside = [(right, low), (right + depth, low + depth), (right + depth, high + depth), (right, high)]
        self.ax.add_patch(Rectangle((left, low), width, height, facecolor=colour(role), **look))
        self.ax.add_patch(Polygon(over, facecolor=tint(role, 0.55), **look))
        self.ax.add_patch(Polygon(beside, facecolor=tint(role, 0.3), **look))
        return Shape(x, y, width, height)

    def picture(self, x: float, y: float, image: Tensor, size: float = 1.0, text: str = "") -> Shape:
        """A real image (channels, height, width) in [-1, 1], `size` inches high, in a thin frame, over its name."""
        checks.number("size", size, 0, beyond=True)
        pixels = as_picture(image)
        width = size * image.shape[2] / image.shape[1]
        place = Shape(x, y, width, size)
        extent = (place.left[0], place.right[0], place.bottom[1], place.top[1])
        self.ax.imshow(pixels, extent=extent, zorder=2)
        self.ax.add_patch(Rectangle((extent[0], extent[2]), width, size, fill=False, zorder=3, **FRAME))
        if text:
            self.text(x, y - size / 2 - 0.08, text, va="top")
        return place

    def arrow(
        self, start: Point, end: Point, text: str = "", role: str = "black", curve: float = 0.0, dashed: bool = False,
        below: bool = False,
    ) -> None:  # fmt: skip
        """From one place to another, with words above (or `below`) its middle; curve > 0 bends it to the right."""
        _check_places(start, end)
        look = {"arrowstyle": "-|>,head_length=0.5,head_width=0.26", "mutation_scale": 15, "shrinkA": 0, "shrinkB": 0}
        bend = {"connectionstyle": f"arc3,rad={curve}"} if curve else {}
        dash = {"linestyle": (0, (4, 2.2))} if dashed else {}
        line = {"color": colour(role), "linewidth": 1.8, "zorder": 3, "joinstyle": "miter", "capstyle": "butt"}
        self.ax.add_patch(FancyArrowPatch(start, end, **look, **bend, **dash, **line))
        if text:
            x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
            x, y = x + curve * (end[1] - start[1]) / 2, y - curve * (end[0] - start[0]) / 2
            self.text(x, y + (-0.08 if below else 0.08), text, role, va="top" if below else "bottom")

    def path(self, corners: Sequence[Point], role: str = "black", dashed: bool = False) -> None:
        """An arrow around corners: straight pieces, with its head at the last one."""
        _check_places(*corners)
        if len(corners) < 2:
            raise ValueError(f"a path needs two corners or more; got {len(corners)}")
        line = {"color": colour(role), "linewidth": 1.8, "linestyle": (0, (4, 2.2)) if dashed else "-", "zorder": 3}
        self.ax.plot(*zip(*corners[:-1], strict=True), **line, solid_joinstyle="round")
        self.arrow(corners[-2], corners[-1], role=role, dashed=dashed)

    def chain(self, labels: Sequence[str], x: Sequence[float], y: float, observed: int = -1) -> list[Shape]:
        """Random variables in a row; "…" stands for those left out, and `observed` is the index of the grey one."""
        if len(labels) != len(x):
            raise ValueError(f"each label needs an x; got {len(labels)} labels and {len(x)} places")
        found = []
        for i, (label, place) in enumerate(zip(labels, x, strict=True)):
            if label == "…":
                for step in (-0.14, 0, 0.14):
                    self.ax.add_patch(Circle((place + step, y), 0.035, color="black", zorder=3))
                found.append(Shape(place, y, 0.5, 0.2))
            else:
                found.append(self.circle(place, y, label, observed=i == observed))
        return found

    def brace(self, start: float, end: float, y: float, text: str) -> None:
        """A curly brace below everything from x = start to x = end, over its words."""
        s = np.linspace(0, 1, 201)
        ends, middle = np.tanh(25 * np.minimum(s, 1 - s)), 1 - np.tanh(18 * np.abs(s - 0.5))
        self.ax.plot(start + (end - start) * s, y - 0.09 * (ends + middle), color="black", linewidth=1.5)
        self.text((start + end) / 2, y - 0.26, text, va="top")


def _check_places(*places: Point) -> None:
    """Raises ValueError for what is no place (x, y), such as a whole Shape."""
    for place in places:
        if isinstance(place, Shape):
            raise ValueError("an arrow joins places, not shapes: give a side, such as shape.right or shape.left")
        if not isinstance(place, tuple | list) or len(place) != 2:
            raise ValueError(f"a place must be (x, y); got {checks.shown(place)}")
        for value in place:
            checks.number("x and y of a place", value)


def _look(role: str) -> dict[str, str | float]:
    return {"facecolor": tint(role), "edgecolor": colour(role), "linewidth": 1.8, "zorder": 2}
