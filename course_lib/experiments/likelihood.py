"""The digits' likelihood by the probability-flow ODE, in bits for each pixel (lesson 09)."""

import math
from typing import Any

import torch
from torch import Generator, Tensor
from tqdm.auto import tqdm

from course_lib.data import load
from course_lib.diffusion import NoiseSchedule, Predictor, log_likelihood
from course_lib.experiments.common import rounded, trained

START = 5.0


def measure() -> dict[str, Any]:
    """Bits a pixel of all held-out digits under the shipped model."""
    digits, found = load("digits"), trained("ddpm-digits")
    generator = torch.Generator().manual_seed(0)
    bits = torch.cat([
        flow_bits(found.model, part, digits.levels, START, generator)
        for part in tqdm(digits.held_out.x0.split(100), desc="likelihood")
    ])  # fmt: skip
    return {
        "model": "ddpm-digits",
        "start": START,
        "held_out": len(bits),
        "bits_per_dim": rounded(bits.mean(), 5),
        "standard_error": rounded(bits.std() / math.sqrt(len(bits)), 2),
    }


def flow_bits(
    model: Predictor, x0: Tensor, levels: int, start: float, generator: Generator, tolerance: float = 1e-4
) -> Tensor:
    """A bound on -log2 P(x_0) a pixel, (batch,), with x_start as the latent variable and the flow's density as its prior.

    -log P(x_0) <= E[log q(x_s | x_0) - log p(x_s) - log P(x_0 | x_s)] over x_s, the image with a little noise on it.
    """
    schedule, dim = model.schedule, x0[0].numel()
    eps = torch.randn(x0.shape, generator=generator)
    x_s = schedule.q_sample(x0, start, eps)
    log_q = -0.5 * (eps**2 + math.log(2 * math.pi * schedule.noise(start).item() ** 2)).flatten(1).sum(1)
    log_p = log_likelihood(model, x_s, start, "hutchinson", generator, tolerance).log_prob
    return (log_q - log_p - log_decoder(schedule, x0, x_s, levels, start)) / (dim * math.log(2))


def log_decoder(schedule: NoiseSchedule, x0: Tensor, x_s: Tensor, levels: int, s: float) -> Tensor:
    """log P(x_0 | x_s), (batch,): Bayes' rule pixel by pixel, all grey levels equally likely before."""
    level = torch.linspace(-1, 1, levels)
    log_kernel = -((x_s[..., None] - schedule.signal(s, x_s)[..., None] * level) ** 2) / (
        2 * schedule.noise(s).item() ** 2
    )
    chosen = ((x0 + 1) / 2 * (levels - 1)).round().long()
    return log_kernel.log_softmax(-1).gather(-1, chosen[..., None])[..., 0].flatten(1).sum(1)
