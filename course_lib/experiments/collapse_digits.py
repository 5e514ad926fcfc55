"""A VAE whose decoder can do without z, and two ways to keep z in use (lesson 03)."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.data import load
from course_lib.experiments.common import rounded
from course_lib.experiments.rate_distortion_digits import point
from course_lib.models import VAE, Loss
from course_lib.models.vae import kl_from_standard
from course_lib.nets import perceptron

WAYS = ("no look-back", "plain", "warm-up", "free bits")
SEEDS = (0, 1, 2)
STEPS = 1500


class LookingBack(VAE):
    """The mean of each pixel is the decoder's, three layers deep, plus a linear function of the pixels before it."""

    def __init__(self, free_bits: float = 0.0):
        super().__init__((1, 8, 8), 17, k=8, width=128, free_bits=free_bits)
        self.encoder = perceptron(64, 128, 128, 128, 16)
        self.decoder = perceptron(8, 128, 128, 128, 64)
        self.before = nn.Parameter(torch.zeros(64, 64))

    def log_likelihood(self, x0: Tensor, z: Tensor, cond: Tensor | None = None) -> Tensor:
        """log P(x_0 | z), (batch,): each pixel given z and those before it."""
        flat = x0.flatten(1)
        return self.pixel.log_prob(self.decoder(self._with_class(z, cond)) + flat @ self.before.tril(-1).T, flat)


def measure() -> dict[str, Any]:
    """For each way, one number a seed: rate and distortion in nats, active units, and the KL of each latent number."""
    rows = []
    for way in tqdm(WAYS, desc="collapse"):
        models = [train(way, seed) for seed in SEEDS]
        found = [point(model) for model in models]
        row = {name: [rounded(one[name]) for one in found] for name in found[0]}
        rows.append({"way": way} | row | {"kl": [rounded(each_kl(model)) for model in models]})
    return {"k": 8, "steps": STEPS, "seeds": list(SEEDS), "rows": rows}


def train(way: str, seed: int, steps: int = STEPS) -> LookingBack:
    """One of the four after 1,500 steps, about eight seconds. warm-up: the KL counts from 0 to 1 in the first half."""
    generator, x0 = torch.Generator().manual_seed(seed), load("digits").train.x0
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = LookingBack(free_bits=0.5 if way == "free bits" else 0.0)
    model.before.requires_grad_(way != "no look-back")  # it stays 0
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * 0.5 * (1 + math.cos(math.pi * step / steps))
        model.beta = min(1.0, 2 * step / steps) if way == "warm-up" else 1.0
        rows = torch.randint(len(x0), (128,), generator=generator)
        loss: Loss = model(x0[rows], eps=torch.randn(128, 8, generator=generator))
        optimizer.zero_grad()
        sum(loss.values()).backward()
        optimizer.step()
    return model.eval()


def each_kl(model: VAE) -> Tensor:
    """The KL of each latent number on held-out digits, (k,), the largest first."""
    with torch.no_grad():
        mu, logvar = model.encode(load("digits").held_out.x0)
        kl = kl_from_standard(mu, logvar).mean(0)
    return kl.sort(descending=True).values
