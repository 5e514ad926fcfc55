"""Distributions in the plane: exact densities, samples, and the paths between noise and data."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_lib import checks
from course_lib.show.figures import use_style
from course_lib.show.roles import COLOURS
from course_lib.show.roles import colour as named


def plane_axes(columns: int, extent: float = 3.0, size: float = 2.7) -> tuple[Figure, list[Axes]]:
    """A row of square axes over [-extent, extent]^2."""
    use_style()
    checks.whole("columns", columns, 1)
    checks.number("extent", extent, 0, beyond=True)
    checks.number("size", size, 0, beyond=True)
    fig, axes = plt.subplots(1, columns, figsize=(size * columns, size + 0.4), squeeze=False)
    for ax in axes[0]:
        ax.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal", xticks=[], yticks=[])
        ax.spines[:].set_visible(True)
        ax.spines[:].set_color(COLOURS["grey"])
    return fig, list(axes[0])


def density(ax: Axes, log_prob: Callable[[Tensor], Tensor], resolution: int = 160) -> None:
    """A density over the axes, from log_prob: (n, 2) to (n,); white is 0, dark is the highest in view."""
    checks.whole("resolution", resolution, 2)
    if not callable(log_prob):
        raise ValueError(f"log_prob must be a function, (n, 2) to (n,); got {checks.shown(log_prob)}")
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    x = torch.linspace(left, right, resolution, dtype=torch.float64)
    y = torch.linspace(low, high, resolution, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
    log_p = log_prob(points)
    if not torch.is_tensor(log_p) or log_p.shape != points.shape[:1]:
        raise ValueError(f"log_prob must answer (n,) for n points (n, 2); got {checks.shown(log_p)}")
    p = log_p.exp().reshape(resolution, resolution).numpy()
    if not np.isfinite(p).all():
        raise ValueError(f"the density must be finite everywhere; log_prob gave {log_p.min():.3g} … {log_p.max():.3g}")
    ax.imshow(p, origin="lower", extent=(left, right, low, high), cmap="Blues", interpolation="bilinear", vmin=0)


def points(ax: Axes, x: Tensor, colour: str = "samples", size: float = 4.0, label: str | None = None) -> None:
    """Samples (n, 2) as dots; `colour` is a name in ROLES or COLOURS."""
    if checks.batch("x", x, axes=2).shape[1] != 2:
        raise ValueError(f"x must be points in the plane, (n, 2); got {tuple(x.shape)}")
    ax.scatter(*x.detach().cpu().T, s=size, color=named(colour), alpha=0.5, linewidths=0, label=label, rasterized=True)


def trajectories(ax: Axes, paths: Tensor, colour: str = "grey") -> None:
    """Paths (times, n, 2) as thin lines, with a dot where each ends."""
    if checks.batch("paths", paths, axes=3).shape[2] != 2 or len(paths) == 0:
        raise ValueError(f"paths must be (times, n, 2); got {tuple(paths.shape)}")
    for path in paths.detach().cpu().unbind(1):
        ax.plot(*path.T, color=named(colour), linewidth=0.6, alpha=0.6)
    points(ax, paths[-1], "samples", size=9)
