"""A lesson as its author writes it: the cells of notebooks/source/NN_topic.py, and what the executed notebook put out."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib.paths import NOTEBOOKS, ROOT

if TYPE_CHECKING:
    from nbformat import NotebookNode

SOURCES = NOTEBOOKS / "source"
FOLD = "hide-input"  # the tag of a cell whose code is folded away: its figure is the point


@dataclass(frozen=True)
class Lesson:
    """The cells of a source with the line at which each begins, and the outputs of the executed notebook (or none)."""

    name: str
    cells: "list[NotebookNode]"
    lines: list[int]
    outputs: "list[NotebookNode]"

    @property
    def number(self) -> str:
        """Such as 06, or 07b."""
        return self.name.partition("_")[0]


def lesson_names() -> list[str]:
    """The lessons that exist, such as 06_forward_diffusion."""
    return [source.stem for source in sorted(SOURCES.glob("*.py"))]


def read_lesson(source: Path, notebook: Path | None = None) -> Lesson:
    """A percent script, with the outputs of its notebook where that has been executed."""
    import jupytext
    import nbformat

    cells = jupytext.read(source).cells
    text = source.read_text(encoding="utf-8").splitlines()
    lines = [number for number, line in enumerate(text, start=1) if line.startswith("# %%")]
    there = notebook is not None and notebook.exists()
    executed = nbformat.read(notebook, as_version=4).cells if there else []
    outputs = [output for cell in executed for output in cell.get("outputs", [])]
    return Lesson(source.stem, cells, lines, outputs)


@cache
def metadata_filters() -> dict[str, str]:
    """Which metadata of notebooks and cells travel between a notebook and its source, from pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["jupytext"]
    return {name: settings[name] for name in ("cell_metadata_filter", "notebook_metadata_filter")}


def fold(cell: "NotebookNode") -> None:
    """Fold the code of a cell away in JupyterLab if it has the tag; an author writes the tag alone."""
    if FOLD in cell.metadata.get("tags", []):
        cell.metadata["jupyter"] = {**cell.metadata.get("jupyter", {}), "source_hidden": True}


def is_folded(cell: "NotebookNode") -> bool:
    """Whether JupyterLab folds the code of a cell away."""
    return bool(cell.metadata.get("jupyter", {}).get("source_hidden")) or FOLD in cell.metadata.get("tags", [])


def same_cells(source: Path, target: Path, executed: bool = True) -> bool:
    """Whether a notebook has the cells of its source, with their tags and folds, and (unless False) was executed."""
    import jupytext
    import nbformat

    if not target.exists():
        return False
    ours, theirs = jupytext.read(source).cells, nbformat.read(target, as_version=4).cells
    if executed and not all(c.execution_count for c in theirs if c.cell_type == "code"):
        return False
    for cell in ours:
        fold(cell)
    return [_compared(c) for c in ours] == [_compared(c) for c in theirs]


def _compared(cell: "NotebookNode") -> tuple:
    travels = [name for name in metadata_filters()["cell_metadata_filter"].split(",") if name != "-all"]
    return cell.cell_type, cell.source, {name: cell.metadata[name] for name in travels if name in cell.metadata}


@dataclass(frozen=True)
class Prose:
    """A markdown cell, taken apart: what is read in passing, what is folded, the exercises, the table cells."""

    running: str
    folded: list[str]
    exercises: list[str]
    tables: str


def take_apart(markdown: str) -> Prose:
    """Folded blocks, exercises (from their heading to the next), tables and references apart from the running text."""
    folds = re.compile(r"<details>.*?</details>", re.DOTALL)
    running, exercises, tables = [], [], []
    for section in re.split(r"^(?=#{1,6} )", folds.sub("", markdown), flags=re.MULTILINE):
        if re.match(r"#+ Exercise\b", section):
            exercises.append(section)
        elif not re.match(r"#+ References\b", section):
            rows = [line.startswith("|") for line in section.splitlines()]
            for row, line in zip(rows, section.splitlines(), strict=True):
                (tables if row else running).append(line)
    return Prose("\n".join(running), folds.findall(markdown), exercises, "\n".join(tables))


DISPLAY = re.compile(r"\$\$.*?\$\$", re.DOTALL)


def displays(markdown: str) -> int:
    """How many displayed formulas there are."""
    return len(DISPLAY.findall(markdown))


def words(markdown: str) -> int:
    """How many words there are to read: an inline formula is one, displayed ones and code blocks are none."""
    text = DISPLAY.sub(" ", re.sub(r"```.*?```", " ", markdown, flags=re.DOTALL))
    text = re.sub(r"\$[^$]+\$", " x ", text)
    text = re.sub(r"\]\([^)]*\)|<[^>]+>", " ", text)
    return sum(any(c.isalnum() for c in word) for word in text.split())


def code_lines(cell: "NotebookNode") -> list[str]:
    """The lines of a code cell that are not blank."""
    return [line for line in cell.source.splitlines() if line.strip()]
