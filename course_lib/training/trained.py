"""Trained models: where they are, and how one is built and filled."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.checks import shown
from course_lib.models import MODELS, choose
from course_lib.paths import CHECKPOINTS, RUNS, shorten
from course_lib.training import checkpoint
from course_lib.training.checkpoint import CARD, MODEL, CheckpointError
from course_lib.training.recipes import Recipe, check_recipe, recipe_named


@dataclass
class Trained:
    """A model as a checkpoint holds it, ready to use. card: what recipe.json says beside the recipe."""

    recipe: Recipe
    model: nn.Module
    step: int
    folder: Path
    card: dict[str, Any] = field(default_factory=dict)


def build(recipe: Recipe, needed: dict[str, Trained] | None = None) -> nn.Module:
    """The recipe's model, with fresh weights from its seed; PyTorch's global generator is left as it was.

    needed: the models that it stands on, by role (None: they are loaded). They are frozen in it.
    """
    needed = needed_by(check_recipe(recipe)) if needed is None else needed
    make = choose(MODELS, recipe.model, "model")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        given = recipe.options | {role: trained.model for role, trained in needed.items()}
        try:
            model = make(**given)
        except (TypeError, RuntimeError, ArithmeticError, LookupError, AttributeError) as error:
            raise ValueError(
                f"{recipe.name}: {recipe.model!r} can't be built of its options and needs: {error}"
            ) from error
    for role in needed:
        if not hasattr(model, role):
            raise ValueError(f"the model {recipe.model!r} must keep its {role} as an attribute of that name")
        getattr(model, role).eval().requires_grad_(False)
    return model


def needed_by(recipe: Recipe) -> dict[str, Trained]:
    """The trained models that a recipe stands on, by role. Raises ValueError, with the command, where one is missing."""
    return {role: finished(name) for role, name in recipe.needs.items()}


def own_weights(model: nn.Module, recipe: Recipe, half: bool = False) -> dict[str, Tensor]:
    """What a checkpoint stores of a model: not the models that it needs, and weights that are tied only once.

    half: in half precision.
    """
    own, seen = {}, set()
    for name, values in model.state_dict().items():
        place = values.data_ptr(), values.shape, values.stride()
        if name.partition(".")[0] not in recipe.needs and (values.numel() == 0 or place not in seen):
            own[name] = values.half() if half and values.is_floating_point() else values
            seen.add(place)
    return own


def size_of_checkpoint(model: nn.Module, recipe: Recipe) -> int:
    """Bytes: of the averaged weights, the raw ones, and the optimizer's two averages of each gradient."""
    return (4 if recipe.steps else 2) * sum(value.nbytes for value in own_weights(model, recipe).values())


def fill(model: nn.Module, recipe: Recipe, weights: dict[str, Tensor], folder: Path) -> None:
    """Load the weights that a checkpoint stores.

    Raises CheckpointError where their names, shapes or kinds are others, and where they are not finite.
    """
    if recipe.half:
        weights = {name: value.float() if value.dtype == torch.float16 else value for name, value in weights.items()}
    ours = {name: _kind(value) for name, value in own_weights(model, recipe).items()}
    theirs = {name: _kind(value) for name, value in weights.items()}
    if different := [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]:
        name = different[0]
        raise CheckpointError(
            f"the weights in {shorten(folder)} don't fit its recipe: {len(different)} differ, the first is {name} "
            f"(there {theirs.get(name, 'missing')}, here {ours.get(name, 'missing')})"
        )
    if broken := [name for name, value in weights.items() if not value.isfinite().all()]:
        raise CheckpointError(f"the weights in {shorten(folder)} are NaN or infinite, the first is {broken[0]}")
    model.load_state_dict(weights, strict=False)


def _kind(value: Any) -> str:
    return (
        f"{tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}" if torch.is_tensor(value) else shown(value)
    )


def load_trained(where: str | Path) -> Trained:
    """A trained model, ready to use: the name of a shipped one or of a run, a run's folder, or one checkpoint's.

    Raises CheckpointError, saying what was looked for and where.
    """
    folder = _find(where)
    card = checkpoint.read_card(folder)
    recipe = checkpoint.recipe_in(card, folder)
    del card["recipe"]
    needed = needed_by(recipe)
    check_needed(card, needed, folder)
    model = build(recipe, needed)
    fill(model, recipe, checkpoint.read_weights(folder), folder)
    return Trained(recipe, model.eval().requires_grad_(False), card.pop("step"), folder, card)


def check_needed(card: dict[str, Any], needed: dict[str, Trained], folder: Path) -> None:
    """Raises CheckpointError where a model stands on another one than the one that it was trained with."""
    stated = card.get("needs")
    for role, trained in needed.items():
        if not isinstance(stated, dict) or stated.get(role) != trained.card["sha256"][MODEL]:
            raise CheckpointError(
                f"{shorten(folder)} was trained with another {role} than the one in {shorten(trained.folder)}: "
                "train it again with this one, or put the other one back"
            )


def finished(name: str) -> Trained:
    """The shipped model of a recipe, or the finished run. Raises ValueError, with the command, where neither exists."""
    recipe, folder = recipe_named(name), CHECKPOINTS / name
    if not folder.is_dir():
        folder = default_folder(recipe)
    if not folder.is_dir():
        raise ValueError(f"{name} has not been trained here; train it first: course train {name}")
    trained = load_trained(folder)
    if trained.recipe != recipe:
        raise ValueError(
            f"{shorten(folder)} holds {name} of another recipe ({trained.recipe.steps} steps, seed {trained.recipe.seed}): "
            f"move it away, and train the usual one: course train {name}"
        )
    if trained.step < recipe.steps:
        raise ValueError(
            f"{shorten(folder)} holds {name} after {trained.step} of {recipe.steps} steps: finish it: "
            f"course train {name} --resume"
        )
    return trained


def start_in(out: str | Path | None, resume: bool) -> Path | None:
    """The checkpoint from which a training into this folder goes on; None where it begins.

    Raises CheckpointError, with what to do, for a folder that is none, is a model itself or lies among the shipped ones;
    where it holds a run and that is not to be resumed; and where there is nothing to resume.
    """
    if out is None and not resume:
        return None
    if not isinstance(out, str | Path) or not str(out):
        raise CheckpointError(f"out must name the folder of a run; got {out!r}")
    out, where = Path(out), shorten(out)
    if out.exists() and not out.is_dir():
        raise CheckpointError(f"{where} is a file: name a folder for the checkpoints (--out)")
    if out.resolve().is_relative_to(CHECKPOINTS.resolve()):
        raise CheckpointError(f"{where} lies among the models that ship with the course: choose another folder (--out)")
    if (out / CARD).exists():
        raise CheckpointError(f"{where} is a checkpoint itself: name the folder of the run, or a new one (--out)")
    present = checkpoint.numbered(out)
    if resume and not present:
        raise CheckpointError(f"there is nothing to resume in {where}: start without --resume, or name the run (--out)")
    if present and not resume:
        raise CheckpointError(
            f"{where} already holds a run ({present[0].name}): resume it (--resume), or train into another folder (--out)"
        )
    return checkpoint.newest(out, to_resume=True)


def default_folder(recipe: Recipe) -> Path:
    """Where `course train` puts a run."""
    return RUNS / check_recipe(recipe).name


def shipped() -> list[str]:
    """The names of the models that come with the course."""
    return sorted(path.parent.name for path in CHECKPOINTS.glob(f"*/{CARD}"))


def _find(where: str | Path) -> Path:
    """The folder of one whole checkpoint."""
    if not isinstance(where, str | Path):
        raise CheckpointError(f"a checkpoint is named by its folder, or by a shipped model's name; got {shown(where)}")
    places = (Path(where), CHECKPOINTS / where, RUNS / where) if str(where) else ()
    folder = next((place for place in places if place.exists()), None)
    if folder and not (folder / CARD).is_file():
        folder = checkpoint.newest(folder)
    if folder:
        if damage := checkpoint.damage_of(folder):
            raise CheckpointError(f"{shorten(folder)} is damaged: {damage}")
        return folder
    raise CheckpointError(
        f"there is no checkpoint at {str(where)!r}: name a folder that `course train` wrote, or a shipped one: "
        + (", ".join(shipped()) or "none is here")
    )
