"""`make notebooks`: execute the lessons' sources, write the notebooks with their outputs, and say how they measure up."""

import os
import re
import shutil
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib.notebooks.rules import complaints, reading_minutes, stated_minutes
from course_lib.notebooks.saving import without_widgets
from course_lib.notebooks.source import SOURCES, fold, metadata_filters, read_lesson, same_cells
from course_lib.paths import NOTEBOOKS

if TYPE_CHECKING:
    from nbclient import NotebookClient
    from nbformat import NotebookNode

MAX_SECONDS, MAX_MEGABYTES_RAM, MAX_MEGABYTES_FILE = 75, 2000, 1.5
SAME_TIME = 2  # seconds between two files that were written together
CELL_SECONDS = 180  # after which a cell hangs: more than a whole notebook may take, since CI machines are busy


def build_notebooks(names: list[str], everything: bool = False) -> bool:
    """Execute the sources whose cells differ from their notebook, write the notebooks, and print what each measures.

    names: beginnings of lessons' names, which are executed in any case; without any, all that changed. Returns whether
    every cell ran. Raises ValueError, before any is executed, for a name that no lesson has.
    """
    there = sorted(SOURCES.glob("*.py"))
    for name in names:
        if not name or not any(s.stem.startswith(name) for s in there):
            raise ValueError(f"there is no lesson {name!r}; there are {', '.join(s.stem for s in there)}")
    sources = [s for s in there if not names or any(s.stem.startswith(n) for n in names)]
    fine = True
    for source in sources:
        target = NOTEBOOKS / f"{source.stem}.ipynb"
        if not (everything or names) and same_cells(source, target):
            print(f"  {source.stem:24} unchanged")
            continue
        if kept := keep_newer(source, target):
            print(f"! {target.name} was changed after its source, which replaces it; as it was: {kept.name}")
        fine &= build_notebook(source, target)
    return fine


def keep_newer(source: Path, target: Path) -> Path | None:
    """A copy of a notebook that was edited where nothing keeps it in step with its source; None where it was not."""
    if not target.exists() or target.stat().st_mtime <= source.stat().st_mtime + SAME_TIME:
        return None
    if same_cells(source, target, executed=False):
        return None
    kept = target.with_suffix(f".{datetime.now():%Y%m%d-%H%M%S}.bak")
    shutil.copy2(target, kept)
    return kept


def build_notebook(source: Path, target: Path, cell_seconds: float = CELL_SECONDS) -> bool:
    """Execute one source and write its notebook, unless a cell fails or takes longer than cell_seconds; print how it went."""
    import nbformat
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    notebook = notebook_of(source)
    start = time.perf_counter()
    try:
        peak = _execute(notebook, source, cell_seconds)
    except (CellExecutionError, DeadKernelError, TimeoutError) as error:
        print(f"✗ {source.stem}: {re.sub(chr(27) + r'.[0-9;]*m', '', str(error))}")
        return False
    without_widgets(notebook)
    nbformat.write(notebook, target)
    os.utime(target, ns=(source.stat().st_mtime_ns,) * 2)  # jupytext refuses a notebook that is newer than its source
    for line in _account(source, target, time.perf_counter() - start, peak):
        print(line)
    return True


def notebook_of(source: Path) -> "NotebookNode":
    """The notebook of a source, not executed: cells numbered, tagged ones folded, paired with its source."""
    import jupytext

    notebook = jupytext.read(source)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata = {"jupytext": dict(metadata_filters()), "kernelspec": kernel}
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i:03d}"
        fold(cell)
    return notebook


def _execute(notebook: "NotebookNode", source: Path, cell_seconds: float) -> float | None:
    """Run every cell in place; the kernel's peak memory in MB. Raises TimeoutError, naming the cell, where one hangs."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellTimeoutError

    client = NotebookClient(
        notebook, timeout=cell_seconds, record_timing=False, store_widget_state=False, coalesce_streams=True,
        extra_arguments=["--log-level=40"], resources={"metadata": {"path": str(NOTEBOOKS)}},
    )  # fmt: skip
    lines = read_lesson(source).lines
    with client.setup_kernel():
        reply = client.wait_for_reply(client.kc.kernel_info())
        notebook.metadata["language_info"] = reply["content"]["language_info"]
        for i, cell in enumerate(notebook.cells):
            try:
                client.execute_cell(cell, i)
            except CellTimeoutError:
                first = cell.source.partition("\n")[0]
                raise TimeoutError(f"the cell at line {lines[i]} still ran after {cell_seconds:g} s: {first}") from None
        return _peak_memory(client)


def _account(source: Path, target: Path, seconds: float, peak: float | None) -> list[str]:
    """What an executed lesson costs and which rules it breaks, one line each."""
    lesson, size = read_lesson(source, target), target.stat().st_size / 1e6
    stated = stated_minutes(lesson)
    budget = (
        (seconds, MAX_SECONDS, "s"),
        (peak or 0, MAX_MEGABYTES_RAM, "MB of memory"),
        (size, MAX_MEGABYTES_FILE, "MB"),
    )
    broken = [f"over {limit} {unit}" for value, limit, unit in budget if value > limit]
    broken += [complaint.text for complaint in complaints(lesson)]
    memory = f"{peak:5.0f} MB of memory" if peak else "memory unknown"
    minutes = f"about {reading_minutes(lesson):.0f} minutes to read ({stated[0] if stated else 'none'} stated)"
    head = f"{'!' if broken else '✓'} {source.stem:24} {seconds:5.1f} s, {memory}, {size:.2f} MB on disk, {minutes}"
    return [head, *(f"    {line}" for line in broken)]


def _peak_memory(client: "NotebookClient") -> float | None:
    """The kernel's own peak memory in MB, where the system tells.

    Linux counts the memory of whoever started the kernel into its `ru_maxrss`, but not into its `VmHWM`.
    """
    import nbformat

    if sys.platform == "win32":
        return None
    own = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    rusage = "import resource as _r; print(_r.getrusage(_r.RUSAGE_SELF).ru_maxrss)"
    probe = nbformat.v4.new_code_cell(own if sys.platform == "linux" else rusage)
    client.nb.cells.append(probe)
    try:
        client.execute_cell(probe, len(client.nb.cells) - 1)
    finally:
        client.nb.cells.pop()
    return int(probe.outputs[0].text) / (1e6 if sys.platform == "darwin" else 1e3)
