"""A hierarchical (Markov) variational autoencoder: a chain of latents, each inferred from the one below (lesson 03b)."""

import math

import torch
from torch import Generator, Tensor, nn

from course_lib import checks
from course_lib.data import check_images
from course_lib.diffusion.variational import check_levels
from course_lib.models.decoders import DECODERS
from course_lib.models.protocol import check_asked_levels
from course_lib.models.vae import log_mean, mean_and_logvar
from course_lib.nets import perceptron


class MarkovVAE(nn.Module):
    """z_T -> … -> z_1 -> x_0, and back: q(z_1 | x_0), q(z_2 | z_1), …; every arrow is a Gaussian by a network of its own.

    The loss is -ELBO = E[-log P(x_0 | z_1)] + sum_t E[log q(z_t | z_{t-1}) - log p(z_t | z_{t+1})], with z_0 = x_0 and
    p(z_T) = N(0, I) (Velasco-Forero, eq. 6 to 11). shape, levels: of an image and its grey values. sizes: of z_1 … z_T.
    decoder: "gaussian" or "categorical", as in `VAE`.
    """

    def __init__(
        self, shape: tuple[int, ...], levels: int, sizes: tuple[int, ...] = (16, 4), width: int = 256,
        decoder: str = "gaussian",
    ):  # fmt: skip
        super().__init__()
        self.shape, self.levels = checks.shape("shape", shape), checks.whole("levels", levels, 2)
        self.sizes, pixels = checks.shape("sizes", sizes), math.prod(self.shape)
        checks.whole("width", width, 1)
        self.pixel = DECODERS[checks.one_of("decoder", decoder, ("gaussian", "categorical"))](levels)
        below = (pixels, *self.sizes)
        self.up = nn.ModuleList(perceptron(a, width, width, 2 * b) for a, b in zip(below, self.sizes, strict=False))
        self.down = nn.ModuleList(
            perceptron(b, width, width, 2 * a) for a, b in zip(self.sizes, self.sizes[1:], strict=False)
        )
        self.decoder = perceptron(self.sizes[0], width, width, pixels * self.pixel.numbers)

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """The noise of all latents, (batch, their numbers together)."""
        return {"eps": torch.randn(shape[0], sum(self.sizes), generator=generator, device=device)}

    def forward(self, x0: Tensor, cond: Tensor | None = None, eps: Tensor | None = None) -> dict[str, Tensor]:
        """-ELBO in parts: the reconstruction, and for each level its log q - log p, a KL on average."""
        return {name: value.mean() for name, value in self.parts(x0, eps).items()}

    def parts(self, x0: Tensor, eps: Tensor) -> dict[str, Tensor]:
        """The summands of -ELBO for each image, (batch,), by name: reconstruction, kl 1 … kl T."""
        below = flat = check_images(x0, shape=self.shape).flatten(1)
        z, log_q = [], []
        for net, noise in zip(self.up, eps.split(self.sizes, dim=1), strict=True):
            mu, logvar = mean_and_logvar(net, below)
            below = mu + (0.5 * logvar).exp() * noise
            z.append(below)
            log_q.append(_log_normal(below, mu, logvar))
        found = {"reconstruction": -self.pixel.log_prob(self.decoder(z[0]), flat)}
        for t, (z_t, q) in enumerate(zip(z, log_q, strict=True), start=1):
            mu, logvar = mean_and_logvar(self.down[t - 1], z[t]) if t < len(z) else (torch.zeros_like(z_t),) * 2
            found[f"kl {t}"] = q - _log_normal(z_t, mu, logvar)
        return found

    def log_prob(self, x0: Tensor, generator: Generator, draws: int) -> Tensor:
        """The importance-weighted bound on log P(x_0), (batch,), by so many draws of all latents."""
        checks.whole("draws", draws, 1)
        check_levels(x0, self.levels)
        drawn = (self.parts(x0, self.draw(x0.shape, generator, x0.device)["eps"]) for _ in range(draws))
        return log_mean(-sum(parts.values()) for parts in drawn)

    def bits_per_dim(self, x0: Tensor, levels: int, generator: Generator) -> Tensor:
        """A bound on -log2 P(x_0) per pixel, (batch,), by 64 draws."""
        check_asked_levels(levels, self.levels)
        return -self.log_prob(x0, generator, 64) / (x0[0].numel() * math.log(2))

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None) -> Tensor:
        """n images in [-1, 1]: every latent drawn from the top down, then the mean of each pixel."""
        z = torch.randn(n, self.sizes[-1], generator=generator, device=generator.device)
        for net in reversed(self.down):
            mu, logvar = mean_and_logvar(net, z)
            z = mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=generator, device=mu.device)
        return self.pixel.mean(self.decoder(z)).reshape(-1, *self.shape)


def _log_normal(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(x; mu, diag(exp(logvar))), (batch,)."""
    return -0.5 * ((x - mu).square() / logvar.exp() + logvar + math.log(2 * math.pi)).sum(1)
