"""A cell that hangs is interrupted and named, and the rest of its notebook does not wait."""

import subprocess
import sys

import nbformat
import pytest

from course_lib.notebooks.build import CELL_SECONDS, MAX_SECONDS
from course_lib.paths import ROOT


@pytest.fixture
def pytest_run(tmp_path):
    """Write notebooks, cells by name, and run pytest on them: (exit code, what it printed)."""

    def run(*options, **notebooks):
        paths = [tmp_path / f"{name}.ipynb" for name in notebooks]
        for path, cells in zip(paths, notebooks.values(), strict=True):
            kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
            cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
            nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--nbval-lax",
            "-rs",
            "-p",
            "conftest",
            "-p",
            "no:cacheprovider",
            *options,
        ]
        ran = subprocess.run([*command, *map(str, paths)], cwd=ROOT, capture_output=True, text=True, check=False)
        return ran.returncode, " ".join(ran.stdout.split())

    return run


def test_a_hanging_cell_is_interrupted_and_named_and_the_rest_of_its_notebook_is_skipped(pytest_run):
    hangs = ["x = 1", "import time\ntime.sleep(60)", "time.sleep(60)", "time.sleep(60)"]
    code, out = pytest_run("--nbval-cell-timeout=2", hangs=hangs, works=["y = 2"])
    assert code == 1 and "1 failed, 2 passed, 2 skipped" in out
    assert "hangs.ipynb, code cell 1 (`import time`), hangs. Timeout of 2 seconds" in out
    assert "[2]" in out and "hangs.ipynb was given up, because a cell before this one hung" in out


def test_a_cell_that_fails_does_not_stop_the_later_ones_and_keeps_its_own_message(pytest_run):
    code, out = pytest_run(fails=["1 / 0", "x = 1"])
    assert code == 1 and "1 failed, 1 passed" in out
    assert "ZeroDivisionError" in out and "hangs." not in out


def test_the_limit_is_more_than_a_notebook_may_take_and_far_less_than_nbvals_own(pytestconfig):
    assert MAX_SECONDS < CELL_SECONDS <= 300
    assert pytestconfig.option.nbval_cell_timeout == CELL_SECONDS
