"""Trained models: where they are found, what they stand on, and what is refused."""

import pytest
import torch

from course_lib.data import Split
from course_lib.training import Recipe, Run, finished, trained

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
