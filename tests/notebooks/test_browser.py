"""A student's copy in a real browser: run, moved by keyboard, saved, and opened again."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from small_lessons import code, lesson, load, save

from course_lib.notebooks.saving import VIEW
from course_lib.paths import NOTEBOOKS

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
TOKEN = "letters"
WIDGETS = """
from ipywidgets import IntSlider, SelectionSlider, ToggleButtons
from matplotlib.figure import Figure
from course_lib import show

def draw(curve, size, t):
    fig = Figure(figsize=(3, 2))
    fig.subplots().plot([0, size * t if curve == "up" else -size * t])
    return fig

show.widget(draw, "A line that rises or falls.", curve=ToggleButtons(options=["up", "down"], description="curve"),
            size=SelectionSlider(options=[16, 32, 64], description="size"), t=IntSlider(3, description="t"))
"""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here (on Debian and Ubuntu: apt install chromium)"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A student's folder, with one notebook of his own beside the copies."""
    home = tmp_path_factory.mktemp("home")
    save(lesson(code("1 + 1"), code(WIDGETS), code("2 + 2")), home / "my" / "mine.ipynb")
    return home


@pytest.fixture(scope="module")
def server(home):
    """`course lab` over that folder: its port."""
    options = [
        "--no-browser",
        f"--IdentityProvider.token={TOKEN}",
        "--LabApp.expose_app_in_browser=True",
        "--port=8950",
    ]
    settings = {"COURSE_HOME": str(home), "OMP_NUM_THREADS": "1", "JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    process = subprocess.Popen(
        [sys.executable, "-m", "course_lib.cli", "lab", "--", *options], env={**os.environ, **settings},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/lab", line):
            break
    else:
        pytest.fail("JupyterLab did not start:\n" + "".join(lines))
    threading.Thread(target=process.stderr.read, daemon=True).start()
    yield int(found[1])
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, browser, port: int, name: str):
        self.page = browser.new_page(viewport={"width": 1366, "height": 900})
        self.page.set_default_timeout(120_000)
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(f"http://127.0.0.1:{port}/lab/tree/{name}?token={TOKEN}&reset")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.page.wait_for_function("() => jupyterapp.shell.currentWidget?.context?.isReady")

    def tell(self, script: str):
        return self.page.evaluate(f"() => {{ const nb = jupyterapp.shell.currentWidget; return {script}; }}")

    def cells(self) -> list[dict]:
        return self.tell("nb.content.model.toJSON().cells")

    def run_all(self) -> None:
        self.page.wait_for_function(
            "() => jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
        )
        self.tell("jupyterapp.commands.execute('notebook:run-all-cells')")
        self.page.wait_for_function(
            "() => jupyterapp.shell.currentWidget.content.model.toJSON().cells"
            ".every(c => c.cell_type !== 'code' || !c.source.length || c.execution_count)"
        )

    def show(self, index: int):
        """Bring a cell onto the page."""
        self.tell(f"(nb.content.activeCellIndex = {index}, nb.content.scrollToItem({index}, 'center'))")
        cell = self.page.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')
        cell.scroll_into_view_if_needed()
        return cell

    def picture(self, cell) -> str:
        return cell.locator("img").last.get_attribute("src")

    def changes(self, cell, act) -> None:
        """Do something, and wait until the picture is another one."""
        before = self.picture(cell)
        act()
        self.page.wait_for_function(
            "([image, before]) => image.isConnected ? image.src !== before : true",
            arg=[cell.locator("img").last.element_handle(), before],
        )

    def save(self) -> None:
        self.tell("jupyterapp.commands.execute('docmanager:save').then(() => true)")
        self.page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")

    def close(self) -> None:
        self.tell("jupyterapp.commands.execute('notebook:shutdown-kernel')")
        self.page.close()


@pytest.fixture
def notebook(browser, server):
    opened = []

    def open_(name):
        opened.append(Notebook(browser, server, name))
        return opened[-1]

    yield open_
    for each in opened:
        if not each.page.is_closed():
            each.close()


def with_widget(cells: list[dict]) -> int:
    """Which cell shows controls."""
    return next(
        i for i, cell in enumerate(cells) if any(VIEW in out.get("data", {}) for out in cell.get("outputs", []))
    )


def test_a_lesson_runs_its_slider_moves_by_keyboard_and_it_opens_again_with_its_picture(notebook, home):
    copy, before = home / "my" / "00_start_here.ipynb", (NOTEBOOKS / "00_start_here.ipynb").read_bytes()
    first = notebook("00_start_here.ipynb")
    first.run_all()
    outputs = [out for cell in first.cells() for out in cell.get("outputs", [])]
    assert not [out for out in outputs if out["output_type"] == "error" or out.get("name") == "stderr"]
    cell = first.show(with_widget(first.cells()))
    handle = cell.locator(".noUi-handle")
    handle.focus()
    first.changes(cell, lambda: handle.press("ArrowRight"))
    first.save()
    assert VIEW not in copy.read_text(encoding="utf-8") and len(load(copy)["cells"]) == len(first.cells())
    first.close()

    again = notebook("00_start_here.ipynb")
    index = next(i for i, c in enumerate(again.cells()) if "show.widget(" in c["source"])
    cell = again.show(index)
    assert "Run this cell to move: step." in cell.inner_text() and cell.locator("img").count() == 1
    assert "Error displaying widget" not in again.page.locator("body").inner_text()
    assert first.complaints == again.complaints == []
    assert (NOTEBOOKS / "00_start_here.ipynb").read_bytes() == before
    assert not list(Path(home / "my").glob("source/*"))


def test_buttons_and_selection_sliders_can_be_moved_by_keyboard_and_no_key_deletes_a_cell(notebook):
    mine = notebook("mine.ipynb")
    mine.run_all()
    number = len(mine.cells())
    cell = mine.show(with_widget(mine.cells()))
    buttons, handles = cell.locator(".widget-toggle-buttons button"), cell.locator(".noUi-handle")
    buttons.nth(1).focus()
    mine.changes(cell, lambda: buttons.nth(1).press("Enter"))
    buttons.nth(0).focus()
    mine.changes(cell, lambda: buttons.nth(0).press("Space"))
    for i in (0, 1):
        handles.nth(i).focus()
        mine.changes(cell, lambda i=i: handles.nth(i).press("ArrowRight"))
    assert len(mine.cells()) == number and mine.complaints == []
    assert json.dumps(mine.cells()[1]["outputs"]).count(VIEW) == 1
