"""Images side by side."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from course_lib import checks
from course_lib.data import to_uint8
from course_lib.show.figures import title as write_title
from course_lib.show.figures import use_style

FRAME = {"edgecolor": "#8A8A8A", "linewidth": 0.8}


def as_picture(x0: Tensor) -> np.ndarray:
    """One image (channels, height, width) in [-1, 1] as (height, width, 3) of 8 bit; channels are 1 or 3."""
    if checks.floats("an image", x0).ndim != 3 or len(x0) not in (1, 3) or x0.numel() == 0:
        raise ValueError(f"an image must be (1 or 3 channels, height, width); got {tuple(x0.shape)}")
    picture = to_uint8(x0.detach().cpu()).permute(1, 2, 0).numpy()
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def tiles(x0: Tensor, columns: int | None = None, gap: int = 1) -> Tensor:
    """Images (n, channels, height, width) in one, (channels, height, width), row by row, with white gaps."""
    if checks.floats("images", x0).ndim != 4 or len(x0) == 0:
        raise ValueError(f"images must be (n > 0, channels, height, width); got {tuple(x0.shape)}")
    checks.whole("columns", 1 if columns is None else columns, 1)
    checks.whole("gap", gap, 0)
    n, c, h, w = x0.shape
    columns = math.ceil(math.sqrt(n)) if columns is None else columns
    rows = math.ceil(n / columns)
    sheet = torch.ones(c, rows * (h + gap) - gap, columns * (w + gap) - gap)
    for i, image in enumerate(x0.detach().cpu()):
        top, left = i // columns * (h + gap), i % columns * (w + gap)
        sheet[:, top : top + h, left : left + w] = image
    return sheet


def grid(x0: Tensor, columns: int | None = None, title: str = "", width: float = 6.0) -> Figure:
    """Images (n, channels, height, width) in [-1, 1] in rows, each in a thin frame; `width` in inches."""
    use_style()
    checks.number("width", width, 0, beyond=True)
    gap, (h, w) = max(1, checks.batch("images", x0, axes=4).shape[-1] // 12), x0.shape[-2:]
    sheet = tiles(x0, columns, gap)
    columns = columns or math.ceil(math.sqrt(len(x0)))
    fig, ax = plt.subplots(figsize=(width, width * sheet.shape[1] / sheet.shape[2]))
    picture(ax, sheet)
    ax.spines[:].set_visible(False)
    for i in range(len(x0)):
        corner = (i % columns * (w + gap) - 0.5, i // columns * (h + gap) - 0.5)
        ax.add_patch(Rectangle(corner, w, h, fill=False, clip_on=False, **FRAME))
    if title:
        write_title(fig, title)
    return fig


def rows(images: Mapping[str, Tensor], size: float = 0.9, title: str = "") -> Figure:
    """Rows of images, each beside its name: name -> (n, channels, height, width) in [-1, 1]; `size` of one, in inches."""
    use_style()
    checks.number("size", size, 0, beyond=True)
    if not isinstance(images, Mapping) or not images:
        raise ValueError(f"images must be rows by their names; got {checks.shown(images)}")
    for name, row in images.items():
        checks.batch(f"the row {name!r}", row, axes=4)
    columns = max(map(len, images.values()))
    fig, axes = plt.subplots(
        len(images), 1, figsize=(size * columns + 2.2, 1.12 * size * len(images) + 0.1), squeeze=False
    )
    for ax, (name, row) in zip(axes[:, 0], images.items(), strict=True):
        picture(ax, tiles(row, columns, max(1, row.shape[-1] // 10)))
        ax.spines[:].set_visible(False)
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
    if title:
        write_title(fig, title)
    return fig


def strip(
    rows: Sequence[Tensor], times: Sequence[int | float], names: Sequence[str] = (), size: float = 1.15
) -> Figure:
    """Images through time: each of `rows` is (times, channels, height, width), under the times, beside its name."""
    use_style()
    for name, values in (("rows", rows), ("times", times)):
        if not hasattr(values, "__len__") or isinstance(values, str):
            raise ValueError(f"{name} must be a list, one for each; got {checks.shown(values)}")
    for t in times:
        checks.number("each of the times", t)
    if not len(rows) or not len(times) or (names and len(names) != len(rows)):
        raise ValueError(
            f"a strip needs a time, a row, and a name for each row; got {len(times)}, {len(rows)}, {list(names)}"
        )
    for row in rows:
        checks.batch("each row", row, axes=4)
    checks.number("size", size, 0, beyond=True)
    if any(len(row) != len(times) for row in rows):
        raise ValueError(f"each row must hold {len(times)} images, one a time; got {[len(row) for row in rows]}")
    h, w = rows[0].shape[2:]
    fig, axes = plt.subplots(
        len(rows), len(times), figsize=(size * len(times), size * len(rows) * h / w + 0.4), squeeze=False
    )
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            picture(axes[i, j], image)
            if i == 0:
                axes[i, j].set_title(f"t = {times[j]:g}" if j == 0 else f"{times[j]:g}")
        if names:
            axes[i, 0].set_ylabel(names[i])
    return fig


def picture(ax: Axes, image: Tensor) -> None:
    """One image (channels, height, width) in [-1, 1] into the axes, in a thin frame."""
    ax.imshow(as_picture(image))
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(True)
    for spine in ax.spines.values():
        spine.set(**FRAME)
