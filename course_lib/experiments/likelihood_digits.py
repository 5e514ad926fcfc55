"""The digits' likelihood by the probability-flow ODE, in bits per pixel (lesson 09)."""

import math
from typing import Any

import torch
from tqdm.auto import tqdm

from course_lib.data import load
from course_lib.diffusion import flow_bits
from course_lib.experiments.common import rounded
from course_lib.training import finished

START = 5.0


def measure() -> dict[str, Any]:
    """Bits per pixel of all held-out digits under the shipped model."""
    digits, found = load("digits"), finished("ddpm-digits")
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
