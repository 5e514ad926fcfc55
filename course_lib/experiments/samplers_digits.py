"""Every sampler on the digits' model: quality against the number of network calls (lesson 09)."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_lib.diffusion import Clipped, State, dpm_solver, euler, euler_maruyama, heun, last, sample
from course_lib.metrics import quality
from course_lib.training import finished

IMAGES = 1000

# name: (network calls per step, the sampler, its numbers of steps)
SAMPLERS: dict[str, tuple[int, Callable[..., Iterator[State]], tuple[int, ...]]] = {
    "DDPM, beta_tilde": (1, partial(sample, eta=1.0), (5, 10, 20, 50, 100, 250, 1000)),
    "DDPM, beta": (1, partial(sample, eta=1.0, variance="beta"), (10, 20, 50, 100, 250, 1000)),
    "DDIM": (1, partial(sample, eta=0.0), (5, 10, 15, 20, 50, 100, 250)),
    "Euler": (1, euler, (10, 20, 50, 100)),
    "Heun": (2, heun, (3, 5, 8, 10, 25, 50)),
    "DPM-Solver++": (1, dpm_solver, (5, 8, 10, 12, 15, 20, 50)),
    "Euler-Maruyama": (1, euler_maruyama, (20, 50, 100, 250)),
    "predictor-corrector": (2, partial(euler_maruyama, corrections=1), (10, 25, 50, 125)),
}


def measure() -> dict[str, Any]:
    """FD ratios of the shipped model, all from the same x_T; predicted x_0 are kept in [-1, 1]."""
    found = {}
    for name, (a_step, _, steps) in SAMPLERS.items():
        found[name] = []
        for n in tqdm(steps, desc=name):
            calls = a_step * n - (a_step == 2)
            found[name].append({"steps": n, "calls": calls} | asdict(quality(images(name, n), "digits")))
    return {"model": "ddpm-digits", "images": IMAGES, "samplers": found}


def images(sampler: str, steps: int, n: int = IMAGES, seed: int = 0) -> Tensor:
    """n images of the shipped digits' model by a sampler of SAMPLERS."""
    model = finished("ddpm-digits").model
    denoiser = Clipped(model)
    x_T = torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed + 1)
    times, walk = model.schedule.times(steps), SAMPLERS[sampler][1]
    x0 = [last(walk(denoiser, part, times, generator=generator)) for part in x_T.split(500)]
    return torch.cat(x0).clamp(-1, 1)
