"""How many of eight Gaussians a GAN makes while it is trained, with and without momentum (lesson 05)."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.models import generate
from course_lib.training import Recipe, Run

PLAYS: dict[str, dict[str, Any]] = {
    "no momentum": {"momentum": 0.0},
    "momentum 0.5": {"momentum": 0.5},
    "momentum 0.9": {"momentum": 0.9},
    "momentum 0.9, R1": {"momentum": 0.9, "penalty": 1.0},
}
SEEDS = (0, 1, 2, 3, 4)
STEPS, EVERY = 1500, 50
CENTRES = 1.4 * torch.stack([f(torch.arange(8) * math.pi / 4) for f in (torch.cos, torch.sin)], dim=1)
NEAR = 3 * 0.12  # three standard deviations of each Gaussian


def measure() -> dict[str, Any]:
    """For each way of playing, one row a seed: the modes and the share of good points after each 50 steps."""
    rows = []
    for name in tqdm(PLAYS, desc="modes"):
        found = [[modes(generate(model, 2000)) for _, model in play(name, seed)] for seed in SEEDS]
        rows.append({
            "play": name,
            "modes": [[covered for covered, _ in run] for run in found],
            "good": [[round(good, 4) for _, good in run] for run in found],
        })  # fmt: skip
    return {"steps": list(range(EVERY, STEPS + 1, EVERY)), "seeds": list(SEEDS), "rows": rows}


def play(name: str, seed: int, steps: int = STEPS) -> Iterator[tuple[int, nn.Module]]:
    """The step and the model, not averaged, after each 50 steps of one of PLAYS."""
    options = dict(PLAYS[name])
    betas = (options.pop("momentum"), 0.99)
    recipe = Recipe(
        f"eight-{seed}", "eight_gaussians", "gan", {"shape": [2], "k": 2, "width": 64} | options, steps=steps, rate=1e-3,
        betas=betas, fall="none", clip=100.0, seed=seed,
    )  # fmt: skip
    run = Run(recipe, device="cpu", every=EVERY)
    for progress in run:
        yield progress.step, run.raw


def modes(x: Tensor) -> tuple[int, float]:
    """How many of the Gaussians have 2 % of the points (n, 2) or more, and the share of points near any of them."""
    near, which = torch.cdist(x, CENTRES).min(1)
    good = near < NEAR
    return int((torch.bincount(which[good], minlength=8) >= 0.02 * len(x)).sum()), good.double().mean().item()
