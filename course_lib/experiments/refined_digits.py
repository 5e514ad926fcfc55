"""What adversarial refinement does to drawn digits, for several weights of keeping the drawing (lesson 05b)."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.data import Split, drawn_digits, load
from course_lib.experiments.common import rounded, trained
from course_lib.metrics import quality
from course_lib.models import generate
from course_lib.training import load_trained, recipe_named

KEEP = (0.0, 1.0, 3.0, 10.0)
SEEDS = (0, 1, 2)
STEPS = 1000


def measure() -> dict[str, Any]:
    """For the drawings as they are and for each weight, one number a seed."""
    label = torch.arange(10).repeat(200)
    rows = [{"keep": None} | collected([judged(drawings(label, seed), label, seed) for seed in SEEDS])]
    for keep in tqdm(KEEP, desc="refined"):
        found = [judged(generate(train(keep, seed), 2000, seed, label), label, seed) for seed in SEEDS]
        rows.append({"keep": keep} | collected(found))
    return {"steps": STEPS, "seeds": list(SEEDS), "rows": rows}


def collected(found: list[dict[str, float]]) -> dict[str, list[float]]:
    return {name: [rounded(one[name]) for one in found] for name in found[0]}


def drawings(label: Tensor, seed: int) -> Tensor:
    """The digits as they are drawn, unrefined."""
    return drawn_digits(label, torch.Generator().manual_seed(seed))


def train(keep: float, seed: int, steps: int = STEPS) -> nn.Module:
    """A refiner that was trained for about a minute."""
    shipped = recipe_named("refiner-digits")
    options = shipped.options | {"keep": keep}
    return trained(replace(shipped, name=f"refiner-{keep:g}", options=options, steps=steps, seed=seed))


def judged(x0: Tensor, label: Tensor, seed: int) -> dict[str, float]:
    """labels: the share that a classifier of real digits reads as what was drawn. useful: the share of real unseen digits
    that a classifier reads which was trained on these images alone. fd_ratio: as ever."""
    reader, student = load_trained("features-digits").model, learn(x0, label, seed)
    real = load("digits").held_out
    with torch.no_grad():
        kept = (reader.logits(x0).argmax(1) == label).double().mean().item()
        read = student.logits(real.x0).argmax(1)
    useful = (read == real.label).double().mean().item()
    return {"labels": kept, "useful": useful, "fd_ratio": quality(x0, "digits").fd_ratio}


def learn(x0: Tensor, label: Tensor, seed: int, steps: int = 400) -> nn.Module:
    """A classifier like the one that judges, trained on these images."""
    recipe = replace(recipe_named("features-digits"), name="reader", steps=steps, seed=seed)
    return trained(recipe, Split(x0, label))
