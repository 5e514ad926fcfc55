"""Diffusion in codes and in pixels, each for the same processor time: how good the pictures are, and when (lesson 10)."""

import time
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from course_lib.experiments.common import as_sheet, rounded
from course_lib.metrics import fd_ratio
from course_lib.models import generate
from course_lib.nets import stages
from course_lib.training import Run, recipe_named

RECIPES = {"latent diffusion": "latent-emoji", "diffusion": "pixels-emoji"}
MINUTES = (2, 4, 8, 16, 32)  # of one processor core
PICTURES, STEPS, SHOWN = 400, 25, 8


def measure() -> dict[str, Any]:
    """For each kind a row: multiply-adds and seconds of a step, and FD ratios by minutes of training."""
    torch.set_num_threads(1)
    return {"pictures": PICTURES, "sampler_steps": STEPS, "rows": [trained_for_minutes(kind) for kind in RECIPES]}


def trained_for_minutes(kind: str) -> dict[str, Any]:
    """One training with a rate that does not fall, looked at after each of MINUTES."""
    recipe = replace(recipe_named(RECIPES[kind]), name="minutes", steps=10**6, fall="none")
    run, spent, points, begun = Run(recipe, device="cpu", every=1), 0.0, [], time.process_time()
    goals = list(MINUTES)
    with tqdm(total=MINUTES[-1], desc=kind, unit="min") as bar:
        for progress in run:
            spent += time.process_time() - begun
            if spent >= 60 * goals[0]:
                bar.update(goals.pop(0) - bar.n)
                points.append({"minutes": spent / 60, "steps": progress.step} | judged(run.averaged))
            if not goals:
                break
            begun = time.process_time()
    net = run.averaged.net
    return {
        "kind": kind,
        "numbers": net.channels * net.size**2,
        "weights": sum(p.numel() for p in net.parameters()),
        "multiply_adds": sum(stage.multiply_adds for stage in stages(net)),
        "seconds_per_step": rounded(spent / points[-1]["steps"]),
        "points": points,
        "sheet": as_sheet(generate(run.averaged, SHOWN, steps=STEPS)),
    }


def judged(model: nn.Module, seed: int = 0) -> dict[str, float]:
    """The FD ratio of 400 pictures, and the processor's seconds for each."""
    begun = time.process_time()
    x0 = generate(model.eval(), PICTURES, seed, steps=STEPS)
    seconds = (time.process_time() - begun) / PICTURES
    return {"fd_ratio": rounded(fd_ratio(x0, "emoji")), "seconds_per_picture": rounded(seconds)}
