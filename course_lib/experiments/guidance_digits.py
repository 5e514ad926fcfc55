"""What guidance buys and what it costs: digits as asked against digits of every kind, over its strength (lesson 11)."""

from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_lib.data import load
from course_lib.diffusion import ClassifierGuided, Clipped, last, sample
from course_lib.experiments.common import rounded
from course_lib.metrics import Features, condition_accuracy, frechet_distance, precision_recall
from course_lib.metrics.features import SAMPLES
from course_lib.models import generate
from course_lib.training import load_trained

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
WAYS: dict[str, dict[str, float]] = {
    "always": {},
    "in the middle": {"guide_from": 0.2, "guide_to": 0.7},
    "rescaled": {"rescale": 0.7},
    "by a classifier": {},
}
SEEDS = (0, 1, 2)
IMAGES, STEPS = 1000, 25


def measure() -> dict[str, Any]:
    """For each way and strength, one number a seed: as asked, precision, recall, FD ratio."""
    rows = []
    for way in WAYS:
        for w in tqdm(STRENGTHS, desc=way):
            found = [judged(drawn(way, w, seed)) for seed in SEEDS]
            rows.append({"way": way, "w": w} | {name: [rounded(one[name]) for one in found] for name in found[0]})
    return {"images": IMAGES, "sampler_steps": STEPS, "seeds": list(SEEDS), "rows": rows}


def labels(n: int = IMAGES) -> Tensor:
    """All digits by turns."""
    return torch.arange(n) % 10


def drawn(way: str, w: float, seed: int, n: int = IMAGES) -> Tensor:
    """Digits by turns, guided in one of WAYS."""
    if way != "by a classifier":
        return generate(load_trained("class-digits").model, n, seed, labels(n), guidance=w, steps=STEPS, **WAYS[way])
    denoiser, classifier = load_trained("ddpm-digits").model, load_trained("noisy-classifier-digits").model
    guided = Clipped(ClassifierGuided(denoiser, classifier.log_prob, w))
    generator = torch.Generator().manual_seed(seed)
    x_T = torch.randn(n, *denoiser.shape, generator=generator)
    return last(sample(guided, x_T, denoiser.schedule.times(STEPS), labels(n), eta=0.0)).clamp(-1, 1)


def judged(x0: Tensor) -> dict[str, float]:
    """Of digits by turns; all but the first of 500 of them against the held-out ones."""
    features, held_out = Features("digits"), load("digits").held_out.x0
    precision, recall = precision_recall(x0[:SAMPLES], held_out)
    distance = frechet_distance(features(x0[:SAMPLES]), features(held_out)).distance
    return {
        "as_asked": condition_accuracy(x0, labels(len(x0)), "digits").accuracy,
        "precision": precision,
        "recall": recall,
        "fd_ratio": distance / features.reference,
    }
