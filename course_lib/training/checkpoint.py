"""Checkpoints that survive: each is written aside, synced, renamed, and never touched again.

A run's folder holds numbered checkpoints and a small file `latest` that names the newest:

    runs/ddpm-digits/step-001500/  model.safetensors   the averaged weights: all that sampling needs
                                   training.pt         the raw weights and the optimizer: what resuming needs
                                   recipe.json         the recipe, the step, the metrics, the files' hashes

A folder with `model.safetensors` and `recipe.json` alone is a whole model: the shipped ones are such folders.
"""

import hashlib
import io
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from course_lib.paths import shorten
from course_lib.training.recipes import Recipe

MODEL, TRAINING, CARD, LATEST = "model.safetensors", "training.pt", "recipe.json", "latest"


class CheckpointError(Exception):
    """A checkpoint is missing, damaged, of another recipe, or could not be written."""


def save(run: Path, step: int, recipe: Recipe, model: dict[str, Tensor], training: dict[str, Any], card: dict) -> Path:
    """Write a checkpoint of this step; older ones but the last are deleted once it is safe.

    Raises CheckpointError where it can't be written (a full disk, a folder without permission); the last good one
    stays.
    """
    final, partial = run / f"step-{step:06d}", run / f".step-{step:06d}.partial"
    try:
        if (final / TRAINING).is_file() and damage_of(final) is None:
            return _point_to(final)
        buffer = io.BytesIO()
        torch.save(training, buffer)
        model = {name: value.detach().cpu().contiguous() for name, value in model.items()}
        contents = {MODEL: save_safetensors(model), TRAINING: buffer.getvalue()}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        contents[CARD] = _as_text({"recipe": recipe.as_json(), "step": step, **card, "sha256": hashes})
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


def numbered(run: Path) -> list[Path]:
    """The run's checkpoints, newest first."""
    folders = [p for p in run.glob("step-*") if p.is_dir() and p.name.removeprefix("step-").isdigit()]
    return sorted(folders, key=_step_of, reverse=True)


def newest(run: Path, to_resume: bool = False) -> Path | None:
    """The newest whole checkpoint of a run; None where there is none. A damaged one is passed over with a warning.

    to_resume: one without the optimizer's state is passed over too, where another has it.
    """
    pointer, folders = run / LATEST, numbered(run)
    if pointer.is_file() and (named := run / pointer.read_text(errors="replace").strip()) in folders:
        folders = [named, *[f for f in folders if f != named]]
    needs_training = to_resume and any((f / TRAINING).is_file() for f in folders)
    for folder in folders:
        lacking = f"{TRAINING} is missing" if needs_training and not (folder / TRAINING).is_file() else None
        if (damage := lacking or damage_of(folder)) is None:
            return folder
        warnings.warn(f"{shorten(folder)} is damaged ({damage}); falling back to the one before it", stacklevel=2)
    return None


def read_training(folder: Path, recipe: Recipe) -> dict[str, Any]:
    """What resuming needs, with the step. Raises CheckpointError for a checkpoint of another recipe."""
    card = read_card(folder)
    ours, theirs = recipe.as_json(), recipe_in(card, folder).as_json()
    if different := [name for name in ours if ours[name] != theirs[name]]:
        changes = "; ".join(f"{name} is {theirs[name]!r} there, {ours[name]!r} here" for name in different)
        raise CheckpointError(
            f"{shorten(folder)} belongs to another recipe ({changes}): resume with that recipe, or train into another folder"
        )
    if not (folder / TRAINING).is_file():
        raise CheckpointError(f"{shorten(folder)} holds a finished model but no {TRAINING}: it can't be resumed")
    training = torch.load(io.BytesIO((folder / TRAINING).read_bytes()), weights_only=True, map_location="cpu")
    return {**training, "average": read_weights(folder), "step": card["step"]}


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint by name. Raises CheckpointError where they can't be read."""
    try:
        return load_safetensors((folder / MODEL).read_bytes())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"the weights in {shorten(folder)} can't be read: {error}") from error


def update_card(folder: Path, **values: Any) -> None:
    """Write measured values into a checkpoint's recipe.json, atomically."""
    card = read_card(folder) | values
    partial = folder / f".{CARD}.partial"
    _write_synced(partial, _as_text(card))
    partial.replace(folder / CARD)


def read_card(folder: Path) -> dict[str, Any]:
    """What recipe.json says. Raises CheckpointError where it can't be read."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{shorten(folder / CARD)} can't be read: {error}") from error
    if not isinstance(card, dict) or not isinstance(card.get("sha256"), dict):
        raise CheckpointError(f"{shorten(folder / CARD)} is not what `course train` writes: it has no hashes")
    return card


def recipe_in(card: dict[str, Any], folder: Path) -> Recipe:
    """Recipes are compared as this version reads them, so that a new field with a default changes no old one."""
    try:
        return Recipe.from_json(card["recipe"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{shorten(folder / CARD)} holds no recipe of this version: {error}") from error


def damage_of(folder: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        card = read_card(folder)
        if not isinstance(card["step"], int):
            return f"{CARD} says step {card['step']!r}"
        if folder.name.startswith("step-") and card["step"] != _step_of(folder):
            return f"{CARD} says step {card['step']}"
        for name, expected in card["sha256"].items():
            if name == TRAINING and not (folder / name).exists():
                continue  # a shipped model is a checkpoint without it
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
                return f"{name} is not what was written"
    except KeyError as missing:
        return f"{CARD} lacks {missing}"
    except (OSError, CheckpointError) as error:
        return str(error)
    return None


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


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
