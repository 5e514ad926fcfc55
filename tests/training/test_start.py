"""Where a training may begin or go on, and where not: what would fail later is refused before the first step."""

import dataclasses

import pytest
import small_models
import torch
from small_models import GAN, VAE

from course_lib.data import load
from course_lib.training import CheckpointError, Recipe, Run, checkpoint, load_trained, train, trained


@pytest.fixture(autouse=True, scope="module")
def known():
    small_models.register()
    yield
    small_models.unregister()


@pytest.fixture
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cpu_run(recipe, out=None, **options):
    return Run(recipe, out, device="cpu", **options)


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


# The folder


@pytest.mark.parametrize(
    "form", ["models/eye", "models", "models/new", "models/eye/deep/er", "models/../models/eye", "link", "link/run"]
)
@pytest.mark.parametrize("resume", [True, False])
def test_nothing_is_trained_among_the_shipped_models_however_they_are_named(here, monkeypatch, form, resume):
    (here / "models" / "eye").mkdir(parents=True)
    (here / "link").symlink_to(here / "models" / "eye", target_is_directory=True)
    monkeypatch.setattr(trained, "CHECKPOINTS", here / "models")
    with pytest.raises(CheckpointError, match="lies among the models that ship with the course: choose another folder"):
        cpu_run(VAE, form, resume=resume)
    assert files_of(here) == {}


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("file", "file is a file: name a folder"),
        (
            "file/run",
            r"bytes can't be written into file/run \(Not a directory\): choose another folder \(--out\), or make room",
        ),
        ("", "out must name the folder of a run; got ''"),
    ],
)
def test_a_place_that_is_no_folder_is_refused(here, out, message):
    (here / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=message):
        cpu_run(VAE, out)
    assert names_in(here) == ["file"]


def test_a_checkpoint_is_not_taken_for_the_folder_of_a_run(here):
    list(cpu_run(VAE, "run"))
    with pytest.raises(CheckpointError, match="step-000020 is a checkpoint itself: name the folder of the run"):
        cpu_run(VAE, "run/step-000020", resume=True)


def test_trying_whether_a_folder_can_be_written_leaves_nothing_there(here):
    (here / "there").mkdir()
    cpu_run(VAE, "there")
    cpu_run(VAE, "new/er")
    assert names_in(here) == ["there"] and names_in(here / "there") == []


def test_a_disk_without_room_for_a_checkpoint_is_named_before_the_first_step(here, monkeypatch):
    """The system itself refuses: no file may grow beyond 20 kB, and a checkpoint has 37."""
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(Run, "_train_step", lambda _: pytest.fail("it trains"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(
            CheckpointError, match=r"bytes can't be written into new \(File too large\): choose another"
        ):
            train(VAE, "new", device="cpu")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names_in(here) == []


def test_what_is_tried_is_as_large_as_a_checkpoint(here, monkeypatch):
    for recipe in (VAE, GAN, small_models.GAUSSIAN):
        run = cpu_run(recipe)
        expected = trained.size_of_checkpoint(run.raw, recipe)
        run.out = here / recipe.name
        list(run)
        largest = max(len(content) for content in files_of(run.out).values())
        together = sum(len(content) for content in files_of(run.out).values())
        assert largest < 1.2 * together and 0.5 * expected < together < 2 * expected + 10_000


def test_a_run_that_goes_on_is_tried_too_and_a_finished_one_is_not(here, monkeypatch):
    for progress in cpu_run(VAE, "run", every=1):
        if progress.step == 3:
            break
    with monkeypatch.context() as patch:
        patch.setattr(
            checkpoint, "_write_synced", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        )
        with pytest.raises(CheckpointError, match="No space left on device"):
            cpu_run(VAE, "run", resume=True)
    list(cpu_run(VAE, "run", resume=True))
    monkeypatch.setattr(checkpoint, "probe", lambda *_: pytest.fail("it writes"))
    assert list(cpu_run(VAE, "run", resume=True)) == []


def test_a_training_stopped_before_its_first_step_does_not_ask_to_be_resumed(here, monkeypatch, capsys):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "_train_step", stop)
    train(VAE, "run", device="cpu")
    said = "".join(capsys.readouterr())
    assert "stopped after step 0 of 20: nothing was trained" in said and "resume" not in said


# Going on


def test_without_a_fall_of_the_rate_a_run_goes_on_to_more_steps_as_if_it_had_been_longer(here):
    longer = dataclasses.replace(GAN, steps=30)
    list(cpu_run(GAN, "short"))
    list(cpu_run(longer, "short", resume=True))
    list(cpu_run(longer, "long"))
    assert files_of(here / "short" / "step-000030") == files_of(here / "long" / "step-000030")
    with pytest.raises(CheckpointError, match=r"steps is 30 there, 20 here"):
        cpu_run(GAN, "short", resume=True)


def test_where_the_rate_falls_more_steps_are_another_training_and_it_is_said_why(here):
    list(cpu_run(VAE, "run"))
    for other in (dataclasses.replace(VAE, steps=30), dataclasses.replace(VAE, steps=10)):
        with pytest.raises(
            CheckpointError, match="rate falls over all the steps, .*: resume with --steps 20, or train into"
        ):
            cpu_run(other, "run", resume=True)
    with pytest.raises(CheckpointError, match="seed is 0 there, 1 here") as refused:
        cpu_run(dataclasses.replace(VAE, steps=30, seed=1), "run", resume=True)
    assert "--steps" not in str(refused.value)


def test_a_run_is_not_resumed_with_other_data(here):
    half = load("digits").train[:600]
    for progress in cpu_run(VAE, "run", data=half, every=1):
        if progress.step == 3:
            break
    with pytest.raises(CheckpointError, match="step-000003 was trained on other data"):
        cpu_run(VAE, "run", resume=True)
    assert cpu_run(VAE, "run", data=half, resume=True).step == 3


def test_resuming_needs_a_folder():
    with pytest.raises(CheckpointError, match="out must name the folder of a run; got None"):
        cpu_run(VAE, resume=True)


# What a recipe and a card may hold


@pytest.mark.parametrize(
    ("field", "values"),
    {
        "name": ["../x", "a/b", "", ".", "..", "a b", "a\n", 3, None],
        "data": [3, None], "model": [[1], None], "options": [[1], "x", {"f": len}, {1: 2}, {"x": float("nan")}, {"t": torch.ones(2)}],
        "needs": [["a"], {"role": 3}, {"role": "../x"}, "x"], "betas": [0.9, "ab", None],
        "steps": [2**63, 10**400], "batch": [2**63], "warmup": [2**63], "rate": [10**400, True, 1e301],
    }.items(),
)  # fmt: skip
def test_a_recipe_refuses_what_no_checkpoint_could_hold(field, values):
    for value in values:
        with pytest.raises(ValueError, match=f"a recipe's {field} must be .*; got"):
            dataclasses.replace(VAE, **{field: value})


def test_a_recipe_without_names_for_its_fields_is_refused():
    for values in ([1], "x", None, 3):
        with pytest.raises(ValueError, match="fields must have names"):
            Recipe.from_json(values)


def test_an_empty_name_is_no_model(here):
    list(cpu_run(VAE, "."))
    with pytest.raises(CheckpointError, match="no checkpoint at ''"):
        load_trained("")
    assert load_trained(".").step == 20
