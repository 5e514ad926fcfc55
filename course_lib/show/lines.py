"""Lines over a common axis: losses, schedules, distances."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from torch import Tensor

from course_lib import checks
from course_lib.show.figures import CYCLE, use_style
from course_lib.show.roles import ROLES, SYMBOLS, Role

FEW = 15  # points that are each worth a marker


def curves(
    x: Tensor | Sequence[float],
    lines: Mapping[str, Tensor | Sequence[float]],
    xlabel: str,
    ylabel: str,
    ax: Axes | None = None,
    log: str = "",
) -> Axes:
    """Named lines over x: a name in ROLES looks as the table says, others have a colour and a dash of their own.

    Up to 15 points get markers. log: which axes are logarithmic, "x", "y", "xy". Without `ax` a new figure is made:
    `ax.figure` is it. Raises ValueError for what are no numbers (n,), a line of another length than x, no line at all, and
    another `log`.
    """
    use_style()
    checks.one_of("log", log, ("", "x", "y", "xy"))
    if not isinstance(lines, Mapping) or not lines:
        raise ValueError(f"lines must be a dictionary of names and numbers; got {checks.shown(lines)}")
    x, lines = _numbers("x", x), {name: _numbers(f"the line {name!r}", y) for name, y in lines.items()}
    if wrong := {name: len(y) for name, y in lines.items() if len(y) != len(x)}:
        raise ValueError(f"each line must hold {len(x)} numbers, one for each x; got {wrong}")
    if ax is None:
        ax = plt.subplots(figsize=(7, 3.8))[1]
    known = [ROLES[name] for name in lines if name in ROLES]
    colours = [name for name in CYCLE if name not in {role.colour for role in known}]
    dashes = sorted(("-", "--", "-.", ":"), key=[role.dash for role in known].count)
    others = (Role(colour, dash, "o") for colour, dash in zip(cycle(colours), cycle(dashes), strict=False))
    for name, y in lines.items():
        look = (ROLES.get(name) or next(others)).line(markers=len(x) <= FEW)
        ax.plot(x, y, **look, zorder=3 if name == "learned" else 2, label=SYMBOLS.get(name, name))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    if len(lines) > 1:
        ax.legend()
    return ax


def label_line(ax: Axes, x: float, text: str, role: str) -> None:
    """Write `text` beside the line labelled `role` (or `text`) near x, in its colour, clear of lines and other labels.

    Call it when all lines are drawn and the limits are set. Raises ValueError where there is no such line.
    """
    names = (role, SYMBOLS.get(role, role), text)
    line = next((line for line in ax.lines if line.get_label() in names), None)
    if line is None:
        raise ValueError(f"no line is labelled {role!r}; there are {[line.get_label() for line in ax.lines]}")
    if legend := ax.get_legend():
        legend.remove()
    ax.figure.draw_without_rendering()
    way = _pixels(line)
    along = ax.transData.transform((x, ax.get_ylim()[0]))[0]
    place = ax.transData.inverted().transform((along, np.interp(along, *way[way[:, 0].argsort()].T)))
    label = ax.annotate(text, place, (0, 0), textcoords="offset points", color=line.get_color())
    label.set_in_layout(False)
    drawn = np.concatenate([_pixels(other) for other in ax.lines])
    others = [other.get_window_extent() for other in ax.texts if other is not label]

    def covered(offset: tuple[int, int]) -> float:
        """How much would lie under the label, beside this offset: points of lines, other labels, the axes' edge."""
        label.set(position=offset, ha=("center", "left", "right")[_sign(offset[0])])
        label.set_va(("center", "bottom", "top")[_sign(offset[1])])
        box = label.get_window_extent()
        crossed = ((drawn >= box.min) & (drawn <= box.max)).all(axis=1).sum()
        outside = (box.min < ax.bbox.min).any() or (box.max > ax.bbox.max).any()
        return crossed + 1000 * (outside + sum(box.overlaps(other) for other in others))

    sides = [(0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0)]
    covered(min(((far * i, far * j) for far in (5, 10, 18, 28, 40) for i, j in sides), key=covered))


def _numbers(name: str, values: Tensor | Sequence[float]) -> np.ndarray:
    numbers = checks.numbers(name, values)
    if numbers.ndim != 1:
        raise ValueError(f"{name} must be a list of numbers, (n,); got the shape {tuple(numbers.shape)}")
    return numbers.detach().cpu().numpy()


def _sign(offset: int) -> int:
    return (offset > 0) - (offset < 0)


def _pixels(line: Line2D) -> np.ndarray:
    """(2000, 2): places along the line on the screen."""
    corners = line.get_transform().transform(np.column_stack(line.get_data(orig=False)))
    steps = np.linspace(0, len(corners) - 1, 2000)
    return np.column_stack([np.interp(steps, np.arange(len(corners)), corners[:, i]) for i in (0, 1)])
