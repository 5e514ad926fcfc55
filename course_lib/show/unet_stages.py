"""The U of a U-Net."""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from course_lib.checks import shown
from course_lib.nets.summary import Stage
from course_lib.show.drawing import Drawing, Shape
from course_lib.show.roles import colour

KINDS = ("convolution", "residual", "attention", "down", "up")
WIDTH, LEFT, RIGHT = 9.6, 1.75, 0.75  # inches: of all, and left free beside the U
LEGEND, STEP, ABOVE, BELOW = 1.1, 0.08, 0.2, 0.05  # heights: the legend, one skip, the gap under it, and under a row


def u_net(stages: Sequence[Stage], title: str = "") -> Figure:
    """Each block as a slab, high as its images and wide as its channels, with every skip connection (lesson 08).

    Above each row are the skips, whose ends are concatenated; below it the channels, outside the U so that the next
    row has its place, and a dot where the time enters. Raises ValueError for what are not the stages of a whole U-Net.
    """
    if not isinstance(stages, Sequence) or not _is_whole(stages):
        raise ValueError(f"stages must be those of a whole U-Net, as nets.stages(net) gives them; got {shown(stages)}")
    sizes = sorted({stage.shape[1] for stage in stages}, reverse=True)
    skips = skip_connections(stages)
    heights = {size: 0.12 + 0.45 * (size / sizes[0]) ** 0.7 for size in sizes}
    rows, top = {}, LEGEND
    for size in reversed(sizes):
        rows[size] = top + BELOW + heights[size] / 2
        top += BELOW + heights[size] + ABOVE + STEP * sum(stages[i].shape[1] == size for i, _ in skips)
    drawing = Drawing(WIDTH, top + 0.1, title)
    found = _slabs(drawing, stages, rows, heights)
    for size in sizes:
        drawing.text(0.12, rows[size], f"{size} × {size}", ha="left")
        here = [i for i, stage in enumerate(stages) if stage.shape[1] == size]
        for half, ha in [(here, "center")] if size == sizes[-1] else zip(_halves(here), ("right", "left"), strict=True):
            _channels(drawing, [stages[i].shape[0] for i in half], found[half[0]], found[half[-1]], ha)
        for rank, (start, end) in enumerate(reversed([pair for pair in skips if pair[0] in here])):
            (x, y), (x_end, _) = found[start].top, found[end].top
            over = y + ABOVE + STEP * rank
            drawing.path([(x, y + 0.06), (x, over), (x_end, over), (x_end, y + 0.06)])
    first, last = found[0], found[-1]
    drawing.arrow((first.left[0] - 0.4, first.y), first.left)
    drawing.text(first.left[0] - 0.45, first.y, r"$x_t$", ha="right")
    drawing.arrow((last.right[0] + 0.05, last.y), (last.right[0] + 0.45, last.y))
    _legend(drawing, [kind for kind in KINDS if any(stage.kind == kind for stage in stages)])
    return drawing.fig


def _is_whole(stages: Sequence[Stage]) -> bool:
    """Whether it begins and ends at full resolution, with residual blocks between."""
    if len(stages) < 4 or not all(isinstance(stage, Stage) for stage in stages):
        return False
    first, last = stages[0], stages[-1]
    return first.kind == last.kind == "convolution" and first.shape[1:] == last.shape[1:]


def skip_connections(stages: Sequence[Stage]) -> list[tuple[int, int]]:
    """(from, to) of every skip, as indices of stages: what is kept on the way down, and the block that takes it up."""
    levels = 1 + sum(stage.kind == "down" for stage in stages)
    residual = [i for i, stage in enumerate(stages) if stage.kind == "residual"]
    blocks = (len(residual) - 2 - levels) // (2 * levels)
    down, up = residual[: levels * blocks], residual[levels * blocks + 2 :]
    ends = [i + (stages[i + 1].kind == "attention") for i in down]
    kept = sorted([0, *ends, *(i for i, stage in enumerate(stages) if stage.kind == "down")])
    return list(zip(kept, reversed(up), strict=True))


def _slabs(drawing: Drawing, stages: Sequence[Stage], rows: dict[int, float], heights: dict[int, float]) -> list[Shape]:
    pitch = min(0.42, (WIDTH - LEFT - RIGHT) / len(stages))
    left = LEFT + (WIDTH - LEFT - RIGHT - pitch * len(stages)) / 2
    most = max(stage.shape[0] for stage in stages)
    found = []
    for i, stage in enumerate(stages):
        channels, size, _ = stage.shape
        width = pitch * (0.25 + 0.45 * (channels / most) ** 0.5)
        shape = drawing.slab(left + pitch * (i + 0.5), rows[size], width, heights[size], stage.kind, depth=0.05)
        if stage.kind == "residual":
            drawing.ax.plot(shape.x, shape.bottom[1] - 0.08, ".", color=colour("time"), markersize=6)
        found.append(shape)
    return found


def _halves(here: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """The indices before and after the gap in a row."""
    gap = next(i for i, (a, b) in enumerate(pairwise(here), 1) if b > a + 1)
    return here[:gap], here[gap:]


def _channels(drawing: Drawing, channels: Sequence[int], first: Shape, last: Shape, ha: str) -> None:
    """Below a row from first to last, how the number of channels changes."""
    x = {"left": first.left[0], "center": (first.x + last.x) / 2, "right": last.right[0]}[ha]
    changes = [str(b) for a, b in pairwise([0, *channels]) if a != b]
    drawing.text(x, first.bottom[1] - 0.14, " → ".join(changes), ha=ha, va="top")


def _legend(drawing: Drawing, kinds: Sequence[str]) -> None:
    handles = [Patch(color=colour(kind), label=kind) for kind in kinds]
    handles.append(Line2D([], [], color=colour("time"), marker=".", markersize=9, linestyle="", label="time enters"))
    handles.append(Line2D([], [], color="black", linewidth=1.8, label="skip, concatenated"))
    drawing.ax.legend(
        handles=handles, loc="lower center", ncols=4, fontsize=drawing.letters, borderpad=0.2, columnspacing=1.2,
        handlelength=1.2, handletextpad=0.5, labelspacing=0.3, bbox_to_anchor=(0.5, 0.0),
    )  # fmt: skip
