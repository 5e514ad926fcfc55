"""Variational autoencoders, plain and conditional (Kingma and Welling 2014; lesson 03)."""

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.data import check_images, from_indices, to_indices
from course_lib.diffusion import discretized

DECODERS = ("categorical", "gaussian")


def perceptron(*sizes: int) -> nn.Sequential:
    """Linear layers of these sizes with SiLU between them."""
    layers = [layer for a, b in zip(sizes, sizes[1:], strict=False) for layer in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*layers[:-1])


def kl_from_standard(mu: Tensor, logvar: Tensor) -> Tensor:
    """D_KL(N(mu, exp(logvar)) || N(0, 1)) of each number, the same shape (lesson 02)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


class VAE(nn.Module):
    """z ~ N(0, I), then each pixel on its own, given z; q(z | x_0) = N(mu, diag(exp(logvar))) by a network.

    The loss is -ELBO per image in nats, in its two parts. decoder: how a pixel is distributed over its grey levels:
    "categorical" (a probability for each; with two levels, Bernoulli) or "gaussian" (a Gaussian of one learned width, summed
    over each level's bin). beta: how much the KL counts. free_bits: nats that each coordinate of z may cost for nothing
    (Kingma et al. 2016). classes: how many, for a model that is told the class; 0 for none.
    """

    def __init__(
        self, shape: tuple[int, ...], levels: int, k: int = 2, width: int = 256, decoder: str = "categorical",
        beta: float = 1.0, free_bits: float = 0.0, classes: int = 0,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.levels = checks.shape("shape", shape), checks.whole("levels", levels, 2)
        self.k, self.classes = checks.whole("k", k, 1), checks.whole("classes", classes, 0)
        self.beta, self.free_bits = checks.number("beta", beta, 0), checks.number("free_bits", free_bits, 0)
        self.kind, pixels = checks.one_of("decoder", decoder, DECODERS), math.prod(self.shape)
        out = pixels * levels if decoder == "categorical" else pixels
        self.encoder = perceptron(pixels + classes, width, width, 2 * k)
        self.decoder = perceptron(k + classes, width, width, out)
        self.log_sigma = nn.Parameter(torch.tensor(-1.0)) if decoder == "gaussian" else None

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """The noise of z, (batch, k)."""
        return {"eps": torch.randn(shape[0], self.k, generator=generator, device=device)}

    def encode(self, x0: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """mu and logvar of q(z | x_0), each (batch, k)."""
        flat = check_images(x0, shape=self.shape).flatten(1)
        mu, logvar = self.encoder(torch.cat([flat, *self._told(cond, len(x0))], dim=1)).chunk(2, dim=1)
        return mu, logvar.clamp(-12, 12)

    def answer(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        """What the decoder says of each pixel: scores (batch, levels, pixels), or means (batch, pixels)."""
        out = self.decoder(torch.cat([z, *self._told(cond, len(z))], dim=1))
        return out.unflatten(1, (self.levels, -1)) if self.kind == "categorical" else out

    def decode(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        """The mean of p(x_0 | z), as images in [-1, 1]."""
        out = self.answer(z, cond)
        if self.kind == "categorical":
            values = torch.linspace(-1, 1, self.levels, device=z.device, dtype=out.dtype)
            out = (out.softmax(1) * values[:, None]).sum(1)
        return out.clamp(-1, 1).reshape(-1, *self.shape)

    def log_likelihood(self, x0: Tensor, z: Tensor, cond: Tensor | None = None) -> Tensor:
        """log P(x_0 | z), (batch,)."""
        out, flat = self.answer(z, cond), x0.flatten(1)
        if self.kind == "categorical":
            index = to_indices(x0, self.levels).flatten(1)
            return -F.cross_entropy(out, index, reduction="none").sum(1)
        return discretized(flat, out, self.log_sigma.exp(), self.levels).sum(1).to(x0.dtype)

    def forward(self, x0: Tensor, cond: Tensor | None = None, eps: Tensor | None = None) -> dict[str, Tensor]:
        """-ELBO in two parts: the reconstruction, and beta times the KL, of which free bits are free."""
        mu, logvar = self.encode(x0, cond)
        z = mu + (0.5 * logvar).exp() * eps
        kl = kl_from_standard(mu, logvar).mean(0)  # of each coordinate
        return {
            "reconstruction": -self.log_likelihood(x0, z, cond).mean(),
            "kl": self.beta * kl.clamp(min=self.free_bits).sum(),
        }

    def elbo(self, x0: Tensor, generator: Generator | None, cond: Tensor | None = None, draws: int = 1) -> Tensor:
        """The importance-weighted bound on log P(x_0) with so many draws, (batch,); one draw is the ELBO (lesson 02)."""
        mu, logvar = self.encode(x0, cond)
        found = []
        for _ in range(checks.whole("draws", draws, 1)):
            eps = torch.randn(mu.shape, generator=generator, device=mu.device)
            z = mu + (0.5 * logvar).exp() * eps
            log_ratio = 0.5 * (eps.square() + logvar - z.square()).sum(1)  # log p(z) - log q(z | x_0)
            found.append(self.log_likelihood(x0, z, cond) + log_ratio)
        return torch.stack(found).logsumexp(0) - math.log(draws)

    def bits_per_dim(self, x0: Tensor, levels: int, generator: Generator) -> Tensor:
        """A bound on -log2 P(x_0) per pixel, (batch,), by 16 draws; over all classes where the model is told one."""
        of_class = [None] if not self.classes else list(torch.eye(self.classes, dtype=torch.long).argmax(1))
        bounds = [self.elbo(x0, generator, None if y is None else y.expand(len(x0)).to(x0.device), 16) for y in of_class]
        log_p = torch.stack(bounds).logsumexp(0) - math.log(len(bounds))
        return -log_p / (math.prod(self.shape) * math.log(2))

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None, *, drawn: bool = False) -> Tensor:
        """n images in [-1, 1]: z from the prior, then the mean of each pixel, or (drawn) a draw of it."""
        device = generator.device
        if self.classes and cond is None:
            cond = torch.randint(self.classes, (n,), generator=generator, device=device)
        z = torch.randn(n, self.k, generator=generator, device=device)
        if not drawn:
            return self.decode(z, cond)
        out = self.answer(z, cond)
        if self.kind == "categorical":
            index = torch.multinomial(out.softmax(1).movedim(1, 2).flatten(0, 1), 1, generator=generator)
            return from_indices(index.reshape(n, *self.shape), self.levels)
        noisy = out + self.log_sigma.exp() * torch.randn(out.shape, generator=generator, device=device)
        return from_indices(to_indices(noisy.clamp(-1, 1).reshape(n, *self.shape), self.levels), self.levels)

    def _told(self, cond: Tensor | None, n: int) -> list[Tensor]:
        """The class as a vector of zeros and a one, where the model is told it."""
        if not self.classes:
            return []
        if cond is None:
            raise ValueError(f"this model is told the class of each image: give cond, {n} whole numbers")
        return [F.one_hot(cond, self.classes).to(self.decoder[0].weight.dtype)]
