"""Checkpoints survive a process killed at any moment, a damaged disk and a full one; a trained model is found again."""

import dataclasses
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import course_lib
from course_lib.data import Split
from course_lib.training import CheckpointError, Recipe, Run, build, checkpoint, has_bf16, load_trained, trained
from course_lib.training.checkpoint import newest, numbered, update_card

NET = {"channels": 1, "size": 8, "width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [4], "groups": 4}
TINY = Recipe(
    name="tiny", data="digits", model="unet-denoiser", options={**NET, "dropout": 0.1}, steps=8, batch=8, warmup=3
)
SAVE_EVERY = 2
IMAGES = 2 * torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1
DATA = Split(IMAGES, torch.zeros(32, dtype=torch.long))


def tiny_run(out, recipe=TINY, **options):
    return Run(recipe, out, device="cpu", data=DATA, **{"every": 1, "save_every": SAVE_EVERY, **options})


def finish(run):
    return list(run)


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def whole(precision, tmp_path_factory):
    """The folder of a run that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    finish(tiny_run(out))
    return out


@pytest.fixture
def run_folder(whole, tmp_path):
    """A copy of it, to be damaged."""
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


# What a run leaves


def test_only_the_two_newest_checkpoints_stay_and_latest_names_the_newest(whole):
    assert names_in(whole) == ["latest", "step-000006", "step-000008"]
    assert (whole / "latest").read_text() == "step-000008"
    assert [folder.name for folder in numbered(whole)] == ["step-000008", "step-000006"]
    assert newest(whole).name == "step-000008"


def test_a_checkpoint_says_what_it_is_and_the_hash_of_each_file(whole):
    folder = whole / "step-000008"
    assert names_in(folder) == ["model.safetensors", "recipe.json", "training.pt"]
    card = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    assert Recipe.from_json(card["recipe"]) == TINY and card["step"] == 8 and card["device"] == "cpu"
    assert card["bf16"] is has_bf16(torch.device("cpu"))
    hashes = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("model.safetensors", "training.pt")
    }
    assert {**hashes, "recipe": checkpoint.seal_of(card)} == card["sha256"]


def test_saving_the_same_step_again_touches_no_file(run_folder):
    before = {path: path.stat().st_ino for path in (run_folder / "step-000008").iterdir()}
    tiny_run(run_folder, resume=True).save()
    assert {path: path.stat().st_ino for path in (run_folder / "step-000008").iterdir()} == before


def save_small(out, step):
    return checkpoint.save(out, step, TINY, {"w": torch.full((3,), float(step))}, {"step": step}, {})


def test_checkpoints_are_ordered_by_their_number_beyond_a_million_too(tmp_path):
    for step in (999_998, 999_999, 1_000_000, 1_000_001):
        assert save_small(tmp_path, step).is_dir()
    assert [folder.name for folder in numbered(tmp_path)] == ["step-1000001", "step-1000000"]
    (tmp_path / "latest").unlink()
    assert newest(tmp_path).name == "step-1000001"


# Killed at any moment

KILLER = """
import hashlib, json, os, random, shutil, signal, sys
from pathlib import Path

import torch

torch.set_num_threads(1)
from course_lib.data import Split
from course_lib.training import Recipe, Run, checkpoint, load_trained

home, recipe, save_every = Path(sys.argv[1]), Recipe.from_json(json.loads(sys.argv[2])), int(sys.argv[3])
images = 2 * torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1
data = Split(images, torch.zeros(32, dtype=torch.long))


def start(out):
    resume = bool(checkpoint.numbered(out))
    return Run(recipe, out, device="cpu", data=data, every=1, save_every=save_every, resume=resume)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(task, *args):
    # The task runs in a process of its own; its answer comes back, with the signal that ended it.
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(writer, json.dumps(task(writer, *args)).encode())
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit("a run failed")
    return json.loads(said or b"null"), os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def train(_, out):
    usable = load_trained(out).step if checkpoint.newest(out) else 0
    run = start(out)
    begun = run.step
    for _ in run:
        pass
    return {"usable": usable, "begun": begun}


class FileOperations:
    # Lists the file operations of each save, and kills the process just before one of them.

    def __init__(self, writer, save=None, k=None):
        self.writer, self.save, self.k, self.saves = writer, save, k, []
        honest = checkpoint.save

        def counted(*args):
            self.saves.append([])
            return honest(*args)

        checkpoint.save = counted
        for owner, name in ((os, "fsync"), (shutil, "rmtree"), (Path, "mkdir"), (Path, "rename"), (Path, "replace")):
            setattr(owner, name, self.watched(name, getattr(owner, name)))

    def watched(self, name, honest):
        def operation(target, *args, **kwargs):
            if not self.saves:  # it tries whether the folder can be written
                return honest(target, *args, **kwargs)
            self.saves[-1].append(name)
            if len(self.saves) == self.save and len(self.saves[-1]) == self.k:
                os.write(self.writer, json.dumps(name).encode())
                self.tear(name, target)
                kill()
            return honest(target, *args, **kwargs)

        return operation

    def tear(self, name, target):
        # Half a file that was not synced yet; half a folder that was being deleted.
        if name == "fsync" and os.path.isfile(f"/proc/self/fd/{target}"):
            os.ftruncate(target, os.fstat(target).st_size // 2)
        if name == "rmtree" and target.exists():
            sorted(target.iterdir())[0].unlink()


def list_operations(writer, out):
    watched = FileOperations(writer)
    train(writer, out)
    return watched.saves


def train_and_die_in_a_save(writer, out, save, k):
    FileOperations(writer, save, k)
    train(writer, out)


def train_and_die_at_a_step(writer, out, step):
    honest = Run._train_step

    def train_step(run):
        loss = honest(run)
        if run.step == step:
            kill()
        return loss

    Run._train_step = train_step
    return train(writer, out)


def final(out):
    found = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(found.items())}


def after(out, **told):
    result = {**told, **in_child(train, out)[0], "final": final(out)}
    shutil.rmtree(out)
    return result


start(home / "unused")  # whatever is imported late is imported once, before the first fork
saves, _ = in_child(list_operations, home / "whole")
report = {"whole": final(home / "whole"), "saves": saves, "in_a_save": [], "at_a_step": []}

every_place = [(3, k + 1) for k in range(len(saves[2]))]
for save, k in [(1, 3), (1, saves[0].index("replace") + 1), *every_place]:
    out = home / f"killed-{save}-{k}"
    name, ended = in_child(train_and_die_in_a_save, out, save, k)
    report["in_a_save"].append(after(out, save=save, operation=name, ended=ended))

for seed in range(2):
    out, ended = home / f"steps-{seed}", []
    for step in sorted(random.Random(seed).sample(range(recipe.steps), 3)):
        ended.append(in_child(train_and_die_at_a_step, out, step)[1])
    report["at_a_step"].append(after(out, ended=ended))

print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def killed(precision, tmp_path_factory):
    """What became of a run that was killed at every file operation of a save, and at random steps."""
    if not hasattr(os, "fork"):
        pytest.skip("needs os.fork")
    home = tmp_path_factory.mktemp("killed")
    script = home / "killer.py"
    script.write_text(KILLER, encoding="utf-8")
    root = str(Path(course_lib.__file__).parents[1])
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, script, home, json.dumps(TINY.as_json()), str(SAVE_EVERY)],
        env={**os.environ, **alone}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_kills_cover_every_stage_of_a_save(killed):
    places = [kill for kill in killed["in_a_save"] if kill["save"] == 3]
    assert [kill["operation"] for kill in places] == killed["saves"][2]
    assert killed["saves"][2].count("fsync") >= 5  # three files, `latest`, the folders
    assert {"fsync", "rename", "replace", "rmtree"} <= {kill["operation"] for kill in places}
    assert all(kill["ended"] == 9 for kill in killed["in_a_save"])


def test_a_run_killed_anywhere_in_a_save_ends_with_the_bytes_of_one_that_was_not(killed):
    for kill in killed["in_a_save"]:
        assert kill["final"] == killed["whole"], (kill["save"], kill["operation"])


def test_a_run_killed_in_a_save_has_lost_no_earlier_checkpoint(killed):
    for kill in killed["in_a_save"]:
        saved = SAVE_EVERY * (kill["save"] - 1)
        assert kill["usable"] >= saved and kill["begun"] == kill["usable"], (kill["save"], kill["operation"])


def test_once_latest_is_replaced_the_new_checkpoint_is_the_one_that_is_resumed(killed):
    places = [kill for kill in killed["in_a_save"] if kill["save"] == 3]
    replaced = [kill["operation"] for kill in places].index("replace")
    assert all(kill["begun"] == 3 * SAVE_EVERY for kill in places[replaced + 1 :])
    assert len(places) > replaced + 1


def test_a_run_killed_again_and_again_at_random_steps_ends_with_the_same_bytes(killed):
    for kill in killed["at_a_step"]:
        assert kill["ended"] == [9, 9, 9]
        assert kill["final"] == killed["whole"]


# A damaged disk


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def alter_the_step(path):
    card = path.read_text(encoding="utf-8")
    assert '"step": 8,' in card
    path.write_text(card.replace('"step": 8,', '"step": 0,'), encoding="utf-8")  # '8' and '0' differ in one bit


DAMAGES = {
    "weights truncated": ("model.safetensors", truncate),
    "weights empty": ("model.safetensors", lambda path: path.write_bytes(b"")),
    "a byte of the weights flipped": ("model.safetensors", lambda path: flip(path, -1000)),
    "a byte of the weights' header flipped": ("model.safetensors", lambda path: flip(path, 20)),
    "no weights": ("model.safetensors", Path.unlink),
    "training state truncated": ("training.pt", truncate),
    "a byte of the training state flipped": ("training.pt", lambda path: flip(path, -1000)),
    "no training state": ("training.pt", Path.unlink),
    "card truncated": ("recipe.json", truncate),
    "card empty": ("recipe.json", lambda path: path.write_bytes(b"")),
    "card of zeros": ("recipe.json", lambda path: path.write_bytes(bytes(500))),
    "no card": ("recipe.json", Path.unlink),
    "a bit of the card's step flipped": ("recipe.json", alter_the_step),
}


@pytest.mark.parametrize(("name", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_it(whole, run_folder, name, damage):
    damage(run_folder / "step-000008" / name)
    with pytest.warns(UserWarning, match="step-000008 can't be resumed .*: falling back to step-000006"):
        run = tiny_run(run_folder, resume=True)
    assert run.step == 6
    finish(run)
    assert names_in(run_folder) == names_in(whole)
    assert files_of(run_folder / "step-000008") == files_of(whole / "step-000008")


def test_a_trained_model_is_loaded_from_the_checkpoint_before_a_damaged_one(run_folder):
    truncate(run_folder / "step-000008" / "model.safetensors")
    with pytest.warns(UserWarning, match="step-000008 is damaged"):
        assert load_trained(run_folder).step == 6


def test_whole_checkpoints_raise_no_warning(whole):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert newest(whole).name == "step-000008"


@pytest.mark.parametrize("resume", [True, False])
def test_where_all_are_damaged_nothing_is_trained_over_them(run_folder, resume):
    for folder in numbered(run_folder):
        truncate(folder / "training.pt")
    before = [files_of(folder) for folder in numbered(run_folder)]
    message = "no other checkpoint in .*: train into another folder" if resume else "already holds a run"
    with pytest.raises(CheckpointError, match=message):
        tiny_run(run_folder, resume=resume)
    assert [files_of(folder) for folder in numbered(run_folder)] == before
    assert load_trained(run_folder).step == 8


def test_where_no_weights_are_whole_it_is_said_what_is_wrong_with_each(run_folder):
    for folder in numbered(run_folder):
        truncate(folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"step-000008 is damaged \(model.*step-000006 is damaged \(model"):
        load_trained(run_folder)


def test_a_save_never_deletes_what_it_has_just_written(tmp_path):
    for step in (20, 30):
        folder = save_small(tmp_path, step)
        (folder / "model.safetensors").write_bytes(b"")
    written = save_small(tmp_path, 10)
    assert written.is_dir() and (tmp_path / "latest").read_text() == written.name


def test_one_flipped_bit_in_latest_is_no_harm(run_folder):
    pointer = run_folder / "latest"
    content = pointer.read_bytes()
    for i in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[i // 8] ^= 1 << i % 8
        pointer.write_bytes(flipped)
        assert newest(run_folder).name == "step-000008", bytes(flipped)


def test_latest_decides_between_whole_checkpoints(run_folder):
    """A save that was killed just before it replaced `latest` is not done yet."""
    assert newest(run_folder).name == "step-000008"
    (run_folder / "latest").write_text("step-000006", encoding="utf-8")
    assert newest(run_folder).name == "step-000006"


@pytest.mark.parametrize("content", [None, b"", bytes(11), b"step-000004", b"../elsewhere"])
def test_without_a_good_latest_the_highest_number_is_the_newest(run_folder, content):
    (run_folder / "latest").unlink()
    if content is not None:
        (run_folder / "latest").write_bytes(content)
    assert newest(run_folder).name == "step-000008"


# A full disk


def operations_that_fail(monkeypatch, k):
    """The k-th operation that needs room on the disk fails, and so do those after it. Returns what was asked for."""
    asked = []

    def failing(name, honest):
        def operation(target, *args, **kwargs):
            if name != "open" or "w" in (args[0] if args else kwargs.get("mode", "r")):
                asked.append(name)
                if len(asked) >= k:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return honest(target, *args, **kwargs)

        return operation

    for owner, name in ((Path, "mkdir"), (Path, "open"), (os, "fsync"), (Path, "rename"), (Path, "replace")):
        monkeypatch.setattr(owner, name, failing(name, getattr(owner, name)))
    return asked


def operations_of_a_save(out, step):
    with pytest.MonkeyPatch.context() as patch:
        asked = operations_that_fail(patch, 10**9)
        save_small(out, step)
    return asked


def test_a_disk_that_is_full_at_any_moment_is_named_and_costs_no_earlier_checkpoint(tmp_path, monkeypatch):
    save_small(tmp_path / "count", 1)
    operations = operations_of_a_save(tmp_path / "count", 2)
    assert {"mkdir", "open", "fsync", "rename", "replace"} == set(operations)
    for k in range(1, len(operations) + 1):
        out = tmp_path / str(k)
        before = files_of(save_small(out, 1))
        with monkeypatch.context() as patch:
            operations_that_fail(patch, k)
            with pytest.raises(CheckpointError, match="could not write.*step-000002: No space left on device") as full:
                save_small(out, 2)
        assert "make room" in str(full.value)
        assert files_of(out / "step-000001") == before
        assert newest(out) is not None and not list(out.glob(".step*"))

        save_small(out, 2)
        assert newest(out).name == "step-000002" and names_in(out) == ["latest", "step-000001", "step-000002"]


def test_a_first_checkpoint_that_finds_no_room_leaves_nothing(tmp_path, monkeypatch):
    operations = operations_of_a_save(tmp_path / "count", 1)
    for k in range(1, operations.index("rename") + 2):
        with monkeypatch.context() as patch:
            operations_that_fail(patch, k)
            with pytest.raises(CheckpointError, match="No space left on device"):
                save_small(tmp_path / str(k), 1)
        assert newest(tmp_path / str(k)) is None
        assert not (tmp_path / str(k)).exists() or not names_in(tmp_path / str(k))


def test_a_write_that_the_system_refuses_stops_the_run_and_keeps_what_was_saved(whole, tmp_path):
    """The system itself refuses: no file may grow beyond 100 kB, and the weights are larger."""
    resource = pytest.importorskip("resource")
    run = tiny_run(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(CheckpointError, match=r"could not write the checkpoint .*step-000004: File too large"):
        _until_full(run, resource, hard)
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == (soft, hard)
    assert names_in(tmp_path) == ["latest", "step-000002"]
    assert load_trained(tmp_path).step == 2

    finish(tiny_run(tmp_path, resume=True))
    assert files_of(tmp_path / "step-000008") == files_of(whole / "step-000008")


def _until_full(run, resource, hard):
    soft = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    try:
        for progress in run:
            if progress.step == 3:
                resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_folder_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="could not write the checkpoint .*file"):
        save_small(tmp_path / "file" / "run", 1)


# A trained model is found again


@pytest.fixture
def shipped(whole, tmp_path, monkeypatch):
    """A folder of shipped models, which are checkpoints without their training state."""
    for name in ("alpha", "beta"):
        shutil.copytree(whole / "step-000008", tmp_path / "shipped" / name)
        (tmp_path / "shipped" / name / "training.pt").unlink()
    monkeypatch.setattr(trained, "CHECKPOINTS", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "shipped"


def test_a_model_is_found_by_its_name_a_runs_folder_or_a_checkpoints(whole, shipped):
    for where in ("alpha", str(whole), whole, whole / "step-000008", shipped / "beta"):
        trained = load_trained(where)
        assert trained.recipe == TINY and trained.step == 8
        assert not trained.model.training and not any(p.requires_grad for p in trained.model.parameters())
        assert trained.card["device"] == "cpu" and trained.folder.is_dir()
    assert load_trained(whole / "step-000006").step == 6


def test_a_shipped_model_goes_before_a_run_of_its_name(whole, shipped, monkeypatch, tmp_path):
    monkeypatch.setattr(trained, "RUNS", tmp_path / "runs")
    shutil.copytree(whole / "step-000006", tmp_path / "runs" / "alpha")
    assert load_trained("alpha").step == 8


def test_a_trained_model_has_the_averaged_weights_of_its_run(tmp_path):
    run = tiny_run(tmp_path)
    finish(run)
    trained, x_t = load_trained(tmp_path).model, IMAGES[:4]
    averaged = run.averaged.eval()
    assert all(torch.equal(a, b) for a, b in zip(trained.predict(x_t, 500), averaged.predict(x_t, 500), strict=True))
    weights = zip(trained.parameters(), run.raw.parameters(), strict=True)
    assert not all(torch.equal(average, raw) for average, raw in weights)


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("where", ["gamma", "runs/gamma"])
def test_a_model_that_is_not_there_is_named_with_those_that_are(where):
    with pytest.raises(CheckpointError, match=f"no checkpoint at '{where}'.*course train.*: alpha, beta"):
        load_trained(where)


def test_an_empty_folder_holds_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "CHECKPOINTS", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="no checkpoint at .*empty.*none is here"):
        load_trained(tmp_path / "empty")


def test_weights_of_another_architecture_are_refused_with_what_differs(tmp_path):
    wide = dataclasses.replace(TINY, options={**NET, "width": 16})
    folder = checkpoint.save(tmp_path, 1, wide, build(TINY).state_dict(), {}, {})
    with pytest.raises(CheckpointError, match=r"step-000001 don't fit its recipe: .*net\.time\.layers"):
        load_trained(folder)


@pytest.mark.parametrize(
    ("name", "damage"), [DAMAGES[k] for k in ("weights truncated", "no weights", "card truncated")]
)
def test_a_damaged_model_named_by_itself_is_refused(run_folder, name, damage):
    damage(run_folder / "step-000008" / name)
    with pytest.raises(CheckpointError, match=f"{name}"):
        load_trained(run_folder / "step-000008")


def test_measured_values_are_added_to_a_card_and_the_model_stays_whole(run_folder):
    folder = run_folder / "step-000008"
    update_card(folder, fd=1.5, note="ᾱ")
    update_card(folder, fd=2.5)
    trained = load_trained(folder)
    assert trained.card["fd"] == 2.5 and trained.card["note"] == "ᾱ" and trained.recipe == TINY
    assert names_in(folder) == ["model.safetensors", "recipe.json", "training.pt"]
    assert tiny_run(run_folder, resume=True).step == 8


def test_a_card_that_can_not_be_rewritten_stays_as_it_was(run_folder, monkeypatch):
    folder = run_folder / "step-000008"
    before = (folder / "recipe.json").read_bytes()
    with monkeypatch.context() as patch:
        operations_that_fail(patch, 2)
        with pytest.raises(OSError, match="No space left"):
            update_card(folder, fd=1.5)
    assert (folder / "recipe.json").read_bytes() == before
    assert load_trained(folder).step == 8


def test_an_optimizers_state_is_in_the_order_of_its_weights_whichever_moved_first():
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
    optimizer = torch.optim.AdamW(weights)
    for one in reversed(weights):
        one.grad = torch.ones(2)
        optimizer.step()
        one.grad = None
    state = checkpoint.state_of(optimizer)["state"]
    assert list(optimizer.state_dict()["state"]) == [2, 1, 0] and list(state) == [0, 1, 2]
