"""The bound of three models of the digits, at every t, beside the quality of their images (lesson 07)."""

import math
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_lib.data import load
from course_lib.diffusion import Denoiser, best_variance, fixed_variance, step_kl
from course_lib.diffusion.bound import decoder_term, guess, prior_term
from course_lib.experiments.common import rounded, trained
from course_lib.metrics import generate, quality
from course_lib.training import Trained

MODELS = ("ddpm-digits", "ddpm-digits-simple", "ddpm-digits-bound")


def measure() -> dict[str, Any]:
    """For each model: its squared error at every t, its bound for three variances, its FD ratio."""
    found = {name: trained(name) for name in MODELS}
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
        "quality": asdict(quality(generate(found, 2000), "digits")),
    }


def squared_errors(model: Denoiser, x0: Tensor, name: str = "") -> Tensor:
    """|x_0 - x0_hat|^2 at t = 0 … T for each image, (T + 1, n), one random x_t for each; 0 at t = 0."""
    generator = torch.Generator().manual_seed(0)
    times = tqdm(range(1, model.schedule.T + 1), desc=name)
    squares = [(x0 - guess(model, x0, t, generator)).double().flatten(1).square().sum(1) for t in times]
    return torch.stack([torch.zeros_like(squares[0]), *squares])
