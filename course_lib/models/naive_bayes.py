"""Naive Bayes: the simplest generative classifier, each pixel drawn on its own once the class is known (lesson 01)."""

import math

import torch
from torch import Generator, Tensor, nn

from course_lib import checks
from course_lib.data import check_images, from_indices, to_indices
from course_lib.models.protocol import check_asked_levels


class NaiveBayes(nn.Module):
    """P(y) prod_i P(x_i | y), where every pixel has a table of its own over the grey levels; fitted by counting.

    shape: of an image, (channels, height, width). levels: how many grey values a pixel takes. smoothing: what is added to
    each count, so that no grey value is impossible (Laplace).
    """

    def __init__(self, shape: tuple[int, ...], levels: int, classes: int = 10, smoothing: float = 0.1):
        super().__init__()
        self.shape, self.levels = checks.shape("shape", shape), checks.whole("levels", levels, 2)
        checks.whole("classes", classes, 1)
        self.smoothing = checks.number("smoothing", smoothing, 0, beyond=True)
        pixels = math.prod(self.shape)
        self.register_buffer("log_class", torch.full((classes,), -math.log(classes)))
        self.register_buffer("log_level", torch.full((classes, pixels, levels), -math.log(levels)))

    def fit(self, x0: Tensor, cond: Tensor, generator: Generator) -> None:
        """Count: how often each class, and in each class how often each grey value at each pixel."""
        level, classes = self._level(x0), len(self.log_class)
        of_class = nn.functional.one_hot(cond, classes).to(x0.dtype)
        counts = torch.einsum("nc,npl->cpl", of_class, nn.functional.one_hot(level, self.levels).to(x0.dtype))
        self.log_class.copy_(of_class.mean(0).log())
        self.log_level.copy_(((counts + self.smoothing) / (counts + self.smoothing).sum(-1, keepdim=True)).log())

    def log_joint(self, x0: Tensor) -> Tensor:
        """log P(x_0, y) for every class y, (batch, classes)."""
        level = self._level(x0)
        picked = self.log_level[:, torch.arange(level.shape[1]), level]  # (classes, batch, pixels)
        return self.log_class + picked.sum(-1).T

    def forward(self, x0: Tensor, cond: Tensor | None = None) -> Tensor:
        """-log P(x_0, y) per image, or -log P(x_0) where no class is given."""
        joint = self.log_joint(x0)
        return -(joint.logsumexp(1) if cond is None else joint.gather(1, cond[:, None])).mean()

    def classify(self, x0: Tensor) -> Tensor:
        """P(y | x_0) by Bayes' rule, (batch, classes)."""
        return self.log_joint(x0).softmax(1)

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None) -> Tensor:
        """n images in [-1, 1] of the classes `cond`, or of classes that are drawn first."""
        if cond is None:
            cond = torch.multinomial(self.log_class.exp(), n, replacement=True, generator=generator)
        level = torch.multinomial(self.log_level[cond].exp().flatten(0, 1), 1, generator=generator)
        return from_indices(level.reshape(n, *self.shape), self.levels)

    def bits_per_dim(self, x0: Tensor, levels: int, generator: Generator) -> Tensor:
        """-log2 P(x_0) per pixel, exact, (batch,)."""
        check_asked_levels(levels, self.levels)
        return -self.log_joint(x0).logsumexp(1) / (math.prod(self.shape) * math.log(2))

    def _level(self, x0: Tensor) -> Tensor:
        """Grey values 0 … levels - 1, (batch, pixels)."""
        return to_indices(check_images(x0, shape=self.shape), self.levels).flatten(1)
