"""The student's own folder, `my`: copies of the lessons, which no update overwrites.

    my/06_forward_diffusion.ipynb     the copy, which the student writes in
    my/backups/06_…-20261127-141205.ipynb   the copy as it was before an update or a reset
    my/.course/06_…/0f3a….json        the lesson as it was when the copy was made: what an update compares both with

Which version a copy was made of stands in its metadata, so that a backup, or a copy that was open during an update, is
compared with the right one.
"""

import json
import shutil
from datetime import datetime
from pathlib import Path

from course_lib.paths import NOTEBOOKS, shorten
from course_lib.workbook.cells import Cell, Notebook, read_notebook, text_of, version_of, write_notebook, write_whole
from course_lib.workbook.merge import merge

BACKUPS, VERSIONS = "backups", ".course"


def lessons_named(names: list[str], lessons: Path = NOTEBOOKS) -> list[Path]:
    """The course's notebooks whose names begin so; all of them where none is named. Raises ValueError for an unknown one."""
    there = sorted(lessons.glob("[0-9]*.ipynb"))
    for name in names:
        if not any(path.stem.startswith(name) for path in there) or not name:
            raise ValueError(f"there is no lesson {name!r}; there are {', '.join(path.stem for path in there)}")
    return [path for path in there if not names or any(path.stem.startswith(name) for name in names)]


def update(names: list[str], my: Path, lessons: Path = NOTEBOOKS) -> list[str]:
    """Make the copies that are missing, and bring the lessons' new versions into the others; what happened, in lines.

    A copy that can't be read or written stays as it is, and a line says why. Raises ValueError for an unknown lesson.
    """
    said = []
    for lesson in lessons_named(names, lessons):
        try:
            said += _update_one(lesson, my)
        except (ValueError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            said.append(
                f"! {shorten(my / lesson.name)} was left as it is: {reason}. (`course reset {_number(lesson)}` keeps it in "
                f"{BACKUPS} and starts the lesson anew)"
            )
    return said


def reset(names: list[str], my: Path, lessons: Path = NOTEBOOKS) -> list[str]:
    """Start lessons anew; the old copies are kept. Raises ValueError for an unknown lesson, OSError where it can't write."""
    said = []
    for lesson in lessons_named(names, lessons):
        copy = my / lesson.name
        kept = _back_up(copy) if copy.exists() else None
        _make(lesson, copy)
        said.append(f"{shorten(copy)} is new" + (f"; the old one is {shorten(kept)}" if kept else ""))
    return said


def _update_one(lesson: Path, my: Path) -> list[str]:
    copy, course = my / lesson.name, read_notebook(lesson)
    if not copy.exists():
        _make(lesson, copy)
        return [f"{shorten(copy)} is new"]
    mine, now = read_notebook(copy), version_of(course["cells"])
    stamp = mine["metadata"].get("course")
    before = stamp.get("version") if isinstance(stamp, dict) else None
    if before == now:
        return []
    base = _version(copy, before)
    if base is None:
        raise ValueError("the version of the lesson that it was made of is not known")
    merged = merge(base, course["cells"], mine["cells"])
    kept = _back_up(copy)
    _keep_version(copy, course["cells"])
    write_notebook(_stamped(mine | {"cells": merged.cells}, now), copy)
    return [
        f"{shorten(copy)} has the lesson's new version; as it was: {shorten(kept)}",
        *(f"    {line}" for line in merged.news),
    ]


def _make(lesson: Path, copy: Path) -> None:
    course = read_notebook(lesson)
    _keep_version(copy, course["cells"])
    write_notebook(_stamped(course, version_of(course["cells"])), copy)


def _stamped(notebook: Notebook, version: str) -> Notebook:
    metadata = {name: value for name, value in notebook["metadata"].items() if name != "jupytext"}
    return notebook | {"metadata": metadata | {"course": {"version": version}}}


def _back_up(copy: Path) -> Path:
    """A copy of the copy, under a name that no other has."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder, number = copy.parent / BACKUPS, 1
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        kept = folder / f"{copy.stem}-{stamp}{'' if number == 1 else f'-{number}'}{copy.suffix}"
        try:
            with kept.open("xb") as file:
                file.write(copy.read_bytes())
        except FileExistsError:
            number += 1
        except OSError:
            kept.unlink(missing_ok=True)
            raise
        else:
            shutil.copystat(copy, kept)
            return kept


def _keep_version(copy: Path, cells: list[Cell]) -> None:
    slim = [{"id": cell.get("id"), "cell_type": cell["cell_type"], "source": text_of(cell)} for cell in cells]
    path = _version_file(copy, version_of(cells))
    if not path.exists():
        write_whole(path, json.dumps(slim, ensure_ascii=False))


def _version(copy: Path, version: object) -> list[Cell] | None:
    if not isinstance(version, str) or not version.isalnum():
        return None
    try:
        cells = json.loads(_version_file(copy, version).read_text(encoding="utf-8"))
        return cells if version_of(cells) == version else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _version_file(copy: Path, version: str) -> Path:
    return copy.parent / VERSIONS / copy.stem / f"{version}.json"


def _number(lesson: Path) -> str:
    return lesson.stem.partition("_")[0]
