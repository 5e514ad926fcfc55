"""An autoencoder, and a Gaussian fitted to its codes, which makes a generative model of it (lesson 01)."""

import math

import torch
from torch import Generator, Tensor, nn

from course_lib import checks
from course_lib.data import check_images
from course_lib.nets import perceptron


class Autoencoder(nn.Module):
    """Images to codes of k numbers in (-1, 1) and back, by two perceptrons; the loss is the squared error per image.

    shape: of an image, (channels, height, width). width: of the hidden layers.
    """

    def __init__(self, shape: tuple[int, ...], k: int = 2, width: int = 128):
        super().__init__()
        checks.whole("k", k, 1)
        checks.whole("width", width, 1)
        self.shape = checks.shape("shape", shape)
        pixels = math.prod(self.shape)
        self.k = k
        self.encoder = nn.Sequential(nn.Flatten(), *perceptron(pixels, width, width, k), nn.Tanh())
        self.decoder = nn.Sequential(*perceptron(k, width, width, pixels), nn.Tanh(), nn.Unflatten(1, self.shape))

    def draw(self, shape: tuple[int, ...], generator: Generator | None, device: torch.device) -> dict[str, Tensor]:
        """Nothing is random in a step."""
        return {}

    def forward(self, x0: Tensor, cond: Tensor | None = None) -> Tensor:
        """The squared error of the reconstruction per image."""
        return (self.decode(self.encode(x0)) - x0).flatten(1).square().sum(1).mean()

    def encode(self, x0: Tensor) -> Tensor:
        """Codes z, (batch, k)."""
        return self.encoder(check_images(x0, shape=self.shape))

    def decode(self, z: Tensor) -> Tensor:
        """Images in [-1, 1] of codes (batch, k)."""
        return self.decoder(z)


class CodeGaussian(nn.Module):
    """z from a Gaussian with the mean and covariance of the codes, then the decoder.

    What it makes where codes are rare shows that nothing taught the autoencoder what to decode there.
    """

    def __init__(self, autoencoder: nn.Module):
        super().__init__()
        self.autoencoder = autoencoder
        self.register_buffer("mean", torch.zeros(autoencoder.k))
        self.register_buffer("root", torch.eye(autoencoder.k))

    def fit(self, x0: Tensor, cond: Tensor | None, generator: Generator) -> None:
        """Mean and covariance of the codes of all images."""
        z = self.autoencoder.encode(x0).double()
        self.mean.copy_(z.mean(0))
        self.root.copy_(torch.linalg.cholesky(torch.cov(z.T)))

    def forward(self, x0: Tensor, cond: Tensor | None = None) -> Tensor:
        """-log of the Gaussian's density at the codes, per image."""
        normal = torch.distributions.MultivariateNormal(self.mean, scale_tril=self.root)
        return -normal.log_prob(self.autoencoder.encode(x0)).mean()

    def sample(self, n: int, generator: Generator, cond: Tensor | None = None) -> Tensor:
        """n images in [-1, 1]."""
        z = self.mean + torch.randn(n, len(self.mean), generator=generator, device=generator.device) @ self.root.T
        return self.autoencoder.decode(z)
