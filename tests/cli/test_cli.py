"""The command line as a newcomer meets it: what it says, and what it says when something is wrong."""

import dataclasses
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import click
import numpy as np
import pytest
from PIL import Image

from course_lib import cli, metrics, training
from course_lib.commands import generating
from course_lib.experiments import recording
from course_lib.paths import CHECKPOINTS
from course_lib.training import trained


def test_as_a_program_an_error_is_one_line_without_a_traceback():
    ran = subprocess.run(
        [sys.executable, "-m", "course_lib.cli", "train", "ddpm-digit"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1 and ran.stdout == ""
    assert ran.stderr.startswith("course: there is no recipe 'ddpm-digit' (did you mean ddpm-digits")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [[], *[[name] for name in cli.cli.commands]])
def test_help_reads_well(course, command):
    code, out, _ = course(*command, "--help")
    assert code == 0 and out.startswith("Usage: ")
    assert all(len(line) <= 110 for line in out.splitlines())
    options = [p for p in cli.cli.commands[command[0]].params if isinstance(p, click.Option)] if command else []
    assert all(option.help for option in options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["train"], "Missing argument 'RECIPE'"),
        (["train", "ddpm-digits", "--steps", "0"], "0 is not in the range 1<=x<=1000000000"),
        (["train", "ddpm-digits", "--steps", "ten"], "'ten' is not a valid whole number"),
        (["train", "ddpm-digits", "--device", "tpu", "--out", "run"], "there is no device 'tpu'; choose auto, cpu"),
        (["train", "ddpm-digits", "--device", "cpu", "--compile", "--out", "run"], "compile is for CUDA"),
        (["sample", "nowhere"], "there is no checkpoint at 'nowhere'"),
        (["sample", "ddpm-digits", "--eta", "2"], "eta must lie in 0 … 1"),
        (
            ["sample", "ddpm-digits", "--sampler", "magic"],
            "there is no sampler 'magic'; choose one of: ddim, ddpm, euler",
        ),
        (["sample", "ddpm-digits", "--sampler", "heun", "--eta", "1"], "eta lies between ddim and ddpm; heun has none"),
        (
            ["sample", "ddpm-digits", "--temperature", "1"],
            "takes no --temperature; its own options are: --steps, --sampler",
        ),
        (["sample", "ddpm-digits", "--steps", "ten"], "--steps takes a whole number; got 'ten'"),
        (["sample", "ddpm-digits", "--steps", "2.5"], "--steps takes a whole number; got '2.5'"),
        (["sample", "ddpm-digits", "--steps"], "--steps needs a value"),
        (["sample", "ddpm-digits", "--guidance", "3"], "guidance compares the answers with and without a condition"),
        (["sample", "ddpm-digits", "--label", "3"], "ddpm-digits sees no labels"),
        (["sample", "ddpm-digits", "extra"], "takes no extra"),
        (
            ["evaluate", "features-digits", "--steps", "5"],
            "features-digits takes no --steps; its own options are: none",
        ),
        (["sample", "ddpm-digits", "--steps", "2000"], "steps must lie in 1 … 1000; got 2000"),
        (["sample", "ddpm-digits", "--out", "grid.jpg"], "--out must name a PNG file"),
        (["sample", "ddpm-digits", "--out", "no/such/grid.png"], "there is no folder no/such"),
        (["sample", "features-digits"], "it makes no images"),
        (["evaluate", "ddpm-digits", "-n", "100"], "-n must be at least 500, for fewer images can't be judged"),
        (["notebooks", "77"], "there is no lesson '77'"),
        (["record"], "Missing argument 'NAME'"),
        (["record", "nonsense"], "'nonsense' is not one of 'ablations-digits', "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_that_says_what_is_accepted(course, arguments, message):
    code, _, err = course(*arguments)
    assert code != 0 and message in err
    assert err.startswith("course: ") and err.count("\n") == 1


def test_sample_writes_a_grid_that_can_be_seen(course, tmp_path):
    code, out, _ = course("sample", "ddpm-digits", "-n", 9, "--steps", 5, "--out", "digits.png")
    picture = np.asarray(Image.open(tmp_path / "digits.png"))
    assert code == 0 and "wrote 9 images to digits.png" in out
    assert min(picture.shape[:2]) >= 500 and picture.std() > 50


def test_the_same_seed_writes_the_same_bytes_and_another_one_others(course, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        course(
            "sample", "ddpm-digits", "-n", 4, "--steps", 3, "--sampler", "ddpm", "--seed", seed, "--out", f"{name}.png"
        )
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_eta_overrides_the_sampler(course, tmp_path):
    course("sample", "ddpm-digits", "-n", 4, "--steps", 3, "--sampler", "ddpm", "--eta", 0, "--out", "a.png")
    course("sample", "ddpm-digits", "-n", 4, "--steps", 3, "--out", "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_train_writes_a_checkpoint_that_sample_and_evaluate_take(course, tmp_path):
    code, out, _ = course("train", "ddpm-digits", "--steps", 2, "--device", "cpu", "--out", "run")
    assert code == 0 and "step-000002 is finished" in out and "course sample run" in out
    assert course("sample", "run", "-n", 2, "--steps", 2)[0] == 0

    code, _, err = course("train", "ddpm-digits", "--steps", 2, "--out", "run")
    assert code == 1 and "already holds a run" in err and "--resume" in err
    assert course("train", "ddpm-digits", "--steps", 2, "--out", "run", "--resume")[0] == 0
    code, _, err = course("train", "ddpm-digits", "--steps", 3, "--out", "run", "--resume")
    assert code == 1 and "steps is 2 there, 3 here" in err and "resume with --steps 2" in err

    code, out, _ = course("evaluate", "run", "-n", 500, "--seeds", 2, "--steps", 2, "--save")
    card = json.loads((tmp_path / "run" / "step-000002" / "recipe.json").read_text())
    assert code == 0 and "FD ratio" in out and "! a classifier tells them apart" in out
    assert card["scores"]["options"] == {"steps": 2} and card["scores"]["quality"]["images"] == 1000
    assert card["recipe"]["seed"] == 0 and card["step"] == 2
    code, out, _ = course("scoreboard", "run")
    assert code == 0 and any(line.startswith("run ") for line in out.splitlines())


def test_a_damaged_checkpoint_is_named(course, tmp_path):
    for name in ("model.safetensors", "recipe.json"):
        (tmp_path / name).write_bytes((CHECKPOINTS / "ddpm-digits" / name).read_bytes())
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:-10])
    code, _, err = course("sample", tmp_path)
    assert code == 1 and "damaged: model.safetensors is not what was written" in err


def test_record_measures_and_says_where_it_wrote(course, monkeypatch, tmp_path):
    monkeypatch.setattr(recording, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(recording, "measurement", lambda name: lambda: {"found": name})
    code, out, _ = course("record", "samplers-digits")
    assert code == 0 and "wrote results/samplers-digits.json" in out
    written = json.loads((tmp_path / "results" / "samplers-digits.json").read_text(encoding="utf-8"))
    assert written["found"] == "samplers-digits"


def test_record_asks_in_one_line_for_the_models_it_needs(course, monkeypatch, tmp_path):
    monkeypatch.setattr(trained, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(trained, "RUNS", tmp_path)
    code, _, err = course("record", "ablations-digits")
    assert code == 1 and err.startswith("course: ddpm-digits has not been trained here") and err.count("\n") == 1
    assert "course train ddpm-digits" in err


def test_the_help_of_record_names_every_experiment(course):
    from course_lib.experiments import EXPERIMENTS

    _, out, _ = course("record", "--help")
    assert all(name in out for name in EXPERIMENTS)


def test_recipes_lists_all_and_what_is_shipped(course):
    _, out, _ = course("recipes")
    assert "ddpm-digits" in out and "ddpm-mnist" in out
    assert {line.split()[0] for line in out.splitlines() if line.endswith("shipped")} == {
        p.name for p in CHECKPOINTS.iterdir() if p.is_dir()
    }


def test_doctor_finds_this_machine_fit(course, monkeypatch):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    code, out, _ = course("doctor")
    assert code == 0 and "PyTorch" in out and "Python" in out and "✗" not in out


def test_doctor_names_what_is_missing(course, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "nowhere"))
    code, out, err = course("doctor")
    assert code == 1 and "✗ COURSE_DATA names" in out and "unset it" in out
    assert "something that the course needs is missing" in err


def test_train_passes_on_what_it_was_told_a_seed_of_0_included(course, monkeypatch):
    told = []

    def listen(recipe, out, **options):
        told.append((recipe, out, options))
        return SimpleNamespace(step=recipe.steps, accelerator=SimpleNamespace(is_main_process=False))

    ordinary = dataclasses.replace(training.recipe_named("ddpm-digits"), seed=4)
    monkeypatch.setattr(training, "train", listen)
    monkeypatch.setattr(training, "recipe_named", lambda name: ordinary)
    course("train", "any", "--seed", 0, "--steps", 7, "--device", "mps", "--out", "here", "--resume")
    course("train", "any")
    (changed, out, options), (plain, folder, others) = told
    assert changed == dataclasses.replace(ordinary, seed=0, steps=7) and str(out) == "here"
    assert options == {"device": "mps", "resume": True, "compile": False}
    assert plain == ordinary and folder == training.default_folder(ordinary)
    assert others == {"device": "auto", "resume": False, "compile": False}


def test_evaluate_measures_what_it_was_told(course, monkeypatch):
    told = []

    def listen(*arguments, **options):
        told.append((arguments[1:], options))
        return {"suspicious": []}

    monkeypatch.setattr(metrics, "measure", listen)
    monkeypatch.setattr(metrics, "table", str)
    course("evaluate", "ddpm-digits", "-n", 700, "--seeds", 5, "--device", "cpu", "--steps", 3, "--sampler", "heun")
    assert told == [((5, 700, "cpu"), {"steps": 3, "sampler": "heun"})]


def test_evaluate_writes_into_the_card_only_when_it_is_told_to(course, monkeypatch, tmp_path):
    shutil.copytree(CHECKPOINTS / "features-digits", tmp_path / "eye")
    card = tmp_path / "eye" / "recipe.json"
    before = card.read_bytes()
    found = {"accuracy": 0.5, "reference": {"fd": 7.0, "spread": 1.0}}
    monkeypatch.setattr(metrics, "measure_reference", lambda *_: found)
    code, out, _ = course("evaluate", "eye")
    assert code == 0 and "held-out accuracy 0.5000" in out and card.read_bytes() == before
    course("evaluate", "eye", "--save")
    assert json.loads(card.read_text(encoding="utf-8")) == json.loads(before) | found


def test_a_model_that_makes_no_images_is_measured_by_its_loss_and_is_no_row_of_the_scoreboard(course, tmp_path):
    shutil.copytree(CHECKPOINTS / "autoencoder-digits", tmp_path / "squeezer")
    code, out, _ = course("evaluate", "squeezer", "--save")
    assert code == 0 and "it makes no images; its loss on 500 held-out ones is" in out
    code, out, _ = course("scoreboard", "squeezer")
    assert code == 0 and "squeezer" not in out


def test_a_model_without_scores_is_named_by_the_scoreboard_with_the_command(course, tmp_path):
    shutil.copytree(CHECKPOINTS / "ddpm-digits", tmp_path / "bare")
    card = tmp_path / "bare" / "recipe.json"
    values = json.loads(card.read_text(encoding="utf-8"))
    values.pop("scores", None)
    card.write_text(json.dumps(values), encoding="utf-8")
    code, out, _ = course("scoreboard", "bare")
    assert code == 0 and "bare has not been measured yet: course evaluate bare --save" in out
    assert "features-digits has not been measured" not in out


def test_a_label_is_the_class_of_that_name_and_without_one_all_classes_come_by_turns():
    conditional = SimpleNamespace(recipe=SimpleNamespace(name="any", data="digits", labels=True))
    assert generating._labels(conditional, 4, "7").tolist() == [7] * 4
    assert generating._labels(conditional, 12).tolist() == [*range(10), 0, 1]
