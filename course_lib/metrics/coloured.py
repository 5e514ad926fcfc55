"""What is measured of models that draw coloured pictures, most of them on request (lessons 10 to 11b).

These sets hold out combinations, not a sample of all pictures, so the distances are between halves of the training set.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_lib.data import DAMAGES, Dataset, attributes_of, check_images, draw_shapes, has_unseen, load
from course_lib.metrics.captions import naming, reading
from course_lib.metrics.costs import IMAGES, cost
from course_lib.metrics.features import classify, extract
from course_lib.metrics.frechet import frechet_distance
from course_lib.metrics.memorizing import nearest_distance
from course_lib.metrics.scoreboard import costs_in_words, in_columns
from course_lib.models import generate
from course_lib.training import Trained, load_trained, pick_device

READER = "reader-shapes"
EYES = {"emoji": "features-roles", "damaged": "features-roles", "shapes": READER}  # whose features a distance compares
SETS = ("emoji", "shapes", "damaged")
ASKED = 400  # captions of each kind, for a thousand pictures
COLUMNS = ("model", "weights", "training", "calls", "s / 64", "FD ratio", "to nearest", "as asked")


def measure_pictures(
    trained: Trained, seeds: int = 3, n: int = 1000, device: str = "cpu", **options: Any
) -> dict[str, Any]:
    """What a row of the pictures' scoreboard says, in JSON's types. seeds: sets of n pictures; options: those of `sample`.

    A model that is told is asked for captions of the training, and judged for 0.4 n of each kind.
    """
    device = pick_device(device)
    model, data = trained.model.to(device), load(trained.recipe.data)
    cond = conditions(data, n)[0] if trained.recipe.labels else None
    sets = [generate(model, n, seed, cond, progress=True, **options).cpu() for seed in range(seeds)]
    return {
        "options": options,
        "images": n,
        "seeds": seeds,
        "fd_ratio": [fd_ratio(x0, data.name) for x0 in sets],
        "nearest": nearest_distance(sets[0], data.train.x0).mean().item(),
        "as_asked": as_asked(trained, n=ASKED * n // 1000, **options) if trained.recipe.labels else None,
        "cost": asdict(cost(model, trained.recipe, device, None if cond is None else cond[:IMAGES], **options)),
    }


def picture_table(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """The scoreboard of models of coloured pictures, as text: a row for each by its name."""
    return in_columns([COLUMNS, *(_row(name, found) for name, found in measured.items())])


def _row(name: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    fd = torch.tensor(found["fd_ratio"])
    spread = f" ± {fd.std():.2f}" if len(fd) > 1 else ""
    return (
        name,
        *costs_in_words(found["cost"]),
        f"{fd.mean():.2f}{spread}",
        f"{found['nearest']:.3f}",
        _shares(found["as_asked"]),
    )


def _shares(asked: Mapping[str, Any] | None) -> str:
    """The shares of right pictures, or the decibels of repaired ones, each with its name."""
    if not asked:
        return ""
    numbers = {
        name: one["pixels"]["nearest"] if "pixels" in one else one.get("whole", one.get("one"))
        for name, one in asked.items()
    }
    return ", ".join(
        f"{name} {number:.1%}" if number <= 1 else f"{name} {number:.1f} dB" for name, number in numbers.items()
    )


@cache
def halves(data: str) -> tuple[Tensor, Tensor]:
    """The training pictures as two random halves."""
    x0 = load(data).train.x0
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(x0)))
    return x0[order[::2]], x0[order[1::2]]


def seen(x0: Tensor, eye: str = READER) -> Tensor:
    """Features of pictures (n, 3, 32, 32), in the eyes of a network; without a name, of the one that reads shapes."""
    return extract(load_trained(eye), check_images(x0))


def fd_ratio(x0: Tensor, data: str) -> float:
    """FD(generated, one half of the training pictures) over FD(the other half, that half), as many of each.

    1 is as close as real pictures are. Raises ValueError for what are no pictures, and for more than a half holds.
    """
    a, b = halves(data)
    if not 2 <= len(x0) <= len(a):
        raise ValueError(f"2 to {len(a)} pictures are compared; got {len(x0)}")
    made, real, target = (seen(x, EYES[data]) for x in (x0, a[: len(x0)], b))
    return frechet_distance(made, target).distance / frechet_distance(real, target).distance


def conditions(dataset: Dataset, n: int, held_out: bool = False) -> tuple[Tensor, Tensor]:
    """(cond, row): for n pictures, what they are to show and which one it is, in a fixed random order, again and again.

    Of several captions it is the first; of several damaged copies each in turn.
    """
    split = dataset.held_out if held_out else dataset.train
    order = torch.from_numpy(np.random.RandomState(1).permutation(len(split)))
    row = order[torch.arange(n) % len(split)]
    which = torch.arange(n) % split.label.shape[1] if dataset.vocabulary is None else torch.zeros(n, dtype=torch.int64)
    return split.label[row, which], row


def as_asked(trained: Trained, seed: int = 0, n: int = ASKED, **options: Any) -> dict[str, Any]:
    """Whether a model draws what it is told: by the data that it learned from, shares by name."""
    ask = {"emoji": _of_emoji, "shapes": _of_shapes, "damaged": _of_damaged}[trained.recipe.data]
    return ask(trained, seed, n, options)


def _of_emoji(trained: Trained, seed: int, n: int, options: dict[str, Any]) -> dict[str, Any]:
    """The nearest of all pictures, in pixels and in features, for held-out combinations and for captions of the training."""
    data = load("emoji")
    known = torch.cat([data.train.x0, data.held_out.x0])
    features, found = seen(known), {}
    for name, held_out in (("held_out", True), ("training", False)):
        cond, row = conditions(data, n, held_out)
        right = row + len(data.train) * held_out
        x0 = generate(trained.model, n, seed, cond, progress=True, **options)
        again = generate(trained.model, n, seed + 1, cond, progress=True, **options)
        apart = (x0 - again).square().flatten(1).mean(1).sqrt().mean().item()
        found[name] = {
            "pixels": asdict(naming(x0, right, known)),
            "features": asdict(naming(seen(x0), right, features)),
            "apart": apart,
            "nearest_training": nearest_distance(x0, data.train.x0).mean().item(),
            "right": (x0 - known[right]).square().flatten(1).mean(1).sqrt().mean().item(),
        }
    return found


def _of_shapes(trained: Trained, seed: int, n: int, options: dict[str, Any]) -> dict[str, Any]:
    """What the reader reads in pictures of one shape, of two, and of combinations that training never showed."""
    reader, vocabulary = load_trained(READER).model, load("shapes").vocabulary
    scenes = draw_shapes(200_000, 10 * n)
    unseen, two = has_unseen(scenes.attributes), scenes.attributes[:, 3] >= 0
    found = {}
    for name, rows in (("one", ~unseen & ~two), ("two", ~unseen & two), ("held_out", unseen)):
        chosen = rows.nonzero()[:n, 0]
        captions = [scenes.captions[i][0] for i in chosen.tolist()]
        wanted = torch.stack([attributes_of(caption) for caption in captions])
        x0 = generate(trained.model, len(chosen), seed, vocabulary.encode(captions), progress=True, **options)
        found[name] = asdict(reading(reader, x0, wanted))
    return found


def _of_damaged(trained: Trained, seed: int, _: int, options: dict[str, Any]) -> dict[str, Any]:
    """The error of repaired pictures, in decibels, beside that of the damaged ones and of the mean of eight answers."""
    data, found = load("damaged").held_out, {}
    for i, kind in enumerate(tqdm(DAMAGES, desc="repairs", leave=False)):
        cond = data.label[:, i]
        answers = torch.stack([generate(trained.model, len(cond), seed + j, cond, **options) for j in range(8)])
        apart = answers.std(0).square().mean().sqrt().item()
        found[kind] = {
            "damaged": psnr(cond, data.x0), "one": psnr(answers[0], data.x0), "mean": psnr(answers.mean(0), data.x0),
            "apart": apart,
        }  # fmt: skip
    return found


def measure_eyes(trained: Trained) -> tuple[dict[str, Any], str]:
    """What is measured of a reader, a classifier or an autoencoder of coloured pictures, on held-out ones; and in words.

    Of reconstructions: decibels by kind, how many scenes are still read rightly, how many emoji are nearest to their own.
    """
    data, model = load(trained.recipe.data), trained.model
    held_out = data.held_out
    if hasattr(model, "read"):
        found = reading(model, held_out.x0, held_out.label)
        return {"held_out": asdict(found)}, f"whole scenes read rightly {found.whole:.2%}"
    if not hasattr(model, "decode"):
        right = (classify(trained, held_out.x0) == held_out.label).double().mean().item()
        return {
            "held_out": {"accuracy": right, "images": len(held_out)}
        }, f"{right:.1%} of {len(held_out)} read rightly"
    with torch.no_grad():
        made = torch.cat([model.decode(model.encode(part)) for part in held_out.x0.split(250)]).clamp(-1, 1)
    of = {kind: held_out.label == i for i, kind in enumerate(data.classes)}
    decibels = {kind: psnr(made[rows], held_out.x0[rows]) for kind, rows in of.items()}
    shapes, emoji = load("shapes").held_out, load("emoji")
    wanted = [
        attributes_of(text) for text in load("shapes").vocabulary.decode(shapes.label[: int(of["shapes"].sum()), 0])
    ]
    read = reading(load_trained(READER).model, made[of["shapes"]], torch.stack(wanted))
    right = torch.arange(len(emoji.held_out)) + len(emoji.train)
    named = naming(made[of["emoji"]], right, torch.cat([emoji.train.x0, emoji.held_out.x0]))
    words = ", ".join(f"{kind} {value:.1f} dB" for kind, value in decibels.items())
    words += f"; scenes read rightly {read.whole:.1%}; emoji nearest to their own {named.nearest:.0%}"
    measured = {"psnr": decibels, "images": len(made), "read": read.whole, "nearest": named.nearest}
    return {"held_out": measured}, words


def psnr(x0: Tensor, true: Tensor) -> float:
    """Peak signal to noise ratio, in decibels: 10 log10(2^2 / mean squared error), for pictures in [-1, 1]."""
    if check_images(x0).shape != check_images(true, "true").shape:
        raise ValueError(f"both must have one shape; got {tuple(x0.shape)} and {tuple(true.shape)}")
    return (10 * torch.log10(4 / (x0 - true).square().mean())).item()
