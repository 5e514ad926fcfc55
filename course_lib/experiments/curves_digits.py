"""Runs of a GAN on the digits that went well and ill, as their curves show it (lesson 05b)."""

from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_lib.data import Split, load
from course_lib.experiments.common import rounded
from course_lib.models import generate
from course_lib.training import Recipe, Run

RUNS: dict[str, dict[str, Any]] = {
    "healthy": {"options": {"penalty": 0.1}},
    "the critic has won": {"options": {"loss": "minimax"}, "rate": 1e-2, "betas": (0.9, 0.99)},
    "the same without momentum": {"options": {"loss": "minimax"}, "rate": 1e-2},
    "learned by heart": {"images": 50},
    "scores without bound": {"options": {"loss": "wasserstein", "critic_turns": 3}, "rate": 5e-3},
}
SEEDS = (0, 1, 2)
STEPS, EVERY = 600, 25


def measure() -> dict[str, Any]:
    """For each run, one row a seed: mean scores of training, unseen and generated images, and how varied the last are."""
    rows = []
    for name in tqdm(RUNS, desc="curves"):
        found = [curves(name, seed) for seed in SEEDS]
        rows.append({"run": name} | {key: [one[key] for one in found] for key in found[0]})
    return {"steps": list(range(EVERY, STEPS + 1, EVERY)), "seeds": list(SEEDS), "rows": rows}


def curves(name: str, seed: int, steps: int = STEPS) -> dict[str, list[float]]:
    """Every 25 steps; varied: the mean distance between two generated images over that of two real ones."""
    how, digits = RUNS[name], load("digits")
    train = Split(digits.train.x0[: how.get("images")], digits.train.label[: how.get("images")])
    recipe = Recipe(
        f"curves-{seed}", "digits", "gan", {"shape": [1, 8, 8]} | how.get("options", {}), steps=steps, batch=64,
        rate=how.get("rate", 2e-3), betas=how.get("betas", (0.0, 0.99)), fall="none", clip=1e6, seed=seed,
    )  # fmt: skip
    run, found = Run(recipe, device="cpu", data=train, every=EVERY), []
    usual = apart(digits.held_out.x0)
    for _ in run:
        with torch.no_grad():
            made = generate(run.raw, 300)
            scores = (run.raw.score(x).mean() for x in (train.x0[:300], digits.held_out.x0[:300], made))
            found.append([rounded(value) for value in (*scores, apart(made) / usual)])
    return dict(zip(("training", "unseen", "generated", "varied"), zip(*found, strict=True), strict=True))


def apart(x0: Tensor) -> float:
    """The mean distance between two of the images."""
    return torch.pdist(x0.flatten(1)).mean().item()


def lettered(rows: dict[str, Any]) -> dict[str, Any]:
    """Four of the recorded runs, under letters, in an order of their own."""
    order = ("learned by heart", "healthy", "scores without bound", "the critic has won")
    return {letter: rows[run] for letter, run in zip("ABCD", order, strict=True)}
