"""What pytest needs to know beside the tests: how long it waits for a cell, and how several processes share the work."""

import re

import pytest

from course_lib.notebooks.build import CELL_SECONDS

NBVALS_OWN_SECONDS = 2000
OUTPUT_SECONDS = (
    60  # how long nbval waits for a cell's outputs once it has run; its own 5 s are short on a busy machine
)

LONGEST = ("test_browser", "/09_", "/07_", ".ipynb", "tests/training", "test_exercises", "test_cli")


def pytest_configure(config):
    if getattr(config.option, "nbval_cell_timeout", None) == NBVALS_OWN_SECONDS:
        config.option.nbval_cell_timeout = CELL_SECONDS


def pytest_collection_modifyitems(config, items):
    for item in items:
        if hasattr(item, "output_timeout"):
            item.output_timeout = OUTPUT_SECONDS
    if hasattr(config, "workerinput"):  # one of several processes: the files that take longest come first
        items.sort(key=lambda item: next((i for i, part in enumerate(LONGEST) if part in item.nodeid), len(LONGEST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file stays in one process, but for the tests of exercises: they are the longest, and go lesson by lesson."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFileAndLesson(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file, _, test = nodeid.partition("::")
            lesson = re.search(r"(?<![\w.])\d\db?(?=[].-])", test) if file.startswith("tests/exercises/") else None
            return f"{file}::{lesson[0]}" if lesson else file

    config.option.loadscopereorder = False  # in the order of the items, not by their number
    return ByFileAndLesson(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if getattr(item.parent, "timed_out", False):
        pytest.skip(f"{item.path.name} was given up, because a cell before this one hung")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    except Exception as error:
        if getattr(item.parent, "timed_out", False):
            first = item.cell.source.partition("\n")[0]
            error.args = (
                f"{item.path.name}, code cell {item.cell_num} (`{first}`), hangs. {error}. "
                "The rest of the notebook is skipped; for another limit: --nbval-cell-timeout=600",
            )
        raise
