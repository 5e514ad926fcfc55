"""Which colour belongs to which shape? What helps a text-to-image model to tell, one change at a time (lesson 11b)."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_lib.data import Split, attributes_of, load
from course_lib.diffusion import NoiseSchedule
from course_lib.experiments.common import rounded
from course_lib.metrics.coloured import as_asked
from course_lib.paths import RUNS
from course_lib.training import Run, Trained, recipe_named

CHANGES: dict[str, dict[str, Any]] = {  # of the model's options
    "as shipped, shorter": {},
    "four times as long": {},
    "words without places": {},
    "no text block": {"text_blocks": 0},
    "one text block": {"text_blocks": 1},
    "three text blocks": {"text_blocks": 3},
    "words only at 4 × 4": {"attention": [4]},
    "only pictures of two objects": {},
    "times by min-SNR": {},
}
STEPS, GUIDANCE, ASKED = 3000, 3.0, 300


def measure() -> dict[str, Any]:
    """For each change the shares of whole captions, and of single attributes, of one and of two objects."""
    rows = [{"change": change} | judged(learned(change)) for change in tqdm(CHANGES, desc="changes")]
    return {"steps": STEPS, "guidance": GUIDANCE, "captions": ASKED, "rows": rows}


def learned(change: str, steps: int = STEPS) -> Trained:
    """A model that was trained with this change, for minutes to an hour."""
    shipped, data = recipe_named("text-shapes"), load("shapes").train
    if change == "only pictures of two objects":
        data = data[torch.tensor([bool(attributes_of(caption)[3] >= 0) for caption in first_captions(data)])]
    steps *= 4 if change == "four times as long" else 1
    run = Run(
        replace(shipped, name="binding", options=shipped.options | CHANGES[change], steps=steps),
        device="cpu",
        data=data,
    )
    for model in (run.raw, run.averaged):
        if change == "words without places":
            model.net.text.position.requires_grad_(False).zero_()
        if change == "times by min-SNR":
            model.weight = min_snr(model.schedule)
    for _ in run:
        pass
    return Trained(run.recipe, run.averaged.eval(), steps, RUNS / "binding")


def first_captions(data: Split) -> list[str]:
    """What the first of its captions says of each picture."""
    return load("shapes").vocabulary.decode(data.label[:, 0])


def min_snr(schedule: NoiseSchedule, gamma: float = 5.0) -> Tensor:
    """How often each t is drawn, (T + 1,): min(SNR, gamma) / (SNR + 1), for v (Hang et al. 2023, sec. 3.4)."""
    snr = schedule.snr(torch.arange(1, schedule.T + 1))
    return torch.cat([torch.zeros(1, dtype=snr.dtype), snr.clamp(max=gamma) / (snr + 1)])


def judged(model: Trained) -> dict[str, Any]:
    """What the reader reads in what it draws."""
    found = as_asked(model, n=ASKED, guidance=GUIDANCE, steps=25)
    return {
        kind: {"whole": rounded(one["whole"])} | {name: rounded(share) for name, share in one["by_attribute"].items()}
        for kind, one in found.items()
    }
