"""An autoencoder from pictures to smaller ones, by squared, perceptual and adversarial loss, and a little KL (lesson 10)."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.data import check_images
from course_lib.models.gan import critic_loss, generator_loss
from course_lib.models.vae import kl_from_standard, mean_and_logvar
from course_lib.nets import Downsample, ResidualBlock, Upsample

GROUPS = 8


class Coder(nn.Module):
    """Pictures (batch, channels, size, size) to z (batch, latent, size / 4, size / 4), and back.

    The first halving puts 2 x 2 pixels side by side in the channels, and the last doubling takes them apart again: there is
    no convolution at full size, which would cost more than all others.
    """

    def __init__(self, channels: int, latent: int, width: int):
        super().__init__()

        def block(c: int) -> ResidualBlock:
            return ResidualBlock(c, c, 0, GROUPS)

        def end(c_in: int, c_out: int) -> nn.Sequential:
            return nn.Sequential(nn.GroupNorm(GROUPS, c_in), nn.SiLU(), nn.Conv2d(c_in, c_out, 3, padding=1))

        wide, pixels = 2 * width, 4 * channels
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(pixels, width, 3, padding=1), block(width), Downsample(width),
            nn.Conv2d(width, wide, 1), block(wide), block(wide), end(wide, 2 * latent),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Conv2d(latent, wide, 3, padding=1), block(wide), block(wide), nn.Conv2d(wide, width, 1), Upsample(width),
            block(width), block(width), end(width, pixels), nn.PixelShuffle(2),
        )  # fmt: skip


class ImageAutoencoder(nn.Module):
    """Pictures to z = mu + sigma eps, an image of its own of a quarter of the size, and back (Rombach et al. 2022, sec. 3.1).

    The loss has four parts: the mean squared error of a number; `perceptual` times the distance of what the `eye` sees, a
    frozen network with `maps`; `adversarial` times how little a critic of patches takes the result for real; and `kl` times
    the KL of q(z|x) from N(0, I), per number of the picture. With a weight of 0 a part is left out.
    """

    def __init__(
        self,
        eye: nn.Module,
        shape: tuple[int, ...],
        latent: int = 4,
        width: int = 48,
        perceptual: float = 0.1,
        adversarial: float = 0.003,
        kl: float = 4.6875e-7,
    ):
        super().__init__()
        self.shape = checks.shape("shape", shape)
        channels, size = self.shape[0], self.shape[-1]
        if size % 4:
            raise ValueError(f"the size of the pictures must be a multiple of 4; got {size}")
        self.latent = (checks.whole("latent", latent, 1), size // 4, size // 4)
        self.perceptual, self.adversarial, self.kl = (
            checks.number(name, value, 0)
            for name, value in (("perceptual", perceptual), ("adversarial", adversarial), ("kl", kl))
        )
        self.eye = eye
        self.coder = Coder(channels, latent, checks.whole("width", width, GROUPS))
        self.turns = ("critic", "coder") if adversarial else ("coder",)
        if adversarial:
            self.critic = nn.Sequential(
                nn.Conv2d(channels, 32, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
                nn.Conv2d(32, 64, 4, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(64, 1, 1),
            )  # fmt: skip

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """The noise of z."""
        return {"eps": torch.randn((shape[0], *self.latent), generator=generator, device=device)}

    def forward(
        self, x0: Tensor, cond: Tensor | None = None, eps: Tensor | None = None, turn: str = "coder"
    ) -> dict[str, Tensor]:
        """The parts of the loss of the player whose turn it is. Raises ValueError for another turn."""
        checks.one_of("turn", turn, self.turns)
        if turn == "critic":
            with torch.no_grad():
                made = self.decode(self._z(x0, eps)[0])
            return critic_loss(self.critic(x0), self.critic(made), "non-saturating")
        z, mu, logvar = self._z(x0, eps)
        made = self.decode(z)
        parts = {"squares": F.mse_loss(made, x0), "kl": self.kl * kl_from_standard(mu, logvar).sum() / x0.numel()}
        if self.perceptual:
            parts["perceptual"] = self.perceptual * perceptual_distance(self.eye, made, x0).mean()
        if self.adversarial:
            parts["real"] = self.adversarial * generator_loss(self.critic(made), "non-saturating")
        return parts

    def encode(self, x0: Tensor) -> Tensor:
        """The mean of q(z|x), (batch, *latent)."""
        return self._q(x0)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Pictures of z, (batch, *shape), which may reach a little beyond [-1, 1]."""
        return self.coder.decoder(z)

    def _q(self, x0: Tensor) -> tuple[Tensor, Tensor]:
        return mean_and_logvar(self.coder.encoder, check_images(x0, shape=self.shape))

    def _z(self, x0: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self._q(x0)
        return mu + (0.5 * logvar).exp() * eps, mu, logvar


def perceptual_distance(eye: nn.Module, a: Tensor, b: Tensor) -> Tensor:
    """How differently a network sees two pictures, (batch,): the squared distance of its unit feature vectors at each place,
    averaged over the places and summed over the layers (Zhang et al. 2018, eq. 1, without its learned weights).
    Raises ValueError for an eye without `maps`, and for pictures of different shapes.
    """
    if not hasattr(eye, "maps"):
        raise ValueError(f"eye must be a network with `maps`, such as a Reader; got {checks.shown(eye)}")
    if checks.batch("a", a, 4).shape != checks.batch("b", b, 4).shape:
        raise ValueError(f"both must have one shape; got {tuple(a.shape)} and {tuple(b.shape)}")
    distances = []
    for one, other in zip(eye.maps(a), eye.maps(b), strict=True):
        one, other = (F.normalize(maps, dim=1, eps=1e-4) for maps in (one, other))
        distances.append((one - other).square().sum(1).mean((1, 2)))
    return torch.stack(distances).sum(0)
