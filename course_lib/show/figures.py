"""The one style of all figures, and the one way in which they reach the page: with a text for those who can't see them."""

import io
import math

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import TextPath

from course_lib.checks import shown
from course_lib.show.roles import COLOURS, contrast

CYCLE = ("blue", "orange", "green", "red", "black", "pink", "sky", "wine")
SLIDE = (12.3, 6.2)  # inches of a 13.3 x 7.5 slide that a figure can fill
READABLE = 18  # points on that slide, for the last row of the hall
MOST_CURVES = 5

STYLE = {
    "figure.facecolor": "white", "figure.constrained_layout.use": True, "figure.constrained_layout.h_pad": 0.08,
    "figure.titlesize": 15, "figure.titleweight": "bold", "axes.titlesize": 14, "axes.labelsize": 14, "font.size": 14,
    "xtick.labelsize": 13, "ytick.labelsize": 13, "legend.fontsize": 13, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False,
    "lines.linewidth": 2.2, "lines.markersize": 7, "image.cmap": "gray", "image.interpolation": "nearest",
    "axes.prop_cycle": cycler(color=[COLOURS[name] for name in CYCLE]),
}  # fmt: skip


def use_style() -> None:
    """Draw everything from here on in the course's style; every figure of `show` does it by itself."""
    plt.rcParams.update(STYLE)


def title(of: Figure | Axes, message: str) -> None:
    """Write the figure's message above it: a whole sentence, on the left, in as many lines as it needs.

    The figure grows by these lines, so that what is below keeps its size. Raises ValueError for what is no text.
    """
    if not isinstance(of, Figure | Axes) or not isinstance(message, str):
        raise ValueError(f"title takes a figure or axes, and a text; got {shown(of)} and {shown(message)}")
    use_style()
    fig = of if isinstance(of, Figure) else of.figure
    size = plt.rcParams["figure.titlesize"]
    lines = _wrapped(message, 72 * fig.get_figwidth() - 12, size)
    if not fig.get_suptitle():
        fig.set_figheight(fig.get_figheight() + (1.25 * size * len(lines) + 9) / 72)
    top = {} if fig.get_layout_engine() else {"y": 1 - 7 / 72 / fig.get_figheight(), "va": "top"}
    fig.suptitle("\n".join(lines), x=7 / 72 / fig.get_figwidth(), ha="left", **top)


def _wrapped(text: str, points: float, size: float) -> list[str]:
    lines: list[str] = []
    bold = FontProperties(weight="bold")
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and TextPath((0, 0), longer, size=size, prop=bold).get_extents().width <= points:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def smallest_letter(fig: Figure) -> float:
    """The size of the smallest letters, in points, once the figure fills a slide; infinite where there are none.

    Subscripts and powers of ten count as the letters that they stand beside.
    """
    _check_figure(fig)
    fig.draw_without_rendering()  # ticks get their labels only when drawn
    letters = [text.get_fontsize() for text in fig.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return min(letters, default=math.inf) * min(
        space / inches for space, inches in zip(SLIDE, fig.get_size_inches(), strict=True)
    )


def check_figure(fig: Figure) -> list[str]:
    """What keeps a figure from being projected, one sentence for each fault; none for a good one."""
    complaints = []
    if (letter := smallest_letter(fig)) < READABLE:
        complaints.append(f"letters of {letter:.1f} points on a slide; at least {READABLE}: make the figure smaller")
    if not fig.get_suptitle():
        complaints.append("no message above it: show.title(fig, …)")
    for ax in fig.axes:
        names = ax.get_legend_handles_labels()[1]
        if len(names) > MOST_CURVES:
            complaints.append(f"{len(names)} curves in one plot; at most {MOST_CURVES}")
        for line in ax.lines:
            ratio = contrast(to_hex(line.get_color()), to_hex(ax.get_facecolor()))
            if not line.get_label().startswith("_") and ratio < 3:
                complaints.append(f"{line.get_label()!r} has a contrast of {ratio:.1f} with what is behind; at least 3")
    return complaints


def figure(fig: Figure, alt: str, dpi: int = 100) -> None:
    """Show a figure in the notebook, with `alt`, a sentence that says what it shows, and close it.

    The output's metadata hold the text and, as `letter`, the `smallest_letter`. Raises ValueError for a text too short
    to say anything.
    """
    show_figure(fig, alt, dpi=dpi)


def show_figure(fig: Figure, alt: str, display_id: str | None = None, update: bool = False, dpi: int = 100) -> None:
    """`figure`, in a place that has a name, or instead of what is there."""
    _check_figure(fig)
    png = as_png(fig, dpi)
    letter = smallest_letter(fig)
    show_png(png, alt, display_id, update, {"letter": round(float(letter), 1)} if math.isfinite(letter) else {})


def as_png(fig: Figure, dpi: int = 100) -> bytes:
    """The figure as PNG bytes, the same ones each time; it is closed."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    plt.close(fig)
    return buffer.getvalue()


def _check_figure(fig: Figure) -> None:
    if not isinstance(fig, Figure):
        raise ValueError(f"fig must be a Figure (of axes: ax.figure); got {shown(fig)}")


def show_png(
    png: bytes, alt: str, display_id: str | None = None, update: bool = False, facts: dict[str, float] | None = None
) -> None:
    """Put a picture, its text and facts about it on the page, or in the place of an earlier one."""
    from IPython.display import display

    if not isinstance(alt, str) or len(alt) < 20:
        raise ValueError(f"the text for those who can't see the figure must say what it shows; got {alt!r}")
    bundle = {"image/png": png, "text/plain": alt}
    display(
        bundle, raw=True, metadata={"image/png": {"alt": alt} | (facts or {})},
        **({"display_id": display_id, "update": update} if display_id else {}),
    )  # fmt: skip
