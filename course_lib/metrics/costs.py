"""What a model costs: weights, network calls, seconds to sample, seconds to train."""

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from course_lib import checks
from course_lib.models import generate
from course_lib.training import Run, machine, pick_device
from course_lib.training.recipes import Recipe, check_recipe

IMAGES, STEPS = 64, 20


@dataclass(frozen=True)
class Cost:
    """weights: how many numbers were learned, or fitted. calls: of a network, for each image; seconds: to sample 64 images.

    steps: of the training, each of seconds_per_step, measured over 20 of them (0 steps: seconds_per_step is the whole
    fit). machine: on what.
    """

    weights: int
    calls: int
    seconds: float
    steps: int
    seconds_per_step: float
    machine: str


def cost(model: nn.Module, recipe: Recipe, device: str = "cpu", cond: Tensor | None = None, **options: Any) -> Cost:
    """Measure all of it here and now, on a device.

    cond: what 64 images are to show, (64, …). options: those of the model's `sample`.
    """
    check_recipe(recipe)
    _check_model(model)
    device = pick_device(device)
    model.to(device)
    calls = count_calls(model, cond=None if cond is None else cond[:1], **options)
    begun = time.perf_counter()
    generate(model, IMAGES, cond=cond, **options)
    seconds = time.perf_counter() - begun
    learned = model.parameters() if recipe.steps else model.state_dict().values()
    weights = sum(numbers.numel() for numbers in learned)
    return Cost(weights, calls, seconds, recipe.steps, _pace(recipe, model, device), machine(torch.device(device)))


def count_calls(model: nn.Module, **options: Any) -> int:
    """How often a network runs for an image: modules that are called by no other module are counted."""
    _check_model(model)
    calls, depth, handles = 0, 0, []

    def enter(*_: Any) -> None:
        nonlocal calls, depth
        calls, depth = calls + (depth == 0), depth + 1

    def leave(*_: Any) -> None:
        nonlocal depth
        depth -= 1

    for module in model.modules():
        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave, always_call=True)]
    try:
        generate(model, 1, **options)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _pace(recipe: Recipe, trained: nn.Module, device: str) -> float:
    """Seconds of a training step, without the first, in which the machine gets ready; or of the whole fit.

    A model that grows is timed as it is in the end: its buffers say how far it is.
    """
    if not recipe.steps:
        begun = time.perf_counter()
        list(Run(recipe, device=device))
        return time.perf_counter() - begun
    begun, run = None, Run(recipe, device=device, every=1)
    for own, final in zip(run.raw.buffers(), trained.buffers(), strict=True):
        own.copy_(final)
    for progress in run:
        if progress.step == 1:
            begun = time.perf_counter()
        if progress.step == 1 + STEPS:
            break
    return (time.perf_counter() - begun) / max(1, progress.step - 1)


def _check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a model, such as `load_trained(name).model`; got {checks.shown(model)}")
