"""Every byte of the small files of a run, and some of the large ones, flipped, deleted, put in or cut off.

What is loaded, sampled or resumed afterwards is what was written, or there is a CheckpointError of one line.
"""

import collections
import contextlib
import json
import shutil
import warnings

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import VAE

from course_lib.models import generate
from course_lib.training import CheckpointError, Run, load_trained
from course_lib.training.checkpoint import newest, read_training

OLD, NEW = "step-000010", "step-000020"
FUZZ = settings(derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
EDITS = {
    "a bit flipped": lambda content, i: content[:i] + bytes([content[i] ^ 1 << i % 8]) + content[i + 1 :],
    "deleted": lambda content, i: content[:i] + content[i + 1 :],
    "a digit before it": lambda content, i: content[:i] + b"1" + content[i:],
    "cut off": lambda content, i: content[:i],
}  # fmt: skip


@pytest.fixture(scope="module")
def written(runs):
    """What each checkpoint holds: its step, its weights, four images, and the state to resume from."""
    run, found = runs / "small-vae", {}
    for name in (OLD, NEW):
        trained = load_trained(run / name)
        found[trained.step] = (trained.model.state_dict(), generate(trained.model, 4), read_training(run / name, VAE))
    return found


@pytest.fixture(scope="module")
def one(runs, tmp_path_factory):
    """A run with one checkpoint, so that there is nothing to fall back to."""
    folder = tmp_path_factory.mktemp("one")
    shutil.copytree(runs / "small-vae" / NEW, folder / NEW)
    (folder / "latest").write_text(NEW, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def two(runs, tmp_path_factory):
    """A run with two."""
    return shutil.copytree(runs / "small-vae", tmp_path_factory.mktemp("two") / "run")


def same(ours, theirs):
    """Whether nested dictionaries and lists of tensors are equal, bit for bit."""
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return torch.equal(ours, theirs) if torch.is_tensor(ours) else ours == theirs


def outcome(action):
    """What an action gives; None where it raises a CheckpointError, which must be one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return action()
        except CheckpointError as error:
            message = str(error)
    assert message and "\n" not in message
    return None


def check(run, written, sampling=True):
    """The steps of what is loaded and of what is resumed (None where they are refused), each as it was written."""
    loaded = outcome(lambda: load_trained(run))
    if loaded is not None:
        weights, images, _ = written[loaded.step]
        assert loaded.recipe == VAE and same(loaded.model.state_dict(), weights)
        assert not sampling or torch.equal(generate(loaded.model, 4), images)
    state = outcome(lambda: read_training(newest(run, to_resume=True), VAE))
    if state is not None:
        assert same(state, written[state["step"]][2])
    return loaded and loaded.step, state and state["step"]


@contextlib.contextmanager
def restored(path):
    """The path, and what the file holds; afterwards it holds that again."""
    content = path.read_bytes()
    yield path, content
    path.write_bytes(content)


def damaged_anywhere(file):
    """Damage a file in every way at every byte, and say how."""
    with restored(file) as (path, content):
        for i in range(len(content)):
            for name, edit in EDITS.items():
                path.write_bytes(edit(content, i))
                yield f"{name} at {i}"


def damaged_check(run, name, edit, i, written):
    with restored(run / NEW / name) as (path, content):
        path.write_bytes(EDITS[edit](content, i % len(content)))
        return check(run, written)


def test_a_card_damaged_at_any_byte_is_refused_or_says_what_it_said(one, written):
    seen = collections.Counter()
    for how in damaged_anywhere(one / NEW / "recipe.json"):
        steps = check(one, written, sampling=False)
        assert steps in ((20, 20), (None, None)), how
        seen[steps] += 1
    assert seen[None, None] > 10 * seen[20, 20] > 0  # only blanks and the like may change


def test_latest_damaged_at_any_byte_leads_to_a_checkpoint_that_was_written(two, written):
    for how in damaged_anywhere(two / "latest"):
        assert check(two, written) in ((20, 20), (10, 10)), how


@settings(FUZZ, max_examples=80)
@given(edit=st.sampled_from(sorted(EDITS)), i=st.integers(0, 2**30))
def test_with_damaged_weights_the_checkpoint_before_them_is_taken_or_none(one, two, written, edit, i):
    assert damaged_check(two, "model.safetensors", edit, i, written) == (10, 10)
    assert damaged_check(one, "model.safetensors", edit, i, written) == (None, None)


@settings(FUZZ, max_examples=80)
@given(edit=st.sampled_from(sorted(EDITS)), i=st.integers(0, 2**30))
def test_with_a_damaged_training_state_the_weights_still_serve(one, two, written, edit, i):
    assert damaged_check(two, "training.pt", edit, i, written) == (20, 10)
    assert damaged_check(one, "training.pt", edit, i, written) == (20, None)


@settings(FUZZ, max_examples=20)
@given(
    name=st.sampled_from(["recipe.json", "model.safetensors", "training.pt"]),
    edit=st.sampled_from(sorted(EDITS)),
    i=st.integers(0, 2**30),
)
def test_a_run_resumed_after_any_damage_ends_with_the_bytes_of_one_that_had_none(runs, tmp_path_factory, name, edit, i):
    run = shutil.copytree(runs / "small-vae", tmp_path_factory.mktemp("resumed") / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = (run / NEW / name).read_bytes()
        (run / NEW / name).write_bytes(EDITS[edit](content, i % len(content)))
        list(Run(VAE, run, device="cpu", resume=True, save_every=10))
    whole = runs / "small-vae" / NEW
    for file in ("model.safetensors", "training.pt"):
        assert (run / NEW / file).read_bytes() == (whole / file).read_bytes()
    cards = [json.loads((folder / "recipe.json").read_text(encoding="utf-8")) for folder in (run / NEW, whole)]
    assert cards[0] == cards[1]  # a blank too many is no damage
