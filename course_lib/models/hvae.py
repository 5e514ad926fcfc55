"""A hierarchical (Markov) variational autoencoder: a chain of latents, each inferred from the one below (lesson 03b)."""

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.data import check_images, to_indices
from course_lib.models.vae import kl_from_standard, perceptron


class MarkovVAE(nn.Module):
    """z_T -> … -> z_1 -> x_0, and back: q(z_1 | x_0), q(z_2 | z_1), …; every arrow is a Gaussian by a network of its own.

    The bound: E[log P(x_0 | z_1)] - sum_t E[KL(q(z_t | z_{t-1}) || p(z_t | z_{t+1}))], with p(z_T) = N(0, I) and the KLs as
    single draws (Velasco-Forero, eq. 6 to 11). sizes: of z_1 … z_T. shape, levels: of an image and its grey values.
    """

    def __init__(self, shape: tuple[int, ...], levels: int, sizes: tuple[int, ...] = (16, 4), width: int = 256):
        super().__init__()
        self.shape, self.levels = checks.shape("shape", shape), checks.whole("levels", levels, 2)
        self.sizes, pixels = checks.shape("sizes", sizes), math.prod(self.shape)
        below = (pixels, *self.sizes)
        self.up = nn.ModuleList(perceptron(a, width, width, 2 * b) for a, b in zip(below, self.sizes, strict=False))
        self.down = nn.ModuleList(
            perceptron(b, width, width, 2 * a) for a, b in zip(self.sizes, self.sizes[1:], strict=False)
        )
        self.decoder = perceptron(self.sizes[0], width, width, pixels * levels)

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """The noise of all latents, (batch, their numbers together)."""
        return {"eps": torch.randn(shape[0], sum(self.sizes), generator=generator, device=device)}

    def forward(self, x0: Tensor, cond: Tensor | None = None, eps: Tensor | None = None) -> dict[str, Tensor]:
        """-ELBO in parts: the reconstruction, and for each level its log q - log p, a KL on average."""
        parts = self.parts(x0, eps)
        return {name: value.mean() for name, value in parts.items()}

    def parts(self, x0: Tensor, eps: Tensor) -> dict[str, Tensor]:
        """The summands of -ELBO for each image, (batch,), by name: reconstruction, kl 1 … kl T."""
        below, z, log_q = check_images(x0, shape=self.shape).flatten(1), [], []
        for net, noise in zip(self.up, eps.split(self.sizes, dim=1), strict=True):
            mu, logvar = _gaussian(net, below)
            below = mu + (0.5 * logvar).exp() * noise
            z.append(below)
            log_q.append(_log_normal(below, mu, logvar))
        index = to_indices(x0, self.levels).flatten(1)
        found = {"reconstruction": F.cross_entropy(self.scores(z[0]), index, reduction="none").sum(1)}
        for t, (z_t, q) in enumerate(zip(z, log_q, strict=True), start=1):
            if t < len(z):
                p = _log_normal(z_t, *_gaussian(self.down[t - 1], z[t]))
            else:
                p = _log_normal(z_t, torch.zeros_like(z_t), torch.zeros_like(z_t))
            found[f"kl {t}"] = q - p
        return found

    def scores(self, z_1: Tensor) -> Tensor:
        """(batch, levels, pixels)."""
        return self.decoder(z_1).unflatten(1, (self.levels, -1))

    def decode(self, z: Tensor, drawn: Generator | None = None) -> Tensor:
        """From z_T down to images: the mean of each arrow, or a draw of it where a generator is given."""
        for net in reversed(self.down):
            mu, logvar = _gaussian(net, z)
            eps = 0 if drawn is None else torch.randn(mu.shape, generator=drawn, device=mu.device)
            z = mu + (0.5 * logvar).exp() * eps
        values = torch.linspace(-1, 1, self.levels, device=z.device, dtype=z.dtype)
        return (self.scores(z).softmax(1) * values[:, None]).sum(1).reshape(-1, *self.shape)

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None) -> Tensor:
        """n images in [-1, 1]: every latent drawn from the top down, then the mean of each pixel."""
        z = torch.randn(n, self.sizes[-1], generator=generator, device=generator.device)
        return self.decode(z, generator).clamp(-1, 1)

    def bits_per_dim(self, x0: Tensor, levels: int, generator: Generator) -> Tensor:
        """A bound on -log2 P(x_0) per pixel, (batch,), by one draw of the latents."""
        eps = self.draw(x0.shape, generator, x0.device)["eps"]
        return sum(self.parts(x0, eps).values()) / (math.prod(self.shape) * math.log(2))


def _gaussian(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    mu, logvar = net(x).chunk(2, dim=1)
    return mu, logvar.clamp(-12, 12)


def _log_normal(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(x; mu, diag(exp(logvar))), (batch,)."""
    return -0.5 * ((x - mu).square() / logvar.exp() + logvar + math.log(2 * math.pi)).sum(1)
