"""U-Nets that are told what to draw: a class, a picture, or words. Each is called as net(x_t, t, cond) (lessons 11 and 11b).

Without cond they draw anything; `null(cond)` is the condition that means just that, in the shape of cond, so that a batch can
hold both.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.nets.transformer import CrossAttention, PixelBlock, TextEncoder
from course_lib.nets.unet import UNet


class ClassUNet(UNet):
    """cond: (batch,) whole numbers in 0 … classes; the last one means any class. Its vector is added to that of the time."""

    axes = 1  # of cond

    def __init__(self, classes: int, **net: Any):
        super().__init__(**net)
        self.classes = checks.whole("classes", classes, 1)
        self.kind = nn.Embedding(classes + 1, self.time.layers[-1].out_features)

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        self.check(x_t, t)
        cond = self.null(t) if cond is None else cond
        return self.run(x_t, self.time(t) + self.kind(checks.indices("cond", cond, (len(x_t),), self.classes)))

    def null(self, cond: Tensor) -> Tensor:
        """Any class, for each of a batch."""
        return torch.full((len(cond),), self.classes, device=cond.device)


class PictureUNet(UNet):
    """cond: (batch, channels, height, width), a picture of the size of x_t or a multiple; 0 everywhere means none.

    Its pixels lie beside those of x_t, those of a larger picture in more channels.
    """

    axes = 4

    def __init__(self, picture: tuple[int, ...], **net: Any):
        self.picture, size = checks.shape("picture", picture), checks.whole("size", net["size"], 1)
        if len(self.picture) != 3 or self.picture[1] != self.picture[2] or self.picture[2] % size:
            raise ValueError(f"picture must be (channels, k {size}, k {size}) with a whole k; got {self.picture}")
        self.scale = self.picture[-1] // size
        super().__init__(**net, beside=self.picture[0] * self.scale**2)

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        self.check(x_t, t)
        cond = x_t.new_zeros(len(x_t), *self.picture) if cond is None else cond
        if checks.floats("cond", cond).shape != (len(x_t), *self.picture):
            raise ValueError(
                f"cond must be a picture for each image, {(len(x_t), *self.picture)}; got {checks.shown(cond)}"
            )
        return self.run(torch.cat([x_t, F.pixel_unshuffle(cond, self.scale).to(x_t)], dim=1), self.time(t))

    def null(self, cond: Tensor) -> Tensor:
        """No picture, for each of a batch."""
        return torch.zeros_like(cond)


class TextUNet(UNet):
    """cond: (batch, length) tokens; padding alone means any caption.

    A text encoder makes a vector of each word, at which the pixels look wherever the network has attention; the vector before
    the words, which has seen them all, is also added to that of the time.
    """

    axes = 2

    def __init__(
        self, words: int, length: int, text: int = 128, text_blocks: int = 2, heads: int = 4, position: float = 0.02,
        **net: Any,
    ):  # fmt: skip
        super().__init__(**net, context=text)
        self.text = TextEncoder(words, length, text, text_blocks, heads, position)
        self.summary = nn.Linear(text, self.time.layers[-1].out_features)

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        self.check(x_t, t)
        cond = torch.zeros(len(x_t), self.text.length, dtype=torch.int64, device=x_t.device) if cond is None else cond
        words, mask = self.text(checks.condition(cond, len(x_t)))
        return self.run(x_t, self.time(t) + self.summary(words[:, 0]), words, mask)

    def null(self, cond: Tensor) -> Tensor:
        """Any caption, for each of a batch."""
        return torch.zeros_like(cond)

    def looks(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """How much each place looks at the start and at each word, (batch, 1 + length, size, size), summing to 1 over these.

        The mean over all heads and all layers; what a coarse layer sees counts for each of the places below it.
        """
        found = []

        def look(layer: CrossAttention, given: tuple[Tensor, ...], _: Tensor) -> None:
            weights = layer.weights(*given).mean(1).transpose(1, 2)
            side = round(weights.shape[2] ** 0.5)
            found.append(F.interpolate(weights.unflatten(2, (side, side)), self.size, mode="nearest"))

        handles = [block.cross.register_forward_hook(look) for block in self.modules() if isinstance(block, PixelBlock)]
        try:
            self(x_t, t, cond)
        finally:
            for handle in handles:
                handle.remove()
        return torch.stack(found).mean(0)


CONDITIONS = {"class": ClassUNet, "picture": PictureUNet, "text": TextUNet}
