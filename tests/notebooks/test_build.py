"""Notebooks are made of their sources: what travels both ways, what is compared, and what an author is told."""

import re

import jupytext
import nbformat
import numpy as np
import pytest
from jupytext.config import load_jupytext_config

from course_lib.notebooks import build
from course_lib.notebooks.build import build_notebook, notebook_of
from course_lib.notebooks.source import lesson_names, metadata_filters, read_lesson, same_cells
from course_lib.paths import NOTEBOOKS

TAGGED = {
    0: 'tags=["hide-input"]',
    1: 'jupyter={"source_hidden": true} tags=["widget", "hide-input"]',
    2: 'slideshow={"slide_type": "skip"}',
}
CELLS = ("x = 1", "y = 2", "z = 3", "w = 4")


@pytest.fixture
def built(source, tmp_path):
    """A source and its notebook, as if executed."""
    path, target = source(*CELLS, options=TAGGED), tmp_path / "04_flows.ipynb"
    notebook = notebook_of(path)
    for cell in notebook.cells:
        cell.execution_count = 1
    nbformat.write(notebook, target)
    return path, target


def test_jupytext_and_we_read_the_same_filters_and_they_let_tags_slides_and_folds_through():
    settings = load_jupytext_config(str(NOTEBOOKS / "00_start_here.ipynb"))
    assert metadata_filters() == {name: getattr(settings, name) for name in metadata_filters()}
    assert metadata_filters()["cell_metadata_filter"] == "tags,slideshow,jupyter,-all"


def test_the_tag_alone_folds_a_cell(built):
    cells = nbformat.read(built[1], as_version=4).cells
    assert [dict(c.metadata) for c in cells] == [
        {"tags": ["hide-input"], "jupyter": {"source_hidden": True}},
        {"tags": ["widget", "hide-input"], "jupyter": {"source_hidden": True}},
        {"slideshow": {"slide_type": "skip"}},
        {},
    ]


def test_metadata_survive_the_way_to_a_notebook_and_back_to_the_source(built):
    path, target = built
    notebook = nbformat.read(target, as_version=4)
    notebook.cells[0].metadata["collapsed"] = True  # what JupyterLab adds for itself stays out of the source
    back = jupytext.reads(jupytext.writes(notebook, fmt="py:percent"), fmt="py:percent")
    folded = [dict(c.metadata) for c in notebook_of(path).cells]
    assert [dict(c.metadata) for c in back.cells] == folded
    assert [c.source for c in back.cells] == list(CELLS)


def test_a_source_that_jupyterlab_wrote_has_the_same_cells_as_one_that_has_the_tag_alone(built):
    path, target = built
    assert same_cells(path, target)
    path.write_text(jupytext.writes(nbformat.read(target, as_version=4), fmt="py:percent"), encoding="utf-8")
    assert "source_hidden" in path.read_text(encoding="utf-8").partition("x = 1")[0]
    assert same_cells(path, target)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = 1", "x = 2"),
        ('# %% tags=["hide-input"]', "# %%"),
        ("# %%\nw", '# %% tags=["hide-input"]\nw'),
        ("# %%\nw", "# %% [markdown]\nw"),
        ('"skip"', '"slide"'),
        ("w = 4\n", "w = 4\n\n# %%\nv = 5\n"),
    ],
    ids=["code", "untagged", "tagged", "kind", "slide", "one more"],
)
def test_a_change_of_code_kind_or_metadata_is_a_change(built, old, new):
    path, target = built
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert not same_cells(path, target)


def test_a_notebook_that_was_not_executed_is_not_the_same(built):
    path, target = built
    nbformat.write(notebook_of(path), target)
    assert not same_cells(path, target)
    assert not same_cells(path, target.with_name("nowhere.ipynb"))


@pytest.mark.parametrize("name", lesson_names())
def test_every_cell_of_a_source_begins_at_a_line_that_is_known(name):
    lesson = read_lesson(NOTEBOOKS / "source" / f"{name}.py")
    assert len(lesson.lines) == len(lesson.cells) > 10


def test_building_executes_and_tells_cost_minutes_and_each_broken_rule(source, tmp_path, capsys):
    head = ("# 04 · Flows\n\n**Time:** 40 minutes, and 10 more for the exercises.",)
    path, target = source(head, f'x = "{"a" * 100}"', "print(len(x))"), tmp_path / "04_flows.ipynb"
    assert build_notebook(path, target)
    first, *rules = capsys.readouterr().out.splitlines()
    assert first.startswith("! 04_flows") and " s, " in first and "MB on disk" in first
    assert first.endswith("about 0 minutes to read (40 stated)")
    assert [r.partition(":")[0].strip() for r in rules] == [
        "a line of code has at most 100 characters", "the head's minutes are honest within 20%",
    ]  # fmt: skip
    assert same_cells(path, target)
    assert nbformat.read(target, as_version=4).cells[2].outputs[0].text == "100\n"


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("import time\ntime.sleep(60)", "the cell at line 12 still ran after 1 s: import time"),
        ("1 / 0", "ZeroDivisionError"),
    ],
    ids=["hangs", "fails"],
)
def test_a_cell_that_hangs_or_fails_is_named_and_nothing_is_written(source, tmp_path, capsys, cell, says):
    target = tmp_path / "04_flows.ipynb"
    assert not build_notebook(source("x = 1", cell), target, cell_seconds=1)
    assert says in capsys.readouterr().out
    assert not target.exists()


@pytest.fixture
def lessons(monkeypatch, tmp_path):
    """Three sources, of which only the first is unchanged; the list of what was executed, and the set of what fails."""
    executed, failing = [], set()
    for name in ("01_a", "02_b", "03_c"):
        (tmp_path / f"{name}.py").write_text("", encoding="utf-8")

    def execute(path, target):
        assert target == tmp_path / f"{path.stem}.ipynb"
        executed.append(path.stem)
        return path.stem not in failing

    monkeypatch.setattr(build, "SOURCES", tmp_path)
    monkeypatch.setattr(build, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(build, "same_cells", lambda path, target: path.stem == "01_a")
    monkeypatch.setattr(build, "build_notebook", execute)
    return executed, failing


@pytest.mark.parametrize(
    ("names", "everything", "expected"),
    [
        ([], False, ["02_b", "03_c"]),
        ([], True, ["01_a", "02_b", "03_c"]),
        (["01"], False, ["01_a"]),
        (["01", "03"], True, ["01_a", "03_c"]),
    ],
    ids=["changed", "all", "named though unchanged", "named"],
)
def test_what_changed_is_executed_and_what_is_named_in_any_case(lessons, names, everything, expected):
    assert build.build_notebooks(names, everything)
    assert lessons[0] == expected


def test_one_lesson_that_fails_is_told_though_later_ones_run(lessons):
    executed, failing = lessons
    failing.add("02_b")
    assert not build.build_notebooks([])
    assert executed == ["02_b", "03_c"]


def test_a_lesson_over_its_budget_is_told_so_and_one_at_its_limit_is_not(built):
    path, target = built
    over = build._account(path, target, build.MAX_SECONDS + 1, build.MAX_MEGABYTES_RAM + 1)
    at_limit = build._account(path, target, build.MAX_SECONDS, build.MAX_MEGABYTES_RAM)
    assert [line.strip() for line in over[1:3]] == ["over 75 s", "over 2000 MB of memory"]
    assert not any("over" in line for line in at_limit)


def test_a_notebooks_own_memory_is_told_in_megabytes_and_the_probe_for_it_leaves_no_cell(source, tmp_path, capsys):
    path, target = source("x = 1"), tmp_path / "04_flows.ipynb"
    mine = np.ones(2**27)
    assert build_notebook(path, target)
    told = re.search(r"(\d+) MB of memory|memory unknown", capsys.readouterr().out)
    assert told[1] is None or 20 < int(told[1]) < mine.nbytes / 1e6
    assert [cell.source for cell in nbformat.read(target, as_version=4).cells] == ["x = 1"]


@pytest.mark.parametrize("names", [[""], ["99"], ["00", "99"]], ids=repr)
def test_a_name_that_no_lesson_has_is_refused_before_any_is_executed(monkeypatch, names):
    monkeypatch.setattr(build, "build_notebook", lambda *_: pytest.fail("it was executed"))
    with pytest.raises(ValueError, match=f"there is no lesson {names[-1]!r}; there are 00_start_here"):
        build.build_notebooks(names)
