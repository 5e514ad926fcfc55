"""How much of a sampler's FD ratio is luck: a few samplers, each from several x_T (lesson 09)."""

from typing import Any

from tqdm.auto import tqdm

from course_lib.experiments.common import rounded
from course_lib.experiments.samplers_digits import IMAGES, images
from course_lib.metrics import quality

SEEDS = (0, 10, 20)
CHOSEN = (
    ("DPM-Solver++", 10),
    ("DPM-Solver++", 15),
    ("DDIM", 10),
    ("DDIM", 50),
    ("DDPM, beta_tilde", 50),
    ("DDPM, beta_tilde", 1000),
)


def measure() -> dict[str, Any]:
    """FD ratios by sampler, one for each seed."""
    rows = []
    for name, steps in tqdm(CHOSEN):
        ratios = [rounded(quality(images(name, steps, seed=seed), "digits").fd_ratio) for seed in SEEDS]
        rows.append({"sampler": name, "steps": steps, "fd_ratio": ratios})
    return {"model": "ddpm-digits", "images": IMAGES, "seeds": list(SEEDS), "rows": rows}
