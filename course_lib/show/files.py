"""What a model made, as a PNG file."""

from pathlib import Path

from PIL import Image
from torch import Tensor

from course_lib.show.images import as_picture, tiles
from course_lib.show.plane import plane_axes, points

PIXELS = 640


def save_picture(x0: Tensor, out: Path) -> None:
    """Images (n, channels, height, width) as a grid, or points (n, 2) in the plane, at least 640 pixels wide or high.

    Raises ValueError for points of another dimension.
    """
    if x0.ndim == 4:
        sheet = Image.fromarray(as_picture(tiles(x0)))
        scale = max(1, PIXELS // max(sheet.size))
        sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST).save(out)
        return
    if x0.shape[1:] != (2,):
        raise ValueError(f"only images and points in the plane can be drawn; got {tuple(x0.shape)}")
    fig, (ax,) = plane_axes(1, size=PIXELS / 100)
    points(ax, x0)
    fig.savefig(out, dpi=100, metadata={"Software": None})
