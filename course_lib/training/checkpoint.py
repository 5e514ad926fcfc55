"""Checkpoints that survive: each is written aside, synced, renamed, and never touched again.

A run's folder holds numbered checkpoints and a small file `latest` that names the newest:

    runs/ddpm-digits/step-001500/  model.safetensors   the averaged weights: all that sampling needs
                                   training.pt         the raw weights and the optimizer: what resuming needs
                                   recipe.json         the recipe, the step, the metrics, and the hashes of all this

A folder with `model.safetensors` and `recipe.json` alone is a whole model: the shipped ones are such folders.
"""

import hashlib
import io
import json
import os
import pickle
import re
import shutil
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from course_lib.checks import shown
from course_lib.paths import shorten
from course_lib.training.recipes import Recipe

MODEL, TRAINING, CARD, LATEST = "model.safetensors", "training.pt", "recipe.json", "latest"
MADE = ("recipe", "step", "version", "torch", "device", "bf16", "data", "needs")  # what no measurement changes
SEAL = "recipe"  # under this name, a hash of all that and of the files' hashes


class CheckpointError(Exception):
    """A checkpoint is missing, damaged, of another recipe, or could not be written."""


def save(run: Path, step: int, recipe: Recipe, model: dict[str, Tensor], training: dict[str, Any], card: dict) -> Path:
    """Write a checkpoint of this step; older ones but the last are deleted once it is safe.

    Raises CheckpointError where it can't be written (a full disk, a folder without permission); the last good one
    stays.
    """
    final, partial = run / name_of(step), run / f".{name_of(step)}.partial"
    try:
        if damage_of(final, to_resume=True) is None:
            return _point_to(final)
        buffer = io.BytesIO()
        torch.save(training, buffer)
        model = {name: value.detach().cpu().contiguous() for name, value in model.items()}
        contents = {MODEL: save_safetensors(model), TRAINING: buffer.getvalue()}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        card = {"recipe": recipe.as_json(), "step": step, **card, "sha256": hashes}
        hashes[SEAL] = seal_of(card)
        contents[CARD] = _as_text(card)
        for left_over in run.glob(".step-*.partial"):
            shutil.rmtree(left_over, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, content in contents.items():
            _write_synced(partial / name, content)
        _sync_folder(partial)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        _point_to(final)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(
            f"could not write the checkpoint {shorten(final)}: {error.strerror or error}. Checkpoints written before "
            "it are untouched: make room, or choose another folder, and resume"
        ) from error
    older = [folder for folder in numbered(run) if _step_of(folder) < step]
    for old in older[1:]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def probe(folder: Path, size: int = 1, remedy: str = "choose another folder (--out), or make room") -> None:
    """Write so many bytes into a folder and take them away again, the folder too where it was not there.

    Raises CheckpointError, with the reason and the remedy, where that fails: then a checkpoint would fail too.
    """
    path, made = folder / ".probe", []
    try:
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        _write_synced(path, bytes(size))
    except OSError as error:
        raise CheckpointError(
            f"{size:,} bytes can't be written into {shorten(folder)} ({error.strerror or error}): {remedy}"
        ) from error
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            for place in made:
                place.rmdir()


def name_of(step: int) -> str:
    """The name of the folder of a checkpoint."""
    return f"step-{step:06d}"


def numbered(run: Path) -> list[Path]:
    """The run's checkpoints, newest first."""
    return sorted((p for p in run.glob("step-*") if p.is_dir() and _step_of(p) is not None), key=_step_of, reverse=True)


def newest(run: Path, to_resume: bool = False) -> Path | None:
    """The newest whole checkpoint of a run; None where there is none at all.

    A damaged one is passed over, with a warning that says which one is taken instead. to_resume: the training state
    counts too. Raises CheckpointError, with what is wrong, where there are checkpoints and none can be taken.
    """
    pointer, folders = run / LATEST, numbered(run)
    if pointer.is_file() and (named := run / pointer.read_text(errors="replace").strip()) in folders:
        folders = [named, *[f for f in folders if f != named]]
    passed, verdict = [], "can't be resumed" if to_resume else "is damaged"
    for folder in folders:
        if (damage := damage_of(folder, to_resume)) is None:
            if passed:
                warnings.warn(f"{'; '.join(passed)}: falling back to {folder.name}", stacklevel=2)
            return folder
        passed.append(f"{shorten(folder)} {verdict} ({damage})")
    if passed:
        remedy = "train into another folder (--out), or delete this one"
        raise CheckpointError(f"{'; '.join(passed)}, and there is no other checkpoint in {shorten(run)}: {remedy}")
    return None


def read_training(folder: Path, recipe: Recipe) -> dict[str, Any]:
    """What resuming needs, with the step. Raises CheckpointError for a checkpoint of another recipe, or one without it.

    Where the learning rate does not fall, a run is the beginning of any longer one, and may go on to more steps.
    """
    card = read_card(folder)
    ours, theirs = recipe.as_json(), recipe_in(card, folder).as_json()
    different = [name for name in ours if ours[name] != theirs[name]]
    if different and not (different == ["steps"] and recipe.fall == "none" and 0 < card["step"] <= recipe.steps):
        changes = "; ".join(f"{name} is {theirs[name]!r} there, {ours[name]!r} here" for name in different)
        remedy = "resume with that recipe, or train into another folder"
        if different == ["steps"] and recipe.fall == "cosine":
            remedy = (
                "the learning rate falls over all the steps, so another number of them is another training: "
                f"resume with --steps {theirs['steps']}, or train into another folder (--out)"
            )
        raise CheckpointError(f"{shorten(folder)} belongs to another recipe ({changes}): {remedy}")
    try:
        content = io.BytesIO((folder / TRAINING).read_bytes())
        training = torch.load(content, weights_only=True, map_location="cpu")
        if not all(isinstance(training[part], dict) for part in ("model", "optimizers")):
            raise ValueError("it holds no weights and optimizers by name")
    except (OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, pickle.UnpicklingError) as error:
        why = str(error).partition("\n")[0]
        raise CheckpointError(f"the training state in {shorten(folder)} can't be read: {why}") from error
    return {**training, "average": read_weights(folder), "step": card["step"]}


def state_of(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """An optimizer's state, which gives the same bytes whether it was loaded once or never: in order, with one of each name."""
    state = optimizer.state_dict()
    averages = {
        i: {sys.intern(name): value for name, value in own.items()} for i, own in sorted(state["state"].items())
    }
    return state | {"state": averages}


def fill_optimizer(optimizer: torch.optim.Optimizer, state: Any, folder: Path) -> None:
    """Load the state that a checkpoint stores. Raises CheckpointError where it is another optimizer's, or not finite."""
    try:
        optimizer.load_state_dict(state)
        for weight, averages in optimizer.state.items():
            for name, value in averages.items():  # PyTorch would read beyond one of another shape
                shape = () if name == "step" else tuple(weight.shape)
                if value.shape != shape or not value.isfinite().all():
                    raise ValueError(f"{name} must be finite, of the shape {shape}; got {shown(value)}")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"the optimizer's state in {shorten(folder)} is damaged: {error}") from error


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint by name. Raises CheckpointError where they can't be read."""
    try:
        return load_safetensors((folder / MODEL).read_bytes())
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"the weights in {shorten(folder)} can't be read: {error}") from error


def update_card(folder: Path, **values: Any) -> None:
    """Write measured values into a checkpoint's recipe.json, atomically."""
    card = read_card(folder) | values
    partial = folder / f".{CARD}.partial"
    _write_synced(partial, _as_text(card))
    partial.replace(folder / CARD)


def read_card(folder: Path) -> dict[str, Any]:
    """What recipe.json says. Raises CheckpointError where it can't be read, or is not what the training wrote."""
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(f"{shorten(path)} can't be read: {why}") from error
    hashes = card.get("sha256") if isinstance(card, dict) else None
    if not isinstance(hashes, dict) or not {MODEL, SEAL} <= hashes.keys():
        raise CheckpointError(
            f"{shorten(path)} is not what `course train` writes: it lacks the hashes of the weights and of the recipe"
        )
    if hashes[SEAL] != seal_of(card):
        raise CheckpointError(
            f"{shorten(path)} was changed after the training wrote it: put the original back, or train the model again"
        )
    return card


def seal_of(card: dict[str, Any]) -> str:
    """The hash of all in a card that decides what the model is: how it was made, and the hashes of its files."""
    made = {name: card[name] for name in MADE if name in card}
    files = {name: value for name, value in card["sha256"].items() if name != SEAL}
    return hashlib.sha256(json.dumps([made, files], sort_keys=True).encode()).hexdigest()


def recipe_in(card: dict[str, Any], folder: Path) -> Recipe:
    """Recipes are compared as this version reads them, so that a new field with a default changes no old one."""
    try:
        return Recipe.from_json(card["recipe"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{shorten(folder / CARD)} holds no recipe that this version knows: {error}") from error


def damage_of(folder: Path, to_resume: bool = False) -> str | None:
    """What is wrong with a checkpoint, or None. to_resume: with its training state too, which sampling does not need."""
    try:
        card = read_card(folder)
        step = card.get("step")
        if type(step) is not int or _step_of(folder) not in (None, step):
            return f"{CARD} says step {step!r}"
        for name in (MODEL, TRAINING) if to_resume else (MODEL,):
            if not (folder / name).is_file():
                return f"{name} is missing"
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != card["sha256"].get(name):
                return f"{name} is not what was written"
    except (OSError, CheckpointError) as error:
        return str(error)
    return None


def _step_of(folder: Path) -> int | None:
    """The number of a checkpoint in a run's folder; None for a folder of another name, as the shipped ones have."""
    found = re.fullmatch(r"step-(\d+)", folder.name)
    return int(found[1]) if found else None


def _point_to(final: Path) -> Path:
    partial = final.parent / f".{LATEST}.partial"
    _write_synced(partial, final.name.encode())
    partial.replace(final.parent / LATEST)
    _sync_folder(final.parent)
    return final


def _as_text(values: dict) -> bytes:
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows can't open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
