"""Figures in one style, each with a text for those who can't see it, and widgets that also stand still."""

from course_lib.show.curves import curves
from course_lib.show.figure import COLOURS, figure, use_style
from course_lib.show.images import as_picture, grid, picture, strip, tiles
from course_lib.show.plane import density, plane_axes, points, trajectories
from course_lib.show.unet import u_net
from course_lib.show.widget import live, widget

__all__ = [
    "COLOURS", "as_picture", "curves", "density", "figure", "grid", "live", "picture", "plane_axes", "points", "strip",
    "tiles", "trajectories", "u_net", "use_style", "widget",
]  # fmt: skip
