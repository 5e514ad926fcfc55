"""Lines over a common axis: losses, schedules, distances."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from course_lib.show.figure import use_style

DASHES = ("-", "--", "-.", ":")


def curves(
    x: Tensor | Sequence[float],
    lines: Mapping[str, Tensor | Sequence[float]],
    xlabel: str,
    ylabel: str,
    ax: Axes | None = None,
    log: str = "",
) -> Axes:
    """Named lines over x; each has its own colour and its own dashes. log: which axes are logarithmic, "x", "y", "xy".

    Without `ax` a new figure is made: `ax.figure` is it.
    """
    use_style()
    if ax is None:
        ax = plt.subplots(figsize=(7, 4))[1]
    for i, (name, y) in enumerate(lines.items()):
        ax.plot(x, y, DASHES[i % len(DASHES)], label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    if len(lines) > 1:
        ax.legend()
    return ax
