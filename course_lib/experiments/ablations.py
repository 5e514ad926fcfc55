"""What each part of the U-Net is good for: the digits' model with and without it (lesson 08)."""

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from course_lib.data import load
from course_lib.diffusion import Denoiser
from course_lib.experiments.common import rounded, trained
from course_lib.metrics import generate, quality
from course_lib.nets import ABLATIONS
from course_lib.training import Trained

MODELS = ("ddpm-digits", *(f"ddpm-digits-without-{part}" for part in ABLATIONS), "ddpm-digits-half-width")
TIMES = tuple(range(25, 1000, 50))


def measure() -> dict[str, Any]:
    """For each model: weights, the held-out loss at several t, the FD ratio."""
    found = {name: trained(name) for name in MODELS}
    return {"times": list(TIMES), "models": {name: _of(model) for name, model in found.items()}}


def _of(found: Trained) -> dict[str, Any]:
    return {
        "weights": sum(p.numel() for p in found.model.parameters()),
        "loss": rounded(loss_by_t(found.model, load("digits").held_out.x0, TIMES)),
        "quality": asdict(quality(generate(found, 2000), "digits")),
    }


def loss_by_t(model: Denoiser, x0: Tensor, times: tuple[int, ...]) -> Tensor:
    """The model's loss at each time, over all images; the same noise for every model."""
    generator = torch.Generator().manual_seed(0)
    losses = []
    for t in times:
        eps = torch.randn(x0.shape, generator=generator)
        with torch.no_grad():
            losses.append(model(x0, t=torch.full((len(x0),), t), eps=eps))
    return torch.stack(losses)
