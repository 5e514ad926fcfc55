"""What a VAE of the digits pays for its latent numbers, and what it gets, for several beta (lesson 03)."""

from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from course_lib.data import load
from course_lib.experiments.common import rounded, trained
from course_lib.metrics import quality
from course_lib.models import generate
from course_lib.models.vae import kl_from_standard
from course_lib.training import Recipe

BETAS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
SEEDS = (0, 1, 2)


def measure() -> dict[str, Any]:
    """For each beta, one number a seed: rate and distortion in nats, active units, FD ratio."""
    rows = []
    for beta in tqdm(BETAS, desc="rate and distortion"):
        models = [train(beta, seed) for seed in SEEDS]
        found = [point(model) for model in models]
        row = {name: [rounded(one[name]) for one in found] for name in found[0]}
        ratio = [rounded(quality(generate(model, 1000), "digits").fd_ratio) for model in models]
        rows.append({"beta": beta} | row | {"fd_ratio": ratio})
    return {"k": 16, "seeds": list(SEEDS), "rows": rows}


def train(beta: float, seed: int) -> nn.Module:
    """A VAE with 16 latent numbers after 1,000 steps, about five seconds."""
    options = {"shape": [1, 8, 8], "levels": 17, "k": 16, "width": 128, "beta": beta}
    recipe = Recipe(f"vae-beta-{beta:g}", data="digits", model="vae", options=options, steps=1000, rate=2e-3, seed=seed)
    return trained(recipe)


def point(model: nn.Module) -> dict[str, float]:
    """On held-out digits, by 16 draws of z: rate (the KL), distortion (-log P(x_0 | z)), active units."""
    x0 = load("digits").held_out.x0
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        mu, logvar = model.encode(x0)
        rate = kl_from_standard(mu, logvar).sum(1).mean()
        drawn = (mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=generator) for _ in range(16))
        distortion = -torch.stack([model.log_likelihood(x0, z) for z in drawn]).mean()
    active = (mu.var(0) > 0.01).sum()
    return {"rate": rate.item(), "distortion": distortion.item(), "active": active.item()}
