"""The five commands on every kind of model: trained, stopped, resumed, sampled, evaluated, and shown beside the others."""

import itertools
import json

import numpy as np
import pytest
import small_models
from PIL import Image

from course_lib.models import makes_images
from course_lib.training import Run, load_trained, shipped, trained

# a recipe, and the options that its model takes
KINDS = {
    "small-vae": ["--temperature", "0.5"],
    "small-gan": [],
    "small-latents": ["--steps", "3", "--guidance", "1.5", "--label", "7"],
    "small-gaussian": [],
    "small-plane": [],
}


@pytest.fixture(autouse=True, scope="module")
def runs(tmp_path_factory):
    """Where runs lie, with the autoencoder that another model needs; the feature networks are shipped."""
    folder = tmp_path_factory.mktemp("runs")
    small_models.register()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained, "RUNS", folder)
        list(Run(small_models.VAE, folder / "small-vae", device="cpu"))
        yield folder
    small_models.unregister()


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", KINDS)
def test_a_model_is_trained_stopped_resumed_sampled_and_evaluated(course, monkeypatch, tmp_path, name):
    assert course("train", name, "--device", "cpu", "--out", "whole")[0] == 0
    if name not in ("small-gaussian", "small-plane"):
        honest, steps = Run._train_step, itertools.count(1)

        def interrupted(run):
            if next(steps) == 9:
                raise KeyboardInterrupt
            return honest(run)

        with monkeypatch.context() as patch:
            patch.setattr(Run, "_train_step", interrupted)
            code, out, _ = course("train", name, "--device", "cpu", "--out", "parts")
        assert code == 130 and "stopped after step 8 of 20" in out
        assert course("train", name, "--device", "cpu", "--out", "parts", "--resume")[0] == 0
        last = max(tmp_path.glob("whole/step-*")).name
        assert bytes_of(tmp_path / "parts" / last) == bytes_of(tmp_path / "whole" / last)

    code, out, err = course("sample", "whole", "-n", 9, "--out", "made.png", *KINDS[name])
    assert code == 0, err
    assert np.asarray(Image.open(tmp_path / "made.png")).std() > 10

    code, out, err = course("evaluate", "whole", "-n", 500, "--seeds", 1, "--save")
    assert code == 0, err
    (row,) = [line for line in out.splitlines() if line.startswith(name)]
    assert "FD ratio" in out and "±" not in row  # of one set there is no spread
    scores = json.loads(next(tmp_path.glob("whole/step-*/recipe.json")).read_text(encoding="utf-8"))["scores"]
    assert (scores["condition"] is not None) == (name == "small-latents")
    assert scores["bits_per_dim"] is None and scores["cost"]["weights"] >= 0
    code, out, _ = course("scoreboard", "whole")
    assert code == 0 and any(line.startswith("whole ") for line in out.splitlines())


def test_an_option_of_another_model_is_refused_by_name(course, runs):
    code, _, err = course("sample", runs / "small-vae", "--steps", 5)
    assert code == 2 and "small-vae takes no --steps; its own options are: --temperature" in err


def test_a_class_that_the_data_lack_is_refused_with_those_there_are(course):
    course("train", "small-latents", "--device", "cpu", "--out", "run")
    code, _, err = course("sample", "run", "--label", "ten")
    assert code == 1 and "there is no class 'ten'; choose one of: 0, 1, 2" in err


def test_a_model_that_is_fitted_in_one_go_takes_no_steps(course):
    code, _, err = course("train", "small-gaussian", "--steps", 5, "--out", "run")
    assert code == 1 and "small-gaussian is fitted in one go, without training steps: leave --steps out" in err


def test_recipes_says_which_are_fitted(course):
    lines = {line.split()[0]: line for line in course("recipes")[1].splitlines()}
    assert "fitted in one go" in lines["small-gaussian"] and "20 steps of    8" in lines["small-gan"]


def test_the_scoreboard_shows_every_shipped_model_that_makes_images(course):
    code, out, _ = course("scoreboard")
    shown = {line.split()[0] for line in out.splitlines() if line}
    makers = {name for name in shipped() if makes_images(load_trained(name).model)}
    assert code == 0 and makers == shown & set(shipped())
