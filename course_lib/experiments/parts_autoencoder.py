"""What each part of an autoencoder's loss is good for: trainings that differ in nothing else (lesson 10)."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_lib.data import load
from course_lib.experiments.common import as_sheet, rounded, trained
from course_lib.metrics import fd_ratio, psnr
from course_lib.metrics.coloured import halves
from course_lib.models import ImageAutoencoder, perceptual_distance
from course_lib.training import recipe_named

VARIANTS: dict[str, dict[str, float]] = {
    "squares": {"perceptual": 0.0, "adversarial": 0.0},
    "squares + perceptual": {"adversarial": 0.0},
    "squares + adversarial": {"perceptual": 0.0},
    "all three": {},
    "all three, KL 10,000 times": {"kl": 5e-3},
}
STEPS, SHOWN = 1500, 8


def measure() -> dict[str, Any]:
    """For each variant: decibels and perceptual distance by kind of picture, FD ratio of coded emoji, the codes' spread."""
    rows = [{"parts": name} | judged(learned(name)) for name in tqdm(VARIANTS, desc="autoencoders")]
    x0 = load("pictures").held_out.x0[:SHOWN]
    return {"steps": STEPS, "rows": rows, "originals": as_sheet(x0)}


def learned(name: str, steps: int = STEPS) -> ImageAutoencoder:
    """An autoencoder that was trained by this loss, for about eight minutes."""
    shipped = recipe_named("autoencoder-pictures")
    return trained(replace(shipped, name="parts", options=shipped.options | VARIANTS[name], steps=steps))


def coded(model: ImageAutoencoder, x0: Tensor) -> Tensor:
    """The pictures D(E(x)), in [-1, 1]."""
    with torch.no_grad():
        return torch.cat([model.decode(model.encode(part)) for part in x0.split(250)]).clamp(-1, 1)


def judged(model: ImageAutoencoder) -> dict[str, Any]:
    """What is measured of it, on held-out pictures; FD on half of the emoji."""
    data = load("pictures")
    x0, label = data.held_out.x0, data.held_out.label
    made = coded(model, x0)
    with torch.no_grad():
        apart = perceptual_distance(model.eye, made, x0)
        spread = model.encode(x0).std((0, 2, 3))
    kinds = {kind: label == i for i, kind in enumerate(data.classes)}
    return {
        "psnr": {kind: rounded(psnr(made[rows], x0[rows])) for kind, rows in kinds.items()},
        "perceptual": {kind: rounded(apart[rows].mean()) for kind, rows in kinds.items()},
        "fd_ratio": rounded(fd_ratio(coded(model, halves("emoji")[0]), "emoji")),
        "spread": rounded(spread),
        "pictures": as_sheet(made[:SHOWN]),
    }
