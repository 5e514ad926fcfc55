"""The bound of three models of the digits, at every t, beside the quality of their images (lesson 07)."""

import math
from dataclasses import asdict
from typing import Any

import torch

from course_lib.data import load
from course_lib.diffusion import best_variance, fixed_variance, step_kl
from course_lib.diffusion.variational import decoder_term, prior_term
from course_lib.experiments.common import rounded
from course_lib.metrics import quality, squared_errors
from course_lib.models import generate
from course_lib.training import Trained, finished

MODELS = ("ddpm-digits", "ddpm-digits-simple", "ddpm-digits-bound")


def measure() -> dict[str, Any]:
    """For each model: its squared error at every t, its bound for three variances, its FD ratio."""
    found = {name: finished(name) for name in MODELS}
    return {"models": {name: _of(model) for name, model in found.items()}}


def _of(found: Trained) -> dict[str, Any]:
    digits, name = load("digits"), found.recipe.name
    schedule, dim = found.model.schedule, digits.held_out.x0[0].numel()
    held_out = squared_errors(found.model, digits.held_out.x0, name)
    training = squared_errors(found.model, digits.train.x0[:250], f"{name}, training images")
    variances = {
        "beta": fixed_variance(schedule, "beta"),
        "beta_tilde": fixed_variance(schedule, "beta_tilde"),
        "best": best_variance(schedule, training.mean(1) / dim),
    }
    t, prior = torch.arange(2, schedule.T + 1), prior_term(schedule, digits.held_out.x0.double())
    bounds = {}
    for kind, sigma2 in variances.items():
        generator = torch.Generator().manual_seed(1)
        steps = torch.stack([step_kl(schedule, t, square, dim, sigma2) for square in held_out[2:].T])
        decoder = decoder_term(found.model, digits.held_out.x0, digits.levels, sigma2, generator)
        bits = (prior + steps.sum(1) + decoder) / (dim * math.log(2))
        bounds[kind] = {
            "bits_per_dim": rounded(bits.mean(), 5),
            "standard_error": rounded(bits.std() / math.sqrt(len(bits)), 2),
            "prior": rounded(prior.mean() / (dim * math.log(2))),
            "decoder": rounded(decoder.mean() / (dim * math.log(2))),
        }
    return {
        "held_out": len(digits.held_out.x0),
        "square": rounded(held_out.mean(1)),
        "square_training": rounded(training.mean(1)),
        "bound": bounds,
        "quality": asdict(quality(generate(found.model, 2000), "digits")),
    }
