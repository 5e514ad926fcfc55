"""All models on one scale: what `course evaluate` measures and `course scoreboard` shows. Lesson 15 reads it."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from tqdm.auto import tqdm

from course_lib import checks
from course_lib.data import load
from course_lib.metrics.costs import IMAGES, cost
from course_lib.metrics.evaluate import quality
from course_lib.metrics.features import SAMPLES, Features, condition_accuracy
from course_lib.metrics.suspicion import suspicious
from course_lib.models import generate, parts_of
from course_lib.training import Trained, pick_device

COLUMNS = (
    "model", "weights", "training", "calls", "s / 64", "FD ratio", "precision", "recall", "told apart", "near copies",
    "bits / dim", "as asked",
)  # fmt: skip
HELD_OUT = 500  # as many unseen images give the bits per dimension


def measure(trained: Trained, seeds: int = 3, n: int = 2000, device: str = "cpu", **options: Any) -> dict[str, Any]:
    """Everything that a row of the scoreboard says, as a dictionary in JSON's types.

    seeds: how many sets of n images are judged, each from a sampling seed of its own; n: 500 or more. options: those of the
    model's `sample`. A model that sees labels is asked for all classes by turns.
    """
    if not isinstance(trained, Trained):
        raise ValueError(f"trained must be what load_trained(name) gives; got {checks.shown(trained)}")
    checks.whole("seeds", seeds, 1)
    checks.whole("n", n, SAMPLES)
    device = pick_device(device)
    model, recipe = trained.model.to(device), trained.recipe
    data = load(recipe.data)
    label = torch.arange(n) % len(data.classes) if recipe.labels else None
    Features(recipe.data)  # it judges at the end; where there is none for these data, that is said at once
    with tqdm(total=seeds + 3, desc="costs", unit="part", leave=False) as bar:
        spent = cost(model, recipe, device, None if label is None else label[:IMAGES], **options)
        sets = []
        for seed in range(seeds):
            _next_part(bar, f"images {seed + 1} of {seeds}")
            sets.append(generate(model, n, seed, label, progress=True, **options).cpu())
        _next_part(bar, "quality")
        found = quality(sets, recipe.data)
        asked = None
        if label is not None and data.levels:
            asked = asdict(condition_accuracy(torch.cat(sets), label.repeat(seeds), recipe.data))
        _next_part(bar, "bits per dimension")
        bits = _bits(trained, device)
    return {
        "options": options,
        "images": n,
        "seeds": seeds,
        "quality": asdict(found),
        "suspicious": suspicious(found),
        "bits_per_dim": bits,
        "condition": asked,
        "cost": asdict(spent),
    }


def measure_loss(trained: Trained) -> dict[str, Any]:
    """What is measured of a model that makes no images, such as an autoencoder: its loss on held-out images."""
    data = load(trained.recipe.data).held_out
    x0, cond = data.x0[:HELD_OUT], data.label[:HELD_OUT] if trained.recipe.labels else None
    drawn = (
        {} if not trained.recipe.steps else trained.model.draw(x0.shape, torch.Generator().manual_seed(0), x0.device)
    )
    with torch.no_grad():
        parts = parts_of(trained.model(x0, cond, **drawn))
    return {"held_out": {"loss": sum(part.item() for part in parts.values()), "images": len(x0)}}


def is_measured(card: Mapping[str, Any]) -> bool:
    """Whether a checkpoint's card holds all that a row of the scoreboard shows."""
    try:
        return bool(table({"": card["scores"]}))
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def table(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """The scoreboard as text: a row for each model by its name, under the real images of the data that it learned from."""
    groups: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for name, found in scores.items():
        groups.setdefault(_real_images(found["quality"]), []).append(_row(name, found))
    return in_columns([COLUMNS, *itertools.chain(*((real, *models) for real, models in groups.items()))])


def in_columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of words as text, each column as wide as its longest word; the first one flush left, the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def costs_in_words(spent: Mapping[str, Any]) -> tuple[str, ...]:
    """Weights, duration of the training, network calls for an image, seconds for 64 images."""
    duration = _duration(spent["seconds_per_step"] * max(1, spent["steps"]))
    return f"{spent['weights']:,}", duration, f"{spent['calls']:,}", f"{spent['seconds']:.2g}"


def _next_part(bar: tqdm, name: str) -> None:
    bar.update()
    bar.set_description(name)


def _bits(trained: Trained, device: str) -> dict[str, float] | None:
    """Bits per number of held-out images, with the standard error over them.

    None for points, which have no grey levels; for a model that has no likelihood; and for one of other grey levels than
    the data's, such as black and white.
    """
    data, model = load(trained.recipe.data), trained.model
    if not data.levels or not hasattr(model, "bits_per_dim") or getattr(model, "levels", data.levels) != data.levels:
        return None
    x0 = data.held_out.x0[:HELD_OUT].to(device)
    bits = model.bits_per_dim(x0, data.levels, torch.Generator(device).manual_seed(0)).double()
    return {
        "mean": bits.mean().item(),
        "standard_error": (bits.std() / math.sqrt(len(bits))).item(),
        "images": len(bits),
    }


def _row(name: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    judged, spent = found["quality"], found["cost"]
    bits, asked = found["bits_per_dim"], found["condition"]
    return (
        name,
        *costs_in_words(spent),
        *(_with_spread(judged[key]) for key in ("over_seeds", "precision", "recall", "c2st")),
        f"{judged['copies']['share']:.1%}",
        f"{bits['mean']:.2f}" if bits else "",
        f"{asked['accuracy']:.1%}" if asked else "",
    )


def _real_images(judged: Mapping[str, Any]) -> tuple[str, ...]:
    measured = (judged[key] for key in ("over_seeds", "precision", "recall", "c2st"))
    scores = (f"{score['real']:.2f} ± {score['real_spread']:.2f}" for score in measured)
    return "(real images)", "", "", "", "", *scores, f"{judged['copies']['expected']:.1%}", "", ""


def _with_spread(score: Mapping[str, Any]) -> str:
    return f"{score['mean']:.2f}" + ("" if score["spread"] is None else f" ± {score['spread']:.2f}")


def _duration(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds / 60:.0f} min"
