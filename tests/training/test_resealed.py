"""A checkpoint whose hashes are right and whose content is not, as a script or a hand that seals it again leaves it."""

import dataclasses
import hashlib
import json
import math

import pytest
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from course_lib.data import Split
from course_lib.training import CheckpointError, Recipe, Run, checkpoint, load_trained

NET = {"channels": 1, "size": 8, "width": 8, "multipliers": [1, 2], "blocks": 1, "groups": 4}
TINY = Recipe("tiny", "digits", "unet-denoiser", NET, steps=2, batch=4, fall="none")
IMAGES = Split(torch.zeros(8, 1, 8, 8), torch.zeros(8, dtype=torch.long))


@pytest.fixture
def run(tmp_path):
    list(Run(TINY, tmp_path / "run", device="cpu", data=IMAGES))
    return tmp_path / "run"


def sealed(run, name, content):
    """Put another content into a file of the run's checkpoint, with the hashes that belong to it."""
    folder = run / "step-000002"
    (folder / name).write_bytes(content)
    card = json.loads((folder / checkpoint.CARD).read_text())
    card["sha256"][name] = hashlib.sha256(content).hexdigest()
    card["sha256"]["recipe"] = checkpoint.seal_of(card)
    (folder / checkpoint.CARD).write_text(json.dumps(card))
    return folder


def go_on(run):
    list(Run(dataclasses.replace(TINY, steps=3), run, device="cpu", data=IMAGES, resume=True))


WEIGHTS = {
    "NaN": (lambda w: math.nan * w, "are NaN or infinite, the first is net"),
    "float16": (lambda w: w.half(), r"don't fit its recipe: .* of float16, here .* of float32"),
    "int32": (lambda w: w.int(), r"don't fit its recipe: .* of int32, here .* of float32"),
}


@pytest.mark.parametrize(("spoil", "message"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights_that_no_training_writes_are_not_loaded(run, spoil, message):
    weights = load_safetensors((run / "step-000002" / checkpoint.MODEL).read_bytes())
    sealed(run, checkpoint.MODEL, save_safetensors({name: spoil(w) for name, w in weights.items()}))
    for use in (load_trained, go_on):
        with pytest.raises(CheckpointError, match=message):
            use(run)


def first_average(state):
    return state["optimizers"][""]["state"][0]


STATES = {
    "a list": (lambda state: [1, 2], "the training state in .* can't be read"),
    "nothing": (lambda state: {}, "the training state in .* can't be read"),
    "a list of weights": (lambda state: state | {"model": [1]}, "the training state in .* can't be read"),
    "NaN weights": (
        lambda state: state | {"model": {name: math.nan * w for name, w in state["model"].items()}},
        "the weights in .* are NaN or infinite",
    ),
    "no optimizer": (lambda state: state | {"optimizers": {}}, "the optimizer's state in .* is damaged"),
    "an optimizer of one weight": (
        lambda state: state | {"optimizers": {"": {"state": {}, "param_groups": [{"params": [0]}]}}},
        "the optimizer's state in .* is damaged",
    ),
    "an average of another shape": (
        lambda state: (first_average(state).update(exp_avg=torch.zeros(3)), state)[1],
        r"is damaged: exp_avg must be finite, of the shape \(.*\); got a tensor of shape \(3,\)",
    ),
    "an average of one number": (
        lambda state: (first_average(state).update(exp_avg_sq=torch.tensor(0.0)), state)[1],
        "is damaged: exp_avg_sq must be finite, of the shape",
    ),
    "an average that is NaN": (
        lambda state: (first_average(state)["exp_avg"].fill_(math.nan), state)[1],
        "is damaged: exp_avg must be finite",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), STATES.values(), ids=STATES)
def test_a_training_state_that_no_training_writes_is_not_resumed_and_still_sampled(run, spoil, message):
    path = run / "step-000002" / checkpoint.TRAINING
    torch.save(spoil(torch.load(path, weights_only=True)), path)
    sealed(run, checkpoint.TRAINING, path.read_bytes())
    with pytest.raises(CheckpointError, match=message):
        go_on(run)
    assert load_trained(run).step == 2


def test_a_text_is_no_training_state(run):
    sealed(run, checkpoint.TRAINING, b"hello")
    with pytest.raises(CheckpointError, match="the training state in .* can't be read"):
        go_on(run)
