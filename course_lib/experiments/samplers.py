"""Every sampler on the digits' model: quality against the number of network calls (lesson 09)."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_lib.diffusion import Clipped, Predictor, State, dpm_solver, euler, euler_maruyama, heun, last, sample
from course_lib.experiments.common import trained
from course_lib.metrics import quality

IMAGES = 1000

Sampler = Callable[[Predictor, Tensor, list[int], torch.Generator], Iterator[State]]


def _ddpm(denoiser: Predictor, x_T: Tensor, times: list[int], generator: torch.Generator, variance) -> Iterator[State]:
    return sample(denoiser, x_T, times, 1.0, generator, variance=variance)


def _ode(solver: Callable[..., Iterator[State]]) -> Sampler:
    return lambda denoiser, x_T, times, _: solver(denoiser, x_T, times)


# name: (network calls a step, the sampler, its numbers of steps)
SAMPLERS: dict[str, tuple[int, Sampler, tuple[int, ...]]] = {
    "DDPM, beta_tilde": (1, partial(_ddpm, variance="beta_tilde"), (5, 10, 20, 50, 100, 250, 1000)),
    "DDPM, beta": (1, partial(_ddpm, variance="beta"), (10, 20, 50, 100, 250, 1000)),
    "DDIM": (1, _ode(partial(sample, eta=0.0)), (5, 10, 15, 20, 50, 100, 250)),
    "Euler": (1, _ode(euler), (10, 20, 50, 100)),
    "Heun": (2, _ode(heun), (3, 5, 8, 10, 25, 50)),
    "DPM-Solver++": (1, _ode(dpm_solver), (5, 8, 10, 12, 15, 20, 50)),
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
    model = trained("ddpm-digits").model
    denoiser: Predictor = Clipped(model)
    x_T = torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed + 1)
    x0 = [last(SAMPLERS[sampler][1](denoiser, part, model.schedule.times(steps), generator)) for part in x_T.split(500)]
    return torch.cat(x0).clamp(-1, 1)
