"""Notebooks as plain JSON: their cells, which exercise each asks, and how one is written without ever being half there."""

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

Cell = dict[str, Any]
Notebook = dict[str, Any]

CALL = re.compile(r"""\b(check|hint|solution)\((\s*)(["'])([\w.]+)\3""")
SIGNATURE = re.compile(r"^def (\w+)\(([^)]*)\)", re.MULTILINE)


def text_of(cell: Cell) -> str:
    """The source of a cell; a file may hold it in lines."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def with_text(cell: Cell, text: str) -> Cell:
    """The same cell with another source, in lines, as notebooks are stored."""
    return cell | {"source": text.splitlines(keepends=True)}


def exercises_in(cell: Cell) -> list[str]:
    """The exercises that a code cell checks, such as ["06.2"]."""
    if cell["cell_type"] != "code":
        return []
    return [name for call, _, _, name in CALL.findall(text_of(cell)) if call == "check"]


def function_in(cell: Cell) -> str | None:
    """The name of the first function that a cell defines."""
    found = SIGNATURE.search(text_of(cell))
    return found[1] if found else None


def asks_the_same(old: Cell, new: Cell) -> bool:
    """Whether two versions of a cell leave an answer to the one valid for the other."""
    a, b = text_of(old), text_of(new)
    if exercises_in(old) and exercises_in(new):
        return SIGNATURE.findall(a)[:1] == SIGNATURE.findall(b)[:1]
    return a == b


def renumbered(text: str, names: dict[str, str]) -> str:
    """The source with its calls of check, hint and solution under the exercises' new numbers."""
    return CALL.sub(lambda m: f"{m[1]}({m[2]}{m[3]}{names.get(m[4], m[4])}{m[3]}", text)


def version_of(cells: list[Cell]) -> str:
    """What tells one version of a lesson from another: a hash of what its cells say."""
    content = json.dumps([(cell["cell_type"], text_of(cell)) for cell in cells])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def read_notebook(path: Path) -> Notebook:
    """A notebook's JSON. Raises ValueError, saying what is wrong, for a file that is none; OSError where it can't be read."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no notebook ({error})") from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not isinstance(notebook.setdefault("metadata", {}), dict):
        raise ValueError("it is no notebook (there is no list of cells in it)")
    for number, cell in enumerate(cells, start=1):
        if not isinstance(cell, dict) or not _is_whole(cell):
            raise ValueError(f"it is no notebook (cell {number} is damaged)")
    return notebook


def _is_whole(cell: Cell) -> bool:
    """Whether a cell has what this package reads of it, in the types that Jupyter writes."""
    outputs = cell.get("outputs", [])
    return (
        isinstance(cell.get("cell_type"), str)
        and _is_text(cell.get("source"))
        and isinstance(cell.get("id", ""), str)
        and isinstance(outputs, list)
        and all(isinstance(output, dict) and _is_text(output.get("text", "")) for output in outputs)
    )


def _is_text(source: Any) -> bool:
    return isinstance(source, str) or (isinstance(source, list) and all(isinstance(line, str) for line in source))


def write_notebook(notebook: Notebook, path: Path) -> None:
    """Write it as Jupyter does, whole or not at all."""
    write_whole(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file aside, sync it and rename it: whatever happens, the old one or the new one stands there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        mode = path.stat().st_mode if path.exists() else 0o666 & ~_umask()
        os.chmod(partial, mode)  # noqa: PTH101
        os.replace(partial, path)  # noqa: PTH105
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
