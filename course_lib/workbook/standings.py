"""How a student's exercises stand: what the checks in the copy said when they last ran."""

import re
from dataclasses import dataclass
from pathlib import Path

from course_lib.exercises import Statement, statements
from course_lib.paths import NOTEBOOKS
from course_lib.workbook.cells import Cell, exercises_in, read_notebook, text_of
from course_lib.workbook.folder import lessons_named

RIGHT, WRONG, NOT_RUN, OPEN = "right", "wrong", "not run", "open"
MARKS = {RIGHT: "✓", WRONG: "✗", NOT_RUN: "?", OPEN: "·"}
STUB = re.compile(r"^    # your code\n    \.\.\.$", re.MULTILINE)


@dataclass(frozen=True)
class Standing:
    """An exercise, and how it stands: right or wrong as its check said, not run since it was written, or open."""

    statement: Statement
    state: str


def progress(names: list[str], my: Path, lessons: Path = NOTEBOOKS) -> dict[str, list[Standing]]:
    """Each lesson's exercises with their standing, by the lesson's name.

    Raises ValueError for an unknown lesson, and for a copy that is no notebook.
    """
    found = {}
    for lesson in lessons_named(names, lessons):
        copy = my / lesson.name
        try:
            cells = read_notebook(copy)["cells"] if copy.exists() else []
        except ValueError as error:
            raise ValueError(f"{copy.name} can't be read: {error}") from error
        number = lesson.stem.partition("_")[0]
        found[lesson.stem] = [Standing(s, state_of(s.name, cells)) for s in statements(number)]
    return found


def state_of(exercise: str, cells: list[Cell]) -> str:
    """How an exercise stands in a notebook: the best of the cells that check it."""
    states = {_state(exercise, cell) for cell in cells if exercise in exercises_in(cell)}
    return next((state for state in (RIGHT, WRONG, NOT_RUN) if state in states), OPEN)


def _state(exercise: str, cell: Cell) -> str:
    verdicts = re.findall(rf"^([✓✗…]) {re.escape(exercise)} ", _printed(cell), re.MULTILINE)
    told = {"✓": RIGHT, "✗": WRONG}.get(verdicts[-1] if verdicts else "", OPEN)
    untouched = STUB.search(text_of(cell)) is not None
    return NOT_RUN if told == OPEN and not untouched else told


def _printed(cell: Cell) -> str:
    outputs = [out for out in cell.get("outputs", []) if out.get("output_type") == "stream"]
    return "".join("".join(out.get("text", "")) for out in outputs)
