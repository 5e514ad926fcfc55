"""Models of a few hundred weights, one of each kind that the loop has to know: with parts, with turns, on another, fitted."""

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.diffusion import Clipped, Denoiser, Guided, NoiseSchedule, V, last, sample
from course_lib.models import MODELS
from course_lib.nets import sinusoids
from course_lib.training import RECIPES, Recipe

LATENT, CLASSES = 4, 10


class SmallVAE(nn.Module):
    """The loss has two named parts."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(64, width), nn.Dropout(0.1), nn.SiLU(), nn.Linear(width, 2 * LATENT)
        )
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, width), nn.SiLU(), nn.Linear(width, 64), nn.Unflatten(1, (1, 8, 8))
        )

    def draw(self, shape, generator, device):
        return {"eps": torch.randn(shape[0], LATENT, generator=generator, device=device)}

    def forward(self, x0, cond=None, eps=None):
        mu, logvar = self.encoder(x0).float().chunk(2, dim=1)
        x0_hat = self.decoder(mu + (0.5 * logvar).exp() * eps)
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
        return {"reconstruction": (x0 - x0_hat).flatten(1).square().sum(1).mean() / 0.2, "kl": kl.mean()}

    def encode(self, x0):
        return self.encoder(x0).chunk(2, dim=1)[0]

    def sample(self, n, generator, cond=None, *, temperature: float = 1.0):
        z = temperature * torch.randn(n, LATENT, generator=generator, device=generator.device)
        return self.decoder(z).clamp(-1, 1)


class SmallGAN(nn.Module):
    """Two objectives by turns; where it sees labels, a real image counts the more the higher its label is."""

    turns = ("critic", "generator")

    def __init__(self, width: int = 16):
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(LATENT, width), nn.SiLU(), nn.Linear(width, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))
        )
        self.critic = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def draw(self, shape, generator, device):
        return {"z": torch.randn(shape[0], LATENT, generator=generator, device=device)}

    def forward(self, x0, cond=None, z=None, turn="critic"):
        if turn == "generator":
            return F.softplus(-self.critic(self.generator(z))).mean()
        fake = self.generator(z).detach()
        weight = 1.0 if cond is None else (cond[:, None] + 1) / 5
        return {"real": (weight * F.softplus(-self.critic(x0))).mean(), "fake": F.softplus(self.critic(fake)).mean()}

    def sample(self, n, generator, cond=None):
        return self.generator(torch.randn(n, LATENT, generator=generator, device=generator.device))


class LatentNet(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.label = nn.Embedding(CLASSES + 1, width)
        self.layers = nn.Sequential(nn.Linear(LATENT + 16 + width, width), nn.SiLU(), nn.Linear(width, LATENT))

    def forward(self, z_t, t, cond=None):
        cond = torch.full((len(z_t),), CLASSES, device=z_t.device) if cond is None else cond
        return self.layers(torch.cat([z_t, sinusoids(t, 16).to(z_t), self.label(cond)], dim=1))


class SmallLatentDenoiser(nn.Module):
    """Diffusion in the latents of a trained autoencoder, conditional on the label."""

    def __init__(self, autoencoder: nn.Module, width: int = 16):
        super().__init__()
        self.autoencoder = autoencoder
        self.denoiser = Denoiser(LatentNet(width), NoiseSchedule.cosine(100), V)

    def draw(self, shape, generator, device):
        drawn = self.denoiser.draw((shape[0], LATENT), generator, device)
        return drawn | {"dropped": torch.rand(shape[0], generator=generator, device=device) < 0.1}

    def forward(self, x0, cond=None, t=None, eps=None, dropped=None):
        with torch.no_grad():
            z0 = self.autoencoder.encode(x0).float()
        return self.denoiser(z0, torch.where(dropped, CLASSES, cond), t=t, eps=eps)

    def sample(self, n, generator, cond=None, *, steps: int = 10, guidance: float = 1.0):
        z_T = torch.randn(n, LATENT, generator=generator, device=generator.device)
        guided = Clipped(self.denoiser if guidance == 1 else Guided(self.denoiser, guidance), -4, 4)
        z0 = last(sample(guided, z_T, self.denoiser.schedule.times(steps), cond, generator, eta=0.0))
        return self.autoencoder.decoder(z0).clamp(-1, 1)


class FittedGaussian(nn.Module):
    """A Gaussian of the data's mean and covariance, in closed form: nothing is trained."""

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("root", torch.eye(dim))

    def fit(self, x0, cond, generator):
        x = x0.flatten(1)
        self.mean.copy_(x.mean(0))
        self.root.copy_(torch.linalg.cholesky(torch.cov(x.T) + 1e-2 * torch.eye(x.shape[1])))

    def draw(self, shape, generator, device):
        return {}

    def forward(self, x0, cond=None):
        return -torch.distributions.MultivariateNormal(self.mean, scale_tril=self.root).log_prob(x0.flatten(1)).mean()

    def sample(self, n, generator, cond=None):
        x = self.mean + torch.randn(n, len(self.mean), generator=generator) @ self.root.T
        return x if len(self.mean) == 2 else x.reshape(n, 1, 8, 8).clamp(-1, 1)


class Tied(nn.Module):
    """Two layers that share one matrix."""

    def __init__(self):
        super().__init__()
        self.inward, self.outward = nn.Linear(64, 64), nn.Linear(64, 64)
        self.outward.weight = self.inward.weight

    def draw(self, shape, generator, device):
        return {}

    def forward(self, x0, cond=None):
        return (self.outward(self.inward(x0.flatten(1))) - x0.flatten(1)).square().mean()


def _small(name, **changes):
    return Recipe(**{"name": name, "data": "digits", "model": name, "steps": 20, "batch": 8, "warmup": 5} | changes)


VAE = _small("small-vae")
GAN = _small("small-gan", fall="none", betas=(0.5, 0.9), rate=1e-3)
LATENTS = _small("small-latents", labels=True, needs={"autoencoder": "small-vae"})
GAUSSIAN = _small("small-gaussian", model="fitted-gaussian", options={"dim": 64}, steps=0)
PLANE = _small("small-plane", data="moons", model="fitted-gaussian", options={"dim": 2}, steps=0)
TIED = _small("small-tied", model="tied")
RECIPES_HERE = (VAE, GAN, LATENTS, GAUSSIAN, PLANE, TIED)
MODELS_HERE = {
    "small-vae": SmallVAE, "small-gan": SmallGAN, "small-latents": SmallLatentDenoiser, "fitted-gaussian": FittedGaussian,
    "tied": Tied,
}  # fmt: skip


def register() -> None:
    """Let the library know them, as if they were its own."""
    MODELS.update(MODELS_HERE)
    RECIPES.update({recipe.name: recipe for recipe in RECIPES_HERE})


def unregister() -> None:
    for name in MODELS_HERE:
        del MODELS[name]
    for recipe in RECIPES_HERE:
        del RECIPES[recipe.name]
