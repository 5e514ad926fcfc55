"""Milliseconds a training step, for the recipes that ship: forward, backward, optimizer and average together.

    python benchmarks/train_step.py [--device cpu|cuda|mps] [--compile] [RECIPE …]

Images are random, of the recipe's shape, so no data is needed.
"""

import argparse
import statistics
import time

import torch

from course_lib.data import Split
from course_lib.training import RECIPES, Run, recipe_named

WARM, COUNTED = 5, 20


def milliseconds(name: str, device: str, compile: bool) -> tuple[float, Run]:
    """The median of COUNTED steps after WARM ones."""
    recipe = recipe_named(name)
    images = 2 * torch.rand(1000, *recipe.shape, generator=torch.Generator().manual_seed(0)) - 1
    run = Run(recipe, data=Split(images, torch.arange(1000) % 10), device=device, compile=compile, every=1)
    moments = []
    for progress in run:  # every Progress waits for the device, so the clock sees whole steps
        moments.append(time.perf_counter())
        if progress.step == WARM + COUNTED:
            break
    steps = [b - a for a, b in zip(moments, moments[1:], strict=False)][WARM - 1 :]
    return 1000 * statistics.median(steps), run


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=list(RECIPES))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.recipes:
        ms, run = milliseconds(name, arguments.device, arguments.compile)
        weights = sum(p.numel() for p in run.raw.parameters())
        kind = f"{run.device.type}, {'bf16' if run.bf16 else 'fp32'}{', compiled' if arguments.compile else ''}"
        print(f"{name:16} {weights:10,} weights, batch {run.recipe.batch:4}: {ms:7.1f} ms a step  ({kind})", flush=True)
