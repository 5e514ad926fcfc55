"""The one style of all figures, and the one way in which they reach the page: with a text for those who can't see them."""

import io

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.figure import Figure

# Okabe and Ito's palette: distinguishable with any kind of colour vision.
COLOURS = {
    "blue": "#0072B2", "orange": "#E69F00", "green": "#009E73", "red": "#D55E00", "sky": "#56B4E9", "pink": "#CC79A7",
    "black": "#000000", "grey": "#8A8A8A",
}  # fmt: skip

STYLE = {
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.labelsize": 13,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "lines.linewidth": 2.2,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
    "axes.prop_cycle": cycler(color=[COLOURS[c] for c in ("blue", "orange", "green", "red", "sky", "pink", "black")]),
}


def use_style() -> None:
    """Draw everything from here on in the course's style; every figure of `show` does it by itself."""
    plt.rcParams.update(STYLE)


def figure(fig: Figure, alt: str, dpi: int = 100) -> None:
    """Show a figure in the notebook, with `alt`, a sentence that says what it shows, and close it.

    Raises ValueError for a text too short to say anything.
    """
    show_png(as_png(fig, dpi), alt)


def as_png(fig: Figure, dpi: int = 100) -> bytes:
    """The figure as PNG bytes, the same ones each time; it is closed."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    plt.close(fig)
    return buffer.getvalue()


def show_png(png: bytes, alt: str, display_id: str | None = None, update: bool = False) -> None:
    """Put a picture and its text on the page, or in the place of an earlier one."""
    from IPython.display import display

    if len(alt) < 20:
        raise ValueError(f"the text for those who can't see the figure must say what it shows; got {alt!r}")
    bundle = {"image/png": png, "text/plain": alt}
    display(
        bundle, raw=True, metadata={"image/png": {"alt": alt}},
        **({"display_id": display_id, "update": update} if display_id else {}),
    )  # fmt: skip
