"""A small image classifier: its last hidden layer is the eye with which the course judges images (course_lib.metrics)."""

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.nets.blocks import check_channels

GROUPS = 8  # of the GroupNorms


class Classifier(nn.Module):
    """Images (batch, channels, size, size) in [-1, 1] to logits (batch, classes), by way of `features` numbers.

    It trains on slightly turned, scaled and shifted images, so that its features tell shape from position.
    Raises ValueError for sizes that are none, and for images of another shape.
    """

    def __init__(self, channels: int, size: int, classes: int = 10, width: int = 32, features: int = 64):
        super().__init__()
        sizes = {"channels": channels, "size": size, "classes": classes, "features": features}
        for name, value in sizes.items():
            checks.whole(name, value, 1)
        check_channels(GROUPS, width=width)
        self.shape = (channels, size, size)
        levels = max(1, round(math.log2(size / 4)))
        widths = [channels, *[width * 2**i for i in range(levels + 1)]]
        convolutions = []
        for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False)):
            convolutions += [
                nn.Conv2d(a, b, 3, stride=1 if i == 0 else 2, padding=1),
                nn.GroupNorm(GROUPS, b),
                nn.SiLU(),
            ]
        side = math.ceil(size / 2**levels)
        self.body = nn.Sequential(*convolutions, nn.Flatten(), nn.Dropout(0.2))
        self.hidden = nn.Linear(widths[-1] * side**2, features)
        self.out = nn.Linear(features, classes)

    def forward(
        self, x0: Tensor, label: Tensor, generator: Generator | None = None, warp: Tensor | None = None
    ) -> Tensor:
        """Cross-entropy on warped images, a scalar. warp: (batch, 2, 3) affine maps, drawn unless they are given."""
        warp = self.draw(x0.shape, generator, x0.device)["warp"] if warp is None else warp
        grid = F.affine_grid(warp, list(x0.shape), align_corners=False)
        seen = F.grid_sample(x0, grid, padding_mode="border", align_corners=False)
        return F.cross_entropy(self.logits(seen).float(), label)

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """Random maps: turned by up to 12 degrees, scaled by up to 10 %, shifted by up to a tenth of the image."""
        u = 2 * torch.rand(4, shape[0], generator=generator, device=device) - 1
        angle, scale, shift = u[0] * math.radians(12), 1 + 0.1 * u[1], 0.2 * u[2:]
        cos, sin = scale * angle.cos(), scale * angle.sin()
        rows = torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], dim=1)
        return {"warp": rows.reshape(-1, 2, 3)}

    def logits(self, x0: Tensor) -> Tensor:
        """(batch, classes)."""
        return self.out(self.features(x0))

    def features(self, x0: Tensor) -> Tensor:
        """(batch, features): what the classifier sees before it decides."""
        if checks.batch("x0", x0).shape[1:] != self.shape:
            raise ValueError(f"this Classifier takes images of shape (batch, *{self.shape}); got {tuple(x0.shape)}")
        return F.silu(self.hidden(self.body(x0)))
