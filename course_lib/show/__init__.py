"""Figures in one style, each with a text for those who can't see it; drawings, films, and widgets that also stand still."""

from course_lib.show.drawing import Drawing, Shape
from course_lib.show.figures import check_figure, figure, smallest_letter, title, use_style
from course_lib.show.films import film
from course_lib.show.images import as_picture, grid, picture, rows, strip, tiles
from course_lib.show.lines import curves, label_line
from course_lib.show.plane import density, plane_axes, points, trajectories
from course_lib.show.roles import COLOURS, ROLES, colour, style, tint
from course_lib.show.systems import (
    diffusion_chain,
    gan_players,
    latent_diffusion,
    text_to_image,
    variational_autoencoder,
)
from course_lib.show.unet_stages import u_net
from course_lib.show.widgets import live, widget

__all__ = [
    "COLOURS", "ROLES", "Drawing", "Shape", "as_picture", "check_figure", "colour", "curves", "density",
    "diffusion_chain", "figure", "film", "gan_players", "grid", "label_line", "latent_diffusion", "live", "picture",
    "plane_axes", "points", "rows", "smallest_letter", "strip", "style", "text_to_image", "tiles", "tint", "title",
    "trajectories", "u_net", "use_style", "variational_autoencoder", "widget",
]  # fmt: skip
