"""What `make` calls: JupyterLab, the tests, and the notebooks made from their sources."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from course_lib.paths import NOTEBOOKS, ROOT

START = NOTEBOOKS / "00_start_here.ipynb"
SOURCES = NOTEBOOKS / "source"
MAX_SECONDS, MAX_MEGABYTES_RAM, MAX_MEGABYTES_FILE = 75, 2000, 1.5


def open_lab(arguments: list[str]) -> int:
    """JupyterLab at the first lesson, on the loopback interface, behind its token; without a screen it prints the URL."""
    command = [
        sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={ROOT}",
        f"--LabApp.default_url=/lab/tree/{START.relative_to(ROOT).as_posix()}",
        f"--LabApp.app_settings_dir={ROOT / 'course_lib' / 'lab'}",  # no news, no search for updates
    ]  # fmt: skip
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        command.append("--no-browser")
        print(
            "no screen here: open the URL that follows in a browser (for a server, through `ssh -L 8888:127.0.0.1:8888`)"
        )
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # a container's only user; the server is on loopback, behind its token
    sys.stdout.flush()
    if os.name == "posix":  # JupyterLab takes this process's place, and with it Ctrl-C and the signals
        os.execv(sys.executable, command + arguments)
    return subprocess.call(command + arguments)


def run_tests(arguments: list[str]) -> int:
    """pytest over the tests and every cell of every notebook; the last line counts what passed and what failed."""
    import pytest

    class Count:
        passed = failed = 0

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                self.failed += 1
            elif report.when == "call" and report.passed:
                self.passed += 1

        def pytest_collectreport(self, report: pytest.CollectReport) -> None:
            self.failed += report.failed

    os.chdir(ROOT)
    count = Count()
    everything = ["tests", *(str(p.relative_to(ROOT)) for p in sorted(NOTEBOOKS.glob("*.ipynb")))]
    chosen = arguments if any(not a.startswith("-") for a in arguments) else [*everything, *arguments]
    code = pytest.main(["--nbval-lax", "-q", "--durations=8", *chosen], plugins=[count])
    print(f"{count.passed} passed, {count.failed} failed")
    return int(code)


def build_notebooks(names: list[str], everything: bool = False) -> bool:
    """Execute the sources whose cells differ from their notebook, and write the notebooks with outputs."""
    sources = [s for s in sorted(SOURCES.glob("*.py")) if not names or any(s.stem.startswith(n) for n in names)]
    if not sources:
        raise ValueError(f"there is no lesson {' or '.join(names)}; there are {', '.join(lesson_names())}")
    fine = True
    for source in sources:
        target = NOTEBOOKS / f"{source.stem}.ipynb"
        if not (everything or names) and same_cells(source, target):
            print(f"  {source.stem:24} unchanged")
            continue
        fine &= _execute(source, target)
    return fine


def lesson_names() -> list[str]:
    """The lessons that exist, such as 06_forward_diffusion."""
    return [source.stem for source in sorted(SOURCES.glob("*.py"))]


def same_cells(source: Path, target: Path) -> bool:
    """Whether a notebook has the cells of its source and was executed."""
    import jupytext
    import nbformat

    if not target.exists():
        return False
    ours, theirs = jupytext.read(source).cells, nbformat.read(target, as_version=4).cells
    executed = all(c.execution_count for c in theirs if c.cell_type == "code")
    return executed and [(c.cell_type, c.source) for c in ours] == [(c.cell_type, c.source) for c in theirs]


def _execute(source: Path, target: Path) -> bool:
    import jupytext
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = jupytext.read(source)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    filters = {"cell_metadata_filter": "tags,slideshow,-all", "notebook_metadata_filter": "kernelspec,-all"}
    notebook.metadata = {"jupytext": filters, "kernelspec": kernel}
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i:03d}"
    client = NotebookClient(
        notebook, timeout=600, record_timing=False, store_widget_state=False, coalesce_streams=True,
        extra_arguments=["--log-level=40"], resources={"metadata": {"path": str(NOTEBOOKS)}},
    )  # fmt: skip
    start, peak = time.perf_counter(), None
    try:
        with client.setup_kernel():
            reply = client.wait_for_reply(client.kc.kernel_info())
            notebook.metadata["language_info"] = reply["content"]["language_info"]
            for i, cell in enumerate(notebook.cells):
                client.execute_cell(cell, i)
            peak = _peak_memory(client)
    except CellExecutionError as error:
        print(f"✗ {source.stem}: {re.sub(chr(27) + r'.[0-9;]*m', '', str(error))}")
        return False
    nbformat.write(notebook, target)
    seconds, size = time.perf_counter() - start, target.stat().st_size / 1e6
    over = [
        f"over {limit} {unit}"
        for value, limit, unit in (
            (seconds, MAX_SECONDS, "s"), (peak or 0, MAX_MEGABYTES_RAM, "MB of memory"), (size, MAX_MEGABYTES_FILE, "MB"),
        )
        if value > limit
    ]  # fmt: skip
    memory = f"{peak:5.0f} MB of memory" if peak else "memory unknown"
    print(
        f"{'!' if over else '✓'} {source.stem:24} {seconds:5.1f} s, {memory}, {size:.2f} MB on disk {'; '.join(over)}"
    )
    return True


def _peak_memory(client) -> float | None:
    """The kernel's peak memory in MB, where the system tells."""
    import nbformat

    code = "import resource as _r; print(_r.getrusage(_r.RUSAGE_SELF).ru_maxrss)"
    probe = nbformat.v4.new_code_cell(code)
    if sys.platform == "win32":
        return None
    client.nb.cells.append(probe)
    try:
        client.execute_cell(probe, len(client.nb.cells) - 1)
    finally:
        client.nb.cells.pop()
    return int(probe.outputs[0].text) / (1e6 if sys.platform == "darwin" else 1e3)
