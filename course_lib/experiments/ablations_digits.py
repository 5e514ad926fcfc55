"""What each part of the U-Net is good for: the digits' model with and without it (lesson 08)."""

from dataclasses import asdict
from typing import Any

from course_lib.data import load
from course_lib.experiments.common import rounded
from course_lib.metrics import loss_by_t, quality
from course_lib.models import generate
from course_lib.nets import ABLATIONS
from course_lib.training import Trained, finished

MODELS = ("ddpm-digits", *(f"ddpm-digits-without-{part}" for part in ABLATIONS), "ddpm-digits-half-width")
TIMES = tuple(range(25, 1000, 50))


def measure() -> dict[str, Any]:
    """For each model: weights, the held-out loss at several t, the FD ratio."""
    found = {name: finished(name) for name in MODELS}
    return {"times": list(TIMES), "models": {name: _of(model) for name, model in found.items()}}


def _of(found: Trained) -> dict[str, Any]:
    return {
        "weights": sum(p.numel() for p in found.model.parameters()),
        "loss": rounded(loss_by_t(found.model, load("digits").held_out.x0, TIMES)),
        "quality": asdict(quality(generate(found.model, 2000), "digits")),
    }
