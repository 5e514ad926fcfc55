"""The U of a U-Net."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from course_lib.nets.summary import Stage
from course_lib.show.figure import COLOURS, use_style

KIND_COLOURS = {"convolution": "grey", "residual": "sky", "attention": "orange", "down": "red", "up": "green"}


def u_net(found: Sequence[Stage], title: str = "") -> Figure:
    """Each block as a box: high as its images, with its channels above where they change; dashed, the skip connections."""
    use_style()
    sizes = sorted({stage.shape[1] for stage in found}, reverse=True)
    row = {size: -1.25 * i for i, size in enumerate(sizes)}
    fig, ax = plt.subplots(figsize=(11, 1.2 + 1.25 * len(sizes)))
    for i, stage in enumerate(found):
        channels, size, _ = stage.shape
        y, height = row[size], 0.3 + 0.6 * size / sizes[0]
        ax.add_patch(Rectangle((i, y - height / 2), 0.62, height, color=COLOURS[KIND_COLOURS[stage.kind]]))
        if i == 0 or found[i - 1].shape[:2] != (channels, size):
            lifted = 0.2 if i > 0 and y == row[found[i - 1].shape[1]] else 0.0  # clear of the label before
            ax.text(i + 0.31, y + height / 2 + 0.05 + lifted, str(channels), ha="center", va="bottom", fontsize=12)

    bottom = [stage.shape[1] for stage in found].index(sizes[-1])
    for size in sizes:
        ax.text(-0.5, row[size], f"{size} × {size}", ha="right", va="center", fontsize=13)
        here = [i for i, stage in enumerate(found) if stage.shape[1] == size]
        if size != sizes[-1]:
            start = max(i for i in here if i < bottom) + 0.62
            end = min(i for i in here if i > bottom and found[i].kind == "residual")
            arrow = {"arrowstyle": "->", "linestyle": "--", "color": "#555555"}
            ax.annotate("", (end, row[size]), (start, row[size]), arrowprops=arrow)
    kinds = [kind for kind in KIND_COLOURS if any(stage.kind == kind for stage in found)]
    patches = [Patch(color=COLOURS[KIND_COLOURS[kind]], label=kind) for kind in kinds]
    ax.legend(handles=patches, loc="lower right", ncols=len(kinds), bbox_to_anchor=(1, -0.1))
    ax.set(xlim=(-2.4, len(found) + 0.3), ylim=(row[sizes[-1]] - 0.6, 0.9), xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)
    return fig
