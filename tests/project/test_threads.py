"""Whatever the course starts, OpenMP's threads wait quietly: the variable is set before torch is loaded."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course_lib.paths import ROOT
from course_lib.threads import QUIET, quiet_waiting

SAYS = "import os\nprint('policy', os.environ.get('OMP_WAIT_POLICY'), flush=True)\nos._exit(0)\n"
CLI = [sys.executable, "-m", "course_lib.cli"]
COMMANDS = [
    ["train", "ddpm-digits"],
    ["sample", "ddpm-digits"],
    ["evaluate", "ddpm-digits"],
    ["record", "bound-digits"],
]


def policy(command: list, stubs: Path, **environment) -> str:
    """What a stub module, the first one met, sees in the environment of a fresh process."""
    clean = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    clean |= {"PYTHONPATH": f"{stubs}{os.pathsep}{ROOT}", "COURSE_HOME": str(stubs / "home")}
    ran = subprocess.run(command, cwd=ROOT, env=clean | environment, capture_output=True, text=True, check=False)
    assert "policy " in ran.stdout, ran.stdout + ran.stderr
    return ran.stdout.partition("policy ")[2].split()[0]


@pytest.fixture
def torch_speaks(tmp_path):
    """A folder whose torch, once imported, says what it sees and ends the process."""
    (tmp_path / "torch.py").write_text(SAYS, encoding="utf-8")
    return tmp_path


ROUTES = {"a student's own kernel": [sys.executable, "-c", "import course_lib"]}
ROUTES |= {f"course {arguments[0]}": [*CLI, *arguments] for arguments in [*COMMANDS, ["test"], ["notebooks"], ["lab"]]}
ROUTES |= {"pytest": [sys.executable, "-m", "pytest", "-p", "conftest", "-s", "tests/project/test_project.py"]}


@pytest.mark.parametrize("command", ROUTES.values(), ids=ROUTES)
def test_the_policy_is_set_before_torch_is_loaded(command, torch_speaks):
    assert policy(command, torch_speaks) == "PASSIVE"


@pytest.mark.parametrize(
    "command", [ROUTES["course train"], ROUTES["a student's own kernel"]], ids=["course train", "kernel"]
)
def test_a_users_own_policy_is_kept(command, torch_speaks):
    assert policy(command, torch_speaks, OMP_WAIT_POLICY="ACTIVE") == "ACTIVE"


def test_course_lab_hands_the_policy_to_jupyterlab_and_so_to_its_kernels(tmp_path):
    (tmp_path / "jupyterlab").mkdir()
    (tmp_path / "jupyterlab" / "__init__.py").touch()
    (tmp_path / "jupyterlab" / "__main__.py").write_text(SAYS, encoding="utf-8")
    assert policy([*CLI, "lab"], tmp_path) == "PASSIVE"


def test_the_kernels_of_nbval_and_of_make_notebooks_have_it_before_torch(tmp_path):
    from course_lib.notebooks.build import build_notebook

    source, target = tmp_path / "04_waits.py", tmp_path / "04_waits.ipynb"
    source.write_text("# %%\nimport os, sys\nassert 'torch' not in sys.modules\nprint(os.environ['OMP_WAIT_POLICY'])\n")
    assert build_notebook(source, target)
    assert nbformat.read(target, as_version=4).cells[0].outputs[0].text == f"{os.environ['OMP_WAIT_POLICY']}\n"

    clean = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "-q",
        "-p",
        "conftest",
        "-p",
        "no:cacheprovider",
        str(target),
    ]
    ran = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False)
    assert "1 passed" in ran.stdout, ran.stdout


def test_gnus_openmp_soon_sleeps_where_course_lib_comes_first():
    def rounds_of_spinning(code):
        clean = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
        command = [sys.executable, "-c", code]
        ran = subprocess.run(
            command, cwd=ROOT, env=clean | {"OMP_DISPLAY_ENV": "VERBOSE"}, capture_output=True, text=True, check=True
        )
        found = re.search(r"GOMP_SPINCOUNT = '(\d+)'", ran.stderr)
        return int(found.group(1)) if found else pytest.skip("this torch was built with another OpenMP than GNU's")

    quiet = int(QUIET["GOMP_SPINCOUNT"])
    assert rounds_of_spinning("import course_lib, torch") == quiet < rounds_of_spinning("import torch, course_lib")


def test_only_what_the_user_has_not_set_is_set(monkeypatch):
    for given, spins in ((None, QUIET["GOMP_SPINCOUNT"]), ("PASSIVE", QUIET["GOMP_SPINCOUNT"]), ("ACTIVE", None)):
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
        if given:
            monkeypatch.setenv("OMP_WAIT_POLICY", given)
        quiet_waiting()
        assert os.environ["OMP_WAIT_POLICY"] == (given or "PASSIVE")
        assert os.environ.get("GOMP_SPINCOUNT") == spins
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    quiet_waiting()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
