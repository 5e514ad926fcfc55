"""What `sample`, `evaluate` and `train` refuse, and that they do so before the work begins."""

import json
import shutil
import types

import psutil
import pytest
import small_models
import torch

from course_lib import metrics, models
from course_lib.commands import generating
from course_lib.experiments import recording
from course_lib.training import Run, checkpoint


@pytest.fixture(autouse=True, scope="module")
def run(tmp_path_factory):
    """A trained model, and its folder."""
    folder = tmp_path_factory.mktemp("runs") / "my run"
    small_models.register()
    list(Run(small_models.VAE, folder, device="cpu", save_every=10))
    yield folder
    small_models.unregister()


@pytest.fixture
def no_sampling(monkeypatch):
    monkeypatch.setattr(models, "generate", lambda *_, **__: pytest.fail("it samples"))


@pytest.mark.usefixtures("no_sampling")
@pytest.mark.parametrize("out", ["no/a.png", "file/a.png", "folder.png", "pipe.png", "loop.png", "dangling.png"])
def test_a_picture_that_cannot_be_written_is_known_before_sampling(course, tmp_path, run, out):
    os = pytest.importorskip("posix")
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere" / "a.png")
    before = sorted(tmp_path.iterdir())
    code, _, err = course("sample", run, "--out", out)
    assert code == 1 and "--out: " in err and err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_picture_that_is_there_stays_until_the_new_one_is_made(course, tmp_path, run):
    (tmp_path / "a.png").write_bytes(b"before")
    assert course("sample", run, "--out", "a.png", "--temperature", "nan")[0] == 1
    assert (tmp_path / "a.png").read_bytes() == b"before"


def test_images_of_numbers_that_are_not_finite_are_not_drawn(course, run):
    for temperature in ("nan", "inf", "1e300"):
        code, _, err = course("sample", run, "-n", 2, "--temperature", temperature)
        assert code == 1 and "with these options small-vae makes numbers that are NaN or infinite" in err


def test_more_images_than_the_memory_holds_are_refused_with_an_estimate(course, run):
    code, _, err = course("sample", run, "-n", 10**9)
    assert code == 1 and "1,000,000,000 images of small-vae would need about 715.3 GB of memory" in err
    code, _, err = course("evaluate", run, "-n", 10**9)
    assert code == 1 and "3,000,000,000 images of small-vae would need about 2,145.8 GB" in err


def test_more_images_than_a_day_makes_are_refused_with_an_estimate(course, run, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=2**60))
    honest = models.generate

    def slowly(*arguments, **options):
        clock[0] += 3600
        return honest(*arguments, **options)

    clock = [0.0]
    monkeypatch.setattr(models, "generate", slowly)
    monkeypatch.setattr(generating.time, "perf_counter", lambda: clock[0])
    code, _, err = course("sample", run, "-n", 16 * 1000)
    assert code == 1 and "16,000 images of small-vae would take about 1,000 hours here: ask for fewer (-n)" in err


def test_few_images_are_made_without_a_trial_and_with_a_bar_where_it_takes_longer(course, run, monkeypatch):
    honest, calls = models.generate, []
    monkeypatch.setattr(models, "generate", lambda *a, **k: calls.append(k.get("progress")) or honest(*a, **k))
    assert course("sample", run, "-n", 20)[0] == 0
    assert calls == [True]


def test_an_option_that_is_given_twice_or_joined_wrongly_is_refused(course, run):
    for words in (["--temperature", 1, "--temperature", 2], ["--temperature=1", "--temperature", "2"]):
        code, _, err = course("sample", run, *words)
        assert code == 2 and "--temperature is given twice" in err
    code, _, err = course("sample", run, "--temperature=1=2")
    assert code == 2 and "--temperature takes a number; got '1=2'" in err


@pytest.mark.parametrize("command", ["train small-vae --out", "sample ddpm-digits --out"])
def test_an_empty_path_is_not_the_folder_where_one_stands(course, command):
    code, _, err = course(*command.split(), "")
    assert code == 2 and "Invalid value for '--out': the path is empty" in err


def test_figures_that_cannot_be_saved_are_not_measured(course, run, monkeypatch):
    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(checkpoint, "_write_synced", refuse)
    monkeypatch.setattr(metrics, "measure", lambda *_, **__: pytest.fail("it measures"))
    code, _, err = course("evaluate", run, "--save")
    assert code == 1 and "(Read-only file system): without --save the figures are only shown" in err


def test_data_that_nothing_judges_are_known_before_sampling(course, run, monkeypatch):
    monkeypatch.setattr(metrics.scoreboard, "cost", lambda *_, **__: pytest.fail("it measures"))
    monkeypatch.setattr(metrics.features, "load_trained", lambda name: checkpoint.read_card(run / name))
    code, _, err = course("evaluate", run)
    assert code == 1 and "features-digits/recipe.json can't be read: No such file or directory" in err


def test_a_command_to_copy_is_quoted(course, tmp_path):
    _, out, _ = course("train", "small-gaussian", "--device", "cpu", "--out", "my runs/it's")
    assert "course sample 'my runs/it'\"'\"'s'" in out
    _, out, _ = course("scoreboard", "my runs/it's")
    assert "course evaluate 'my runs/it'\"'\"'s' --save" in out


def test_a_model_that_makes_no_images_is_finished_without_the_advice_to_sample(course):
    _, out, _ = course("train", "small-tied", "--device", "cpu", "--out", "tied")
    assert "step-000020 is finished\n" in out and "sample" not in out


def test_weights_serve_although_the_training_state_is_damaged_and_a_resume_says_so(course, tmp_path, run):
    shutil.copytree(run, tmp_path / "run")
    for path in tmp_path.glob("run/*/training.pt"):
        path.write_bytes(path.read_bytes()[:-1])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, out, err = course("sample", "run", "-n", 2, "--out", "../a.png")
    assert code == 0 and err == "" and "wrote 2 images" in out
    code, _, err = course("train", "small-vae", "--out", "run", "--resume")
    assert code == 1 and "step-000020 can't be resumed (training.pt is not what was written)" in err
    assert "there is no other checkpoint in run: train into another folder (--out)" in err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_resume_where_there_is_nothing_says_how_to_start(course, tmp_path):
    code, _, err = course("train", "small-vae", "--out", "typo", "--resume")
    assert code == 1 and "there is nothing to resume in typo: start without --resume" in err
    assert not list(tmp_path.iterdir())


def test_a_message_is_never_longer_than_a_screen(course, run):
    code, _, err = course("sample", run, "--temperature", "9" * 100_000 + "x")
    assert code == 2 and len(err) < 1300 and err.startswith("course: --temperature takes a number") and "…" in err


def test_a_measurement_that_could_not_be_written_is_not_begun(course, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(recording, "RESULTS", tmp_path / "file" / "results")
    monkeypatch.setattr(recording, "measurement", lambda _: pytest.fail("it measures"))
    code, _, err = course("record", "samplers-digits")
    assert code == 1 and "(Not a directory): the measurement would be lost" in err


def test_a_recorded_result_that_is_damaged_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(recording, "RESULTS", tmp_path)
    for content in (b"", b"{", b"\xff", json.dumps({"a": 1}).encode()[:-1]):
        (tmp_path / "quick.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"data/results/quick.json is damaged .*: course record quick"):
            recording.results("quick")


def test_memory_that_runs_out_is_one_line(course, run, monkeypatch):
    monkeypatch.setattr(
        models, "generate", lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory"))
    )
    code, _, err = course("sample", run)
    assert code == 1 and err == "course: CUDA out of memory\n"
