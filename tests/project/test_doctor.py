"""The doctor: what it finds, what it says to do, and that it says the same twice."""

import gzip
import hashlib
import json
import shutil
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from course_lib import doctor, paths
from course_lib.data.sets import mnist


@pytest.fixture
def installed(monkeypatch):
    """Pretend that packages have other versions, or (None) that they are missing."""
    real, pretended = metadata.version, {}

    def version(name):
        if pretended.get(name, "") is None:
            raise metadata.PackageNotFoundError(name)
        return pretended.get(name) or real(name)

    monkeypatch.setattr(metadata, "version", version)
    return pretended


def test_the_doctor_says_the_same_as_long_as_nothing_is_scarce(monkeypatch, capsys):
    import psutil

    said = []
    for free in (3.5, 200.25):
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=free * 2**30))
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free * 2**30))
        assert doctor.examine()
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] and "more than 3 GB of memory free" in said[0] and "more than 2 GB free" in said[0]


def test_scarce_memory_and_a_full_disk_are_warnings(monkeypatch, tmp_path):
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**30))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30))
    monkeypatch.setattr(paths, "HOME", tmp_path)
    assert [doctor._memory()[0], doctor._home()[0]] == ["!", "!"]


def test_a_missing_or_an_old_package_comes_with_the_line_that_installs_it(installed):
    installed.update(torch="1.0", pooch=None)
    found = dict(reversed(finding) for finding in doctor._packages())
    assert set(found.values()) == {"✗"}
    old, missing = sorted(found, key=lambda line: line.startswith("pooch"))
    assert old.startswith("torch 1.0 does not fit (>=2.6)") and missing.startswith("pooch is missing")
    assert all(line.endswith('-m pip install -c constraints.txt -e "."') for line in found)


def test_without_the_clone_the_line_names_the_package(installed, monkeypatch):
    installed.update(jupyterlab=None, ipywidgets=None)
    monkeypatch.setattr(paths, "IS_CLONE", False)
    mark, line = doctor._extras()[0]
    assert mark == "!" and "jupyterlab is missing" in line and "ipywidgets is missing" in line
    assert line.endswith('-m pip install "course-lib[lab]"')


def test_who_only_learns_does_not_need_the_authors_packages(installed, capsys):
    installed.update(ruff=None)
    assert doctor.examine()
    assert "· [dev]: ruff is missing; only `course test` and authors need it" in capsys.readouterr().out
    installed.update(dict.fromkeys(["pytest", "pytest-xdist", "hypothesis", "playwright", "nbval", "jupytext"]))
    assert "[dev]: not installed; only" in doctor._extras()[1][1]


def test_files_that_were_never_installed_are_told_apart_from_missing_packages(monkeypatch, capsys):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert not doctor.examine()
    assert "it is not installed" in capsys.readouterr().out


@pytest.mark.parametrize(("python", "mark"), [("python", "✓"), (sys.executable, "✓"), ("/nowhere/bin/python", "✗")])
def test_a_kernel_of_another_python_is_found(python, mark, tmp_path, monkeypatch):
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": [python, "-m", "x"], "display_name": "P", "language": "python"}), "utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    [(found, line)] = doctor._kernel()
    assert found == mark and ("ipykernel install --sys-prefix" in line) == (mark == "✗")


@pytest.mark.parametrize(("policy", "mark"), [("PASSIVE", "✓"), ("passive", "✓"), ("ACTIVE", "!")])
def test_threads_that_spin_are_a_warning(policy, mark, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found, line = doctor._threads()
    assert found == mark and "as OMP_NUM_THREADS=1 says" in line


def test_what_you_make_goes_to_the_clone_or_home_or_where_course_home_says(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "HOME", paths.ROOT)
    assert doctor._home()[1].startswith("what you make goes to this clone")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(paths, "HOME", tmp_path / "from-noise-to-images")
    assert doctor._home()[1].startswith("what you make goes to ~/from-noise-to-images, which has")
    assert not list(tmp_path.iterdir()), "the doctor only looks"


def test_a_folder_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(paths, "HOME", tmp_path / "file" / "course")
    mark, line = doctor._home()
    assert mark == "✗" and "can't be written" in line and "COURSE_HOME" in line


def test_a_damaged_model_is_told(monkeypatch, tmp_path):
    for name in ("ddpm-digits", "features-digits"):
        shutil.copytree(paths.CHECKPOINTS / name, tmp_path / name)
    with (tmp_path / "ddpm-digits" / "model.safetensors").open("ab") as file:
        file.write(b"\r\n")
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path)
    (mark, line), rest = doctor._checkpoints()
    assert mark == "✗" and "ddpm-digits is damaged (model.safetensors is not what was written)" in line
    assert rest == ("✓", "trained models: features-digits")


@pytest.fixture
def own_data(monkeypatch, tmp_path):
    """A folder that COURSE_DATA names, with files of the right hashes."""
    files = {}
    for name in ("images", "labels"):
        content = f"{name}, decompressed".encode()
        files[name] = mnist.IdxFile(name, 1, hashlib.sha256(content).hexdigest())
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setattr(mnist, "MNIST", mnist.IdxSource("mnist", (), files))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return tmp_path


def test_data_of_your_own_are_whole(own_data):
    mark, line = doctor._data()
    assert mark == "✓" and f"MNIST is whole in {own_data}" in line


@pytest.mark.parametrize("damage", ["altered", "truncated", "missing"])
def test_data_of_your_own_are_compared_with_their_hashes(damage, own_data):
    path = own_data / "labels.gz"
    if damage == "altered":
        path.write_bytes(gzip.compress(b"other labels"))
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.unlink()
    mark, line = doctor._data()
    assert mark == "✗" and "labels" in line and "COURSE_DATA" in line


@pytest.mark.parametrize(("variable", "folder"), [("COURSE_HOME", paths.home), ("COURSE_DATA", paths.data_folder)])
def test_a_folder_in_nobodys_home_is_refused_by_the_variables_name(monkeypatch, variable, folder):
    monkeypatch.setenv(variable, "~nobody-of-that-name/course")
    with pytest.raises(ValueError, match=f"{variable} names ~nobody-of-that-name/course, and there is no such home"):
        folder()
