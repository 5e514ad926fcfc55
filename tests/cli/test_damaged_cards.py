"""A recipe.json that was edited, cut or written by another program: one line, whatever is wrong with it."""

import json
import shutil
import signal

import pytest

from course_lib.commands import training
from course_lib.paths import CHECKPOINTS
from course_lib.training.checkpoint import read_card


def edited(folder, edit):
    """The shipped model of the digits with another recipe.json."""
    shutil.copytree(CHECKPOINTS / "ddpm-digits", folder)
    card = edit(json.loads((folder / "recipe.json").read_text(encoding="utf-8")))
    (folder / "recipe.json").write_text(json.dumps(card), encoding="utf-8")


EDITS = {
    "a list": lambda card: [1],
    "no recipe": lambda card: {k: v for k, v in card.items() if k != "recipe"},
    "no step": lambda card: {k: v for k, v in card.items() if k != "step"},
    "a step in words": lambda card: card | {"step": "many"},
    "no hashes": lambda card: card | {"sha256": "abc"},
    "a recipe in words": lambda card: card | {"recipe": "abc"},
    "an unknown field": lambda card: card | {"recipe": card["recipe"] | {"colour": 1}},
    "an unknown option": lambda card: card | {"recipe": card["recipe"] | {"options": {"colour": 1}}},
    "a rate below 0": lambda card: card | {"recipe": card["recipe"] | {"rate": -1}},
    "nothing": lambda card: None,
    "no hash of the recipe": lambda card: card | {"sha256": {"model.safetensors": card["sha256"]["model.safetensors"]}},
}

# each would make another model of the same weights, and say nothing
SILENT = {
    "another T": lambda card: card | {"recipe": card["recipe"] | {"options": card["recipe"]["options"] | {"T": 100}}},
    "another target": lambda card: (
        card | {"recipe": card["recipe"] | {"options": card["recipe"]["options"] | {"target": "eps"}}}
    ),
    "another number of steps": lambda card: card | {"step": 3, "recipe": card["recipe"] | {"steps": 3}},
    "another name": lambda card: card | {"recipe": card["recipe"] | {"name": "mine"}},
    "labels": lambda card: card | {"recipe": card["recipe"] | {"labels": True}},
    "another version": lambda card: card | {"version": "9.9"},
    "another model under it": lambda card: card | {"needs": {"autoencoder": "0" * 64}},
    "another hash": lambda card: card | {"sha256": card["sha256"] | {"training.pt": "0" * 64}},
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_card_with_a_wrong_entry_is_one_line_that_names_the_file(course, tmp_path, edit):
    edited(tmp_path / "edited", EDITS[edit])
    code, out, err = course("sample", "edited", "-n", 1)
    assert (code, out) == (1, "") and err.startswith("course: ") and err.count("\n") == 1
    assert "edited" in err or "ddpm-digits" in err


@pytest.mark.parametrize("edit", SILENT)
def test_a_card_that_was_edited_is_noticed_and_it_is_said_what_to_do(course, tmp_path, edit):
    edited(tmp_path / "edited", SILENT[edit])
    code, out, err = course("sample", "edited", "-n", 1)
    assert (code, out) == (
        1,
        "",
    ) and "edited/recipe.json was changed after the training wrote it: put the original back" in err


def test_the_shipped_cards_carry_the_hash_of_what_they_say():
    for path in CHECKPOINTS.glob("*/recipe.json"):
        assert read_card(path.parent)["sha256"]["recipe"]


@pytest.mark.parametrize(
    "scores",
    [
        None,
        [],
        {"quality": 1},
        dict.fromkeys(("quality", "cost", "bits_per_dim", "condition")),
        {"quality": {}, "cost": {}, "bits_per_dim": 1, "condition": 2},
    ],
)
def test_the_scoreboard_asks_to_measure_again_what_it_cannot_show(course, tmp_path, scores):
    edited(tmp_path / "edited", lambda card: card | {"scores": scores})
    code, out, _ = course("scoreboard", "edited")
    assert code == 0 and "edited has not been measured yet" in out


def test_a_seed_too_large_for_pytorch_and_a_folder_as_the_picture_are_refused(course, tmp_path):
    code, _, err = course("sample", "ddpm-digits", "-n", 1, "--seed", 2**63)
    assert code == 2 and "--seed" in err
    (tmp_path / "a.png").mkdir()
    code, _, err = course("sample", "ddpm-digits", "-n", 1, "--out", "a.png")
    assert code == 1 and "a.png is a folder; name a PNG file" in err


def test_sigterm_stops_a_training_also_where_ctrl_c_is_ignored(monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_IGN)
    with pytest.raises(KeyboardInterrupt):
        training._interrupt()
