"""What is saved of a lesson that ran: pictures and texts, and nothing that another run would change."""

import copy
import json
import os
import subprocess
import sys

import nbformat
import pytest

from course_lib.notebooks.build import build_notebook, build_notebooks, keep_newer
from course_lib.notebooks.saving import VIEW, before_saving, without_widgets
from course_lib.paths import PACKAGE

NOTEBOOK = {
    "metadata": {"widgets": {"state": 1}, "kernelspec": {"name": "python3"}},
    "cells": [
        {"cell_type": "markdown", "source": "text"},
        {"cell_type": "code", "source": "1", "outputs": [
            {"output_type": "display_data", "data": {VIEW: {"model_id": "b18a"}, "text/plain": "Run this cell to move: t."}},
            {"output_type": "display_data", "data": {"image/png": "AAAA", "text/plain": "a picture"}},
            {"output_type": "stream", "name": "stdout", "text": "line"},
        ]},
    ],
}  # fmt: skip


def test_only_the_links_to_widgets_go():
    notebook = copy.deepcopy(NOTEBOOK)
    without_widgets(notebook)
    assert notebook["metadata"] == {"kernelspec": {"name": "python3"}}
    kept = [output.get("data") for output in notebook["cells"][1]["outputs"]]
    assert kept == [{"text/plain": "Run this cell to move: t."}, {"image/png": "AAAA", "text/plain": "a picture"}, None]


@pytest.mark.parametrize("model", [{"type": "file", "content": "text"}, {"type": "notebook", "content": None}, {}])
def test_other_files_are_saved_as_they_are(model):
    before = copy.deepcopy(model)
    before_saving(model=model, path="a", contents_manager=None)
    assert model == before


@pytest.mark.parametrize(("author", "extensions"), [("0", {"jupytext": False}), ("1", {})])
def test_the_server_takes_the_hook_and_leaves_jupytext_to_authors(author, extensions):
    code = (
        "from traitlets.config.loader import PyFileConfigLoader as L\n"
        f"c = L('jupyter_server_config.py', path={str(PACKAGE / 'notebooks' / 'lab')!r}).load_config()\n"
        "import json, sys\n"
        "model = json.load(sys.stdin)\n"
        "c.ContentsManager.pre_save_hook(model=model, path='', contents_manager=None)\n"
        "print(json.dumps([c.ServerApp.get('jpserver_extensions', {}), model, 'torch' in sys.modules]))\n"
    )
    given, settings = json.dumps({"type": "notebook", "content": NOTEBOOK}), os.environ | {"COURSE_AUTHOR": author}
    ran = subprocess.run(
        [sys.executable, "-c", code], input=given, capture_output=True, text=True, check=True, env=settings
    )
    found, model, torch_too = json.loads(ran.stdout)
    expected = copy.deepcopy(NOTEBOOK)
    without_widgets(expected)
    assert found == extensions and model["content"] == expected and not torch_too


def test_a_lesson_with_a_widget_is_the_same_bytes_when_it_is_executed_again(source, tmp_path):
    cells = (
        "from matplotlib.figure import Figure\nfrom ipywidgets import IntSlider\nfrom course_lib import show",
        "def draw(t):\n    fig = Figure()\n    fig.subplots().plot([0, t])\n    return fig",
        'show.widget(draw, "a line that rises, up to t", t=IntSlider(3, description="t"))',
        "from course_lib.doctor import examine\n\nexamine();",
    )
    path, target = source(*cells), tmp_path / "04_flows.ipynb"
    assert build_notebook(path, target)
    first = target.read_bytes()
    assert build_notebook(path, target) and target.read_bytes() == first
    assert b"Run this cell to move: t." in first and b"image/png" in first and VIEW.encode() not in first
    assert target.stat().st_mtime_ns == path.stat().st_mtime_ns


@pytest.fixture
def edited(source, tmp_path):
    """A source, and a notebook of it that was edited an hour later."""
    path, target = source("x = 1"), tmp_path / "04_flows.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 'mine'")])
    nbformat.write(notebook, target)
    os.utime(target, (path.stat().st_mtime + 3600,) * 2)
    return path, target


def test_a_notebook_that_was_edited_after_its_source_is_kept_before_it_is_written_anew(
    edited, monkeypatch, capsys, tmp_path
):
    path, target = edited
    before = target.read_bytes()
    monkeypatch.setattr("course_lib.notebooks.build.SOURCES", path.parent)
    monkeypatch.setattr("course_lib.notebooks.build.NOTEBOOKS", tmp_path)
    assert build_notebooks(["04"])
    (kept,) = tmp_path.glob("*.bak")
    assert kept.read_bytes() == before and kept.name in capsys.readouterr().out
    assert "mine" not in target.read_text(encoding="utf-8")


def test_a_notebook_that_only_ran_or_is_older_than_its_source_is_not_kept(edited, source):
    path, target = edited
    os.utime(path, (target.stat().st_mtime + 60,) * 2)
    assert keep_newer(path, target) is None
    source("x = 'mine'")
    os.utime(target, (path.stat().st_mtime + 3600,) * 2)
    assert keep_newer(path, target) is None
    assert keep_newer(path, target.with_name("none.ipynb")) is None
