"""Variational autoencoders, plain and conditional (Kingma and Welling 2014; Sohn et al. 2015; lesson 03)."""

import math
from collections.abc import Iterable

import torch
from torch import Generator, Tensor, nn

from course_lib import checks
from course_lib.data import check_images
from course_lib.diffusion.variational import check_levels
from course_lib.models.decoders import DECODERS, binarized
from course_lib.models.protocol import check_asked_levels, one_hot
from course_lib.nets import perceptron


def kl_from_standard(mu: Tensor, logvar: Tensor) -> Tensor:
    """D_KL(N(mu, exp(logvar)) || N(0, 1)) of each number, the same shape (lesson 02)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def mean_and_logvar(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The Gaussian that a network answers with: mu and logvar, each half of its numbers, the latter kept in -12 … 12."""
    mu, logvar = net(x).chunk(2, dim=1)
    return mu, logvar.clamp(-12, 12)


def log_mean(log_ratios: Iterable[Tensor]) -> Tensor:
    """log of the mean of the ratios, each (batch,): the importance-weighted bound (Burda et al. 2016; lesson 02)."""
    total, n = torch.tensor(-math.inf), 0
    for log_ratio in log_ratios:
        total, n = log_ratio.logaddexp(total.to(log_ratio)), n + 1
    return total - math.log(n)


class VAE(nn.Module):
    """z ~ N(0, I), then each pixel on its own, given z; q(z | x_0) = N(mu, diag(exp(logvar))) by a network.

    The loss is -ELBO per image in nats, in its two parts. shape, levels: of an image and its grey values. k: numbers in z.
    decoder: how a pixel is distributed, "gaussian" (a Gaussian of one learned width, summed over each grey level's bin),
    "categorical" (a probability for each level), or "bernoulli": black or white, which in training and in judging are
    drawn anew each time with the grey value as the chance. beta: how much the KL counts (Higgins et al. 2017). free_bits:
    nats that each coordinate of z may cost for nothing (Kingma et al. 2016). classes: how many, where the model is told
    the class of each image; 0 for none.
    """

    def __init__(
        self, shape: tuple[int, ...], levels: int, k: int = 2, width: int = 256, decoder: str = "gaussian",
        beta: float = 1.0, free_bits: float = 0.0, classes: int = 0,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.levels = checks.shape("shape", shape), checks.whole("levels", levels, 2)
        self.k, self.classes = checks.whole("k", k, 1), checks.whole("classes", classes, 0)
        self.beta, self.free_bits = checks.number("beta", beta, 0), checks.number("free_bits", free_bits, 0)
        checks.whole("width", width, 1)
        pixels = math.prod(self.shape)
        self.pixel = DECODERS[checks.one_of("decoder", decoder, DECODERS)](levels)
        self.encoder = perceptron(pixels + classes, width, width, 2 * k)
        self.decoder = perceptron(k + classes, width, width, pixels * self.pixel.numbers)

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """The noise of z, (batch, k), and of what makes black and white of grey."""
        u = {"u": torch.rand(shape, generator=generator, device=device)} if self._binary else {}
        return u | {"eps": torch.randn(shape[0], self.k, generator=generator, device=device)}

    def forward(
        self, x0: Tensor, cond: Tensor | None = None, eps: Tensor | None = None, u: Tensor | None = None
    ) -> dict[str, Tensor]:
        """-ELBO in two parts: the reconstruction, and beta times the KL, of which free bits are free."""
        x0 = binarized(x0, u) if self._binary else x0
        mu, logvar = self.encode(x0, cond)
        z = mu + (0.5 * logvar).exp() * eps
        kl = kl_from_standard(mu, logvar).mean(0)  # of each coordinate
        return {
            "reconstruction": -self.log_likelihood(x0, z, cond).mean(),
            "kl": self.beta * kl.clamp(min=self.free_bits).sum(),
        }

    def encode(self, x0: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """mu and logvar of q(z | x_0), each (batch, k)."""
        flat = check_images(x0, shape=self.shape).flatten(1)
        return mean_and_logvar(self.encoder, self._with_class(flat, cond))

    def decode(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        """The mean of p(x_0 | z), as images in [-1, 1]; z: (batch, k)."""
        return self.pixel.mean(self.decoder(self._with_class(z, cond))).reshape(-1, *self.shape)

    def log_likelihood(self, x0: Tensor, z: Tensor, cond: Tensor | None = None) -> Tensor:
        """log P(x_0 | z), (batch,)."""
        return self.pixel.log_prob(self.decoder(self._with_class(z, cond)), x0.flatten(1))

    def log_prob(self, x0: Tensor, generator: Generator, draws: int, cond: Tensor | None = None) -> Tensor:
        """The importance-weighted bound on log P(x_0), (batch,): the log of the mean ratio of so many draws (lesson 02).

        On average over the draws, the bound of a single one is the ELBO. Raises ValueError for images that are not on the
        model's grey levels.
        """
        mu, logvar = self.encode(check_levels(x0, self.levels), cond)
        eps = (
            torch.randn(mu.shape, generator=generator, device=x0.device) for _ in range(checks.whole("draws", draws, 1))
        )
        return log_mean(self.log_ratio(x0, mu, logvar, one, cond) for one in eps)

    def log_ratio(self, x0: Tensor, mu: Tensor, logvar: Tensor, eps: Tensor, cond: Tensor | None = None) -> Tensor:
        """log p(x_0, z) - log q(z | x_0) at z = mu + sigma eps, (batch,); mu, logvar: what `encode` gave."""
        z = mu + (0.5 * logvar).exp() * eps
        return self.log_likelihood(x0, z, cond) + 0.5 * (eps.square() + logvar - z.square()).sum(1)

    def bits_per_dim(self, x0: Tensor, levels: int, generator: Generator) -> Tensor:
        """A bound on -log2 P(x_0) per pixel, (batch,), by 64 draws; each class equally likely where the model is told it."""
        check_asked_levels(levels, self.levels)
        if self._binary:
            x0 = binarized(x0, torch.rand(x0.shape, generator=generator, device=x0.device))
        told = [torch.full((len(x0),), y, device=x0.device) for y in range(self.classes)] or [None]
        log_p = torch.stack([self.log_prob(x0, generator, 64, cond) for cond in told]).logsumexp(0)
        return (math.log(len(told)) - log_p) / (x0[0].numel() * math.log(2))

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None, *, drawn: bool = False) -> Tensor:
        """n images in [-1, 1]: z from the prior, then the mean of each pixel, or (drawn) a draw of it."""
        if self.classes and cond is None:
            cond = torch.randint(self.classes, (n,), generator=generator, device=generator.device)
        z = torch.randn(n, self.k, generator=generator, device=generator.device)
        if not drawn:
            return self.decode(z, cond)
        return self.pixel.draw(self.decoder(self._with_class(z, cond)), generator).reshape(-1, *self.shape)

    @property
    def _binary(self) -> bool:
        return self.levels == 2

    def _with_class(self, flat: Tensor, cond: Tensor | None) -> Tensor:
        """The class beside it, as a vector of zeros and a one, where the model is told it."""
        return torch.cat([flat, one_hot(cond, self.classes, flat)], dim=1) if self.classes else flat
