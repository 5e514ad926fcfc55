"""Milliseconds a training step, for the recipes that ship: forward, backward, optimizer and average together.

    python benchmarks/train_step.py [--device cpu|cuda|mps] [--compile] [RECIPE …]

Each recipe trains on its own data; recipes on `mnist` download it on first use.
"""

import argparse
import statistics
import time

from course_lib.training import RECIPES, Run, recipe_named

WARM, COUNTED = 5, 20


def milliseconds(name: str, device: str, compile: bool) -> tuple[float, Run]:
    """The median of COUNTED steps after WARM ones."""
    run = Run(recipe_named(name), device=device, compile=compile, every=1)
    moments = []
    for progress in run:  # every Progress waits for the device, so the clock sees whole steps
        moments.append(time.perf_counter())
        if progress.step == WARM + COUNTED:
            break
    steps = [b - a for a, b in zip(moments, moments[1:], strict=False)][WARM - 1 :]
    return 1000 * statistics.median(steps), run


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=[name for name in RECIPES if RECIPES[name].steps])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.recipes:
        ms, run = milliseconds(name, arguments.device, arguments.compile)
        weights = sum(p.numel() for p in run.raw.parameters())
        kind = f"{run.device.type}, {'bf16' if run.bf16 else 'fp32'}{', compiled' if arguments.compile else ''}"
        print(f"{name:16} {weights:10,} weights, batch {run.recipe.batch:4}: {ms:7.1f} ms a step  ({kind})", flush=True)
