"""A cell that hangs is interrupted and named, and the rest of its notebook does not wait."""

import subprocess
import sys

import nbformat
import pytest

from course_lib.notebooks.build import CELL_SECONDS, MAX_SECONDS
from course_lib.paths import ROOT

NOTEBOOKS = {
    "hangs": ["x = 1", "import time\ntime.sleep(60)", "time.sleep(60)", "time.sleep(60)"],
    "fails": ["1 / 0", "x = 1"],
    "works": ["y = 2"],
}
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What pytest says of these notebooks, in one line, where a cell may take two seconds."""
    paths = [tmp_path_factory.mktemp("notebooks") / f"{name}.ipynb" for name in NOTEBOOKS]
    for path, cells in zip(paths, NOTEBOOKS.values(), strict=True):
        cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), path)
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-rs", "-p", "conftest", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, "--nbval-cell-timeout=2", *map(str, paths)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return " ".join(ran.stdout.split())


def test_a_hanging_cell_is_interrupted_and_named(report):
    assert "hangs.ipynb, code cell 1 (`import time`), hangs. Timeout of 2 seconds" in report
    assert "KeyboardInterrupt" in report


def test_the_rest_of_its_notebook_is_skipped_and_other_notebooks_are_run(report):
    assert "2 failed, 3 passed, 2 skipped" in report
    assert "hangs.ipynb was given up, because a cell before this one hung" in report


def test_a_cell_that_fails_keeps_its_own_message_and_stops_no_later_ones(report):
    assert "ZeroDivisionError" in report and report.count("hangs. ") == 1


def test_the_limit_is_more_than_a_notebook_may_take_and_far_less_than_nbvals_own(pytestconfig):
    assert MAX_SECONDS < CELL_SECONDS <= 300
    assert pytestconfig.option.nbval_cell_timeout == CELL_SECONDS
