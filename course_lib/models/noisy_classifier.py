"""A classifier of noisy images, whose gradient guides a diffusion model (Dhariwal and Nichol 2021, sec. 4; lesson 11)."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.models.denoisers import SCHEDULES, choose
from course_lib.nets import Attention, Downsample, ResidualBlock, TimeEmbedding
from course_lib.nets.blocks import check_channels, check_input

GROUPS = 8


class NoisyClassifier(nn.Module):
    """x_t (batch, channels, size, size) and t (batch,) to logits (batch, classes): the way down of a U-Net, then a mean.

    It trains on the same process as the denoiser that it guides. Raises ValueError for sizes that don't fit.
    """

    def __init__(
        self, channels: int, size: int, classes: int, width: int = 32, schedule: str = "cosine", T: int = 1000
    ):
        super().__init__()
        self.channels, self.size = checks.whole("channels", channels, 1), checks.whole("size", size, 2)
        checks.whole("classes", classes, 1)
        check_channels(GROUPS, width=width)
        self.schedule = choose(SCHEDULES, schedule, "schedule")(T)
        time = 4 * width
        self.time = TimeEmbedding(width, time)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.fine = ResidualBlock(width, width, time, GROUPS)
        self.down = Downsample(width)
        self.coarse = ResidualBlock(width, 2 * width, time, GROUPS)
        self.attention = Attention(2 * width, GROUPS)
        self.last = ResidualBlock(2 * width, 2 * width, time, GROUPS)
        self.out = nn.Sequential(nn.GroupNorm(GROUPS, 2 * width), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                 nn.Dropout(0.1), nn.Linear(2 * width, classes))  # fmt: skip

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """The times and the noise, as a denoiser's."""
        t = self.schedule.draw_times(shape[0], generator, device, None)
        return {"t": t, "eps": torch.randn(shape, generator=generator, device=device)}

    def forward(self, x0: Tensor, cond: Tensor, t: Tensor | None = None, eps: Tensor | None = None) -> Tensor:
        """The cross-entropy of the classes cond (batch,), given x_t."""
        return F.cross_entropy(self.logits(self.schedule.q_sample(x0, t, eps), t).float(), cond)

    def logits(self, x_t: Tensor, t: Tensor) -> Tensor:
        """(batch, classes)."""
        check_input(self, x_t, self.first.weight, (self.channels, self.size, self.size), t)
        time = self.time(t)
        h = self.coarse(self.down(self.fine(self.first(x_t), time)), time)
        return self.out(self.last(self.attention(h), time))

    def log_prob(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """log p(cond | x_t), (batch,)."""
        return self.logits(x_t, t).log_softmax(1).gather(1, cond[:, None])[:, 0]
