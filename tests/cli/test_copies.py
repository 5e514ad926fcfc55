"""`course lab`, `update`, `progress`, `reset`: a student's copies from the command line."""

import pytest
from small_lessons import code, load, save, texts

from course_lib import launch, paths
from course_lib.paths import NOTEBOOKS, ROOT


@pytest.fixture(autouse=True)
def my(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "MY", tmp_path / "my")
    return tmp_path / "my"


@pytest.fixture
def started(monkeypatch):
    """What JupyterLab would be started with, and where it looks for settings."""
    commands = []

    def execv(_, command):
        commands.append((command, launch.os.environ["COURSE_AUTHOR"], launch.os.environ["JUPYTER_CONFIG_PATH"]))
        raise SystemExit(0)

    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    monkeypatch.setenv("COURSE_AUTHOR", "")
    monkeypatch.setattr(launch.os, "execv", execv)
    return commands


def test_the_lab_makes_the_copies_and_shows_nothing_else(course, started, my):
    assert course("lab", "--", "--port=9999")[0] == 0
    assert course("lab", "--", "--ServerApp.ip=0.0.0.0")[0] == 0
    assert "--ServerApp.ip=127.0.0.1" in started[0][0] and "--ServerApp.ip=127.0.0.1" not in started[1][0]
    (command, author, settings), lessons = started[0], sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
    assert sorted(path.name for path in my.glob("*.ipynb")) == lessons
    assert f"--ServerApp.root_dir={my}" in command and "--port=9999" in command
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in command
    assert author == "0" and settings == str(launch.SETTINGS)


def test_the_author_sees_the_repository_and_no_copies_are_made(course, started, my):
    assert course("lab", "--author")[0] == 0
    command, author, settings = started[0]
    assert f"--ServerApp.root_dir={ROOT}" in command and author == "1" and settings == str(launch.SETTINGS)
    assert not my.exists()
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in command


def test_a_lab_without_its_packages_says_what_to_install(course, started, monkeypatch):
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: None if name == "jupyterlab" else 1)
    code_, _, complaint = course("lab")
    assert (
        code_ == 1
        and "jupyterlab is not installed here: pip install" in complaint
        and "[lab]" in complaint
        and not started
    )


def test_a_folder_that_is_not_ours_to_write_is_said(course, started, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(paths, "MY", tmp_path / "file" / "my")
    exit_code, _, complaint = course("lab")
    assert exit_code == 1 and "COURSE_HOME" in complaint and not started


def test_update_progress_and_reset_tell_a_students_story(course, my):
    assert "00_start_here.ipynb is new" in course("update")[1]
    assert course("update") == (0, "your copies are up to date\n", "")
    copy = my / "00_start_here.ipynb"
    notebook = load(copy)
    cell = next(cell for cell in notebook["cells"] if 'check("00.1"' in "".join(cell["source"]))
    cell |= {
        "source": "".join(cell["source"]).replace("...", "return levels / 8 - 1"),
        "outputs": code("", "✓ 00.1 right\n")["outputs"],
    }
    save(notebook, copy)
    said = course("progress")[1].splitlines()
    assert said[0].split() == ["00_start_here", "1", "of", "4", "right", "✓", "·", "·", "·"]
    assert said[-1] == "✓ right   ✗ wrong   ? not run   · open"
    assert "✓ 00.1   From grey levels to the scale of the models" in course("progress", "00")[1]
    exit_code, said, _ = course("reset", "00")
    assert exit_code == 0 and "00_start_here.ipynb is new; the old one is" in said
    assert "levels / 8" not in "".join(texts(load(copy)))


@pytest.mark.parametrize("command", ["update", "progress", "reset"])
def test_an_unknown_lesson_is_one_line(course, command):
    exit_code, _, complaint = course(command, "99")
    assert exit_code == 1 and complaint.startswith("course: there is no lesson '99'; there are 00_start_here")


def test_a_reset_needs_a_lesson(course):
    assert course("reset")[0] == 2
