"""A network that reads scenes of shapes: it judges what text-to-image models draw (lesson 11b), and lends its eyes to an
autoencoder's perceptual loss (lesson 10).
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.data import check_images

MISSING = -1  # the attribute of an object that is not there


class Reader(nn.Module):
    """Pictures (batch, *shape) in [-1, 1] to the attributes of what they show, each of so many values.

    It trains on pictures that are a little noisy and blurred, so that it reads what a model drew and not only clean ones.
    """

    def __init__(self, shape: tuple[int, ...], attributes: tuple[int, ...], width: int = 32, features: int = 128):
        super().__init__()
        self.shape = checks.shape("shape", shape)
        self.attributes = checks.shape("attributes", attributes)
        checks.whole("width", width, 1)
        checks.whole("features", features, 1)
        channels, size = self.shape[0], self.shape[-1]
        widths = [channels, width, 2 * width, 4 * width]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4, stride=2, padding=1), nn.SiLU(), nn.Conv2d(b, b, 3, padding=1), nn.SiLU())
            for a, b in zip(widths, widths[1:], strict=False)
        )
        self.dropout = nn.Dropout(0.2)
        self.hidden = nn.Linear(widths[-1] * (size // 8) ** 2, features)
        self.out = nn.Linear(features, sum(self.attributes))

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """Noise of a random strength up to 0.1 for each picture, and how much each is blurred, 0 … 1."""
        strength, blur = torch.rand(2, shape[0], 1, 1, 1, generator=generator, device=device)
        return {"eps": 0.1 * strength * torch.randn(shape, generator=generator, device=device), "blur": blur}

    def forward(self, x0: Tensor, cond: Tensor, eps: Tensor | None = None, blur: Tensor | None = None) -> Tensor:
        """The mean cross-entropy of an attribute, over those that are there. cond: (batch, attributes), -1 for none."""
        x0 = check_images(x0, shape=self.shape)
        if eps is not None:
            smooth = F.avg_pool2d(F.pad(x0, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
            x0 = x0 + blur * (smooth - x0) + eps
        logits = self.logits(x0)
        losses = [F.cross_entropy(own, a, ignore_index=MISSING) for own, a in zip(logits, cond.T, strict=True)]
        return torch.stack(losses).mean()

    def logits(self, x0: Tensor) -> tuple[Tensor, ...]:
        """For each attribute, (batch, its values)."""
        return self.out(self.features(x0)).split(self.attributes, dim=1)

    def read(self, x0: Tensor) -> Tensor:
        """The attributes, (batch, attributes): what is likeliest of each; the last one says whether the others are there."""
        return torch.stack([own.argmax(1) for own in self.logits(x0)], dim=1)

    def features(self, x0: Tensor) -> Tensor:
        """(batch, features): what the reader sees before it decides."""
        return F.silu(self.hidden(self.dropout(self.maps(x0)[-1].flatten(1))))

    def maps(self, x0: Tensor) -> list[Tensor]:
        """What each layer sees, fine to coarse: (batch, width, size / 2, size / 2), then twice as wide and half the size."""
        if checks.batch("x0", x0).shape[1:] != self.shape:
            raise ValueError(f"this Reader takes images of shape (batch, *{self.shape}); got {tuple(x0.shape)}")
        found = []
        for layer in self.layers:
            x0 = layer(x0)
            found.append(x0)
        return found
