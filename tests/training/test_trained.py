"""Trained models: where they are found, what they stand on, and what is refused."""

import pytest
import torch

from course_lib.data import Split
from course_lib.training import (
    CheckpointError,
    Recipe,
    Run,
    build,
    default_folder,
    finished,
    load_trained,
    recipe_named,
    trained,
)

NET = {"channels": 1, "size": 8, "width": 8, "multipliers": [1, 2], "blocks": 1, "groups": 4}
TINY = Recipe(name="tiny", data="digits", model="unet-denoiser", options=NET, steps=2, batch=4)
IMAGES = Split(torch.zeros(8, 1, 8, 8), torch.zeros(8, dtype=torch.long))


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """No model is shipped, and runs lie in an empty folder."""
    monkeypatch.setattr(trained, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setattr(trained, "RUNS", tmp_path / "runs")
    return tmp_path / "runs"


def test_the_shipped_model_needs_no_run():
    found = finished("ddpm-digits")
    assert found.recipe.name == "ddpm-digits" and found.step == found.recipe.steps


def test_a_recipe_that_was_not_trained_is_an_error_with_the_command(runs):
    with pytest.raises(ValueError, match=r"ddpm-digits-bound has not been .*: course train ddpm-digits-bound$"):
        finished("ddpm-digits-bound")


def test_an_unknown_recipe_is_an_error_with_the_nearest_names(runs):
    with pytest.raises(ValueError, match=r"there is no recipe 'ddpm-digit' \(did you mean ddpm-digits"):
        finished("ddpm-digit")


def test_a_run_must_be_finished(runs, monkeypatch):
    monkeypatch.setattr(trained, "recipe_named", {"tiny": TINY}.get)
    run = Run(TINY, runs / "tiny", device="cpu", data=IMAGES, every=1, save_every=1)
    steps = iter(run)
    next(steps)
    steps.close()
    with pytest.raises(ValueError, match=r"holds tiny after 1 of 2 steps: .*course train tiny --resume"):
        finished("tiny")
    list(Run(TINY, runs / "tiny", device="cpu", data=IMAGES, every=1, save_every=1, resume=True))
    assert finished("tiny").step == 2


def test_a_short_run_of_the_recipe_is_no_finished_one(runs, monkeypatch):
    """`course train tiny --steps 1` ends well, with steps = 1 in its card; its model is not the recipe's."""
    monkeypatch.setattr(trained, "recipe_named", {"tiny": TINY}.get)
    short = Recipe.from_json(TINY.as_json() | {"steps": 1})
    list(Run(short, runs / "tiny", device="cpu", data=IMAGES))
    with pytest.raises(ValueError, match=r"holds tiny of another recipe \(1 steps, seed 0\): move it away"):
        finished("tiny")


def test_a_finished_run_of_another_recipe_is_not_taken_for_it(runs, monkeypatch):
    """`course train tiny --seed 1` has all its steps."""
    monkeypatch.setattr(trained, "recipe_named", {"tiny": TINY}.get)
    list(Run(Recipe.from_json(TINY.as_json() | {"seed": 1}), runs / "tiny", device="cpu", data=IMAGES))
    with pytest.raises(ValueError, match=r"holds tiny of another recipe \(2 steps, seed 1\): move it away"):
        finished("tiny")


@pytest.mark.parametrize("where", [None, 3, b"ddpm-digits", ["ddpm-digits"]], ids=repr)
def test_a_checkpoint_is_named_by_a_text_or_a_path(where):
    with pytest.raises(CheckpointError, match="a checkpoint is named by its folder, or by a shipped model's name; got"):
        load_trained(where)


@pytest.mark.parametrize("needs_a_recipe", [build, default_folder, Run])
def test_the_name_of_a_recipe_is_no_recipe(needs_a_recipe):
    with pytest.raises(ValueError, match="recipe must be a Recipe, as recipe_named.name. gives it; got 'ddpm-digits'"):
        needs_a_recipe("ddpm-digits")


@pytest.mark.parametrize("name", [None, 3, ["ddpm-digits"]], ids=repr)
def test_what_is_no_text_names_no_recipe(name):
    with pytest.raises(ValueError, match="there is no recipe .*; the recipes are: .*ddpm-digits"):
        recipe_named(name)


@pytest.mark.parametrize("field", ["ema", "weight_decay"])
def test_false_is_no_number_of_a_recipe(field):
    with pytest.raises(ValueError, match=f"a recipe's {field} must be .* got False"):
        Recipe(name="tiny", data="digits", model="unet-denoiser", **{field: False})
