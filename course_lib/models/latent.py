"""Latent diffusion: a denoiser of an autoencoder's codes, which are images of their own, smaller ones (lesson 10)."""

from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.data import check_images
from course_lib.models.denoisers import SamplingDenoiser, parts

BATCH = 250  # images that are encoded at once


class LatentDenoiser(SamplingDenoiser):
    """A denoiser of z = E(x_0), scaled to a mean of 0 and a variance of 1 per channel (Rombach et al. 2022, sec. 3.2;
    their app. G has one deviation for all channels).

    It trains on what `prepare` makes of the images, once for all steps; what it samples is decoded.
    """

    reach = 5.0

    def __init__(self, autoencoder: nn.Module, **own: Any):
        super().__init__(**own)
        if self.shape != autoencoder.latent:
            raise ValueError(f"the codes have the shape {autoencoder.latent}, and the network is for {self.shape}")
        self.autoencoder = autoencoder
        self.register_buffer("mean", torch.zeros(self.shape[0], 1, 1))
        self.register_buffer("std", torch.ones(self.shape[0], 1, 1))

    @torch.no_grad()
    def prepare(self, x0: Tensor) -> Tensor:
        """The codes of all training images, (n, *shape), scaled; mean and deviation are kept."""
        bar = tqdm(check_images(x0).split(BATCH), desc="codes", delay=2, leave=False)
        z = torch.cat([self.autoencoder.encode(part) for part in bar])
        self.mean.copy_(z.mean((0, 2, 3)).view_as(self.mean))
        self.std.copy_(z.std((0, 2, 3)).view_as(self.std))
        return (z - self.mean) / self.std

    def encode(self, x0: Tensor) -> Tensor:
        """Images to scaled codes (batch, *shape)."""
        return (self.autoencoder.encode(x0) - self.mean) / self.std

    def picture(self, x: Tensor) -> Tensor:
        """Images in [-1, 1] of scaled codes."""
        return self.autoencoder.decode(x * self.std + self.mean).clamp(-1, 1)


def latent_denoiser(autoencoder: nn.Module, **options: Any) -> LatentDenoiser:
    """A U-Net that learns to denoise an autoencoder's codes; options: those of `denoisers.parts`."""
    return LatentDenoiser(autoencoder, **parts(**options))
