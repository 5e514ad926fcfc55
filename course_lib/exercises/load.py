"""Where exercises stand: the content in notebooks/exercises, the statement with title and minutes in the lesson."""

import importlib.util
import json
import re
import sys
from dataclasses import dataclass
from typing import Any

from course_lib.exercises.exercise import REGISTRY
from course_lib.paths import NOTEBOOKS

CONTENT = NOTEBOOKS / "exercises"


@dataclass(frozen=True)
class Statement:
    """What the notebook says of an exercise."""

    name: str
    title: str
    minutes: int


def lessons() -> list[str]:
    """The numbers of the lessons that have exercises, such as "06" and "07b"."""
    return sorted(path.stem.split("_")[0] for path in CONTENT.glob("[0-9]*_*.py"))


def exercise_named(name: str) -> Any:
    """Loads the lesson's exercises where that has not been done. Raises ValueError, with the names that exist."""
    lesson = str(name).partition(".")[0]
    if lesson in lessons() and not _of(lesson):
        _load(lesson)
    if name not in REGISTRY:
        known = ", ".join(_of(lesson))
        rest = f"lesson {lesson} has {known}" if known else f"the lessons with exercises are {', '.join(lessons())}"
        raise ValueError(f"there is no exercise {name!r}: {rest}")
    return REGISTRY[name]


def exercises_of(lesson: str) -> list[Any]:
    """All exercises of a lesson, in order."""
    if not _of(lesson):
        _load(lesson)
    return [REGISTRY[name] for name in _of(lesson)]


def statements(lesson: str) -> list[Statement]:
    """Name, title and minutes of a lesson's exercises, as its source (or else its notebook) states them."""
    paths = [*NOTEBOOKS.glob(f"source/{lesson}_*.py"), *NOTEBOOKS.glob(f"{lesson}_*.ipynb")]
    if not paths:
        raise ValueError(f"there is no lesson {lesson!r} in {NOTEBOOKS.name}")
    text = paths[0].read_text(encoding="utf-8")
    if paths[0].suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    found = re.findall(r"^### Exercise (\S+) · (.+) \((\d+) minutes\)$", text, re.MULTILINE)
    return [Statement(name, title, int(minutes)) for name, title, minutes in found]


def _of(lesson: str) -> list[str]:
    return sorted((n for n in REGISTRY if n.partition(".")[0] == lesson), key=lambda n: int(n.partition(".")[2]))


def _load(lesson: str) -> None:
    (path,) = CONTENT.glob(f"{lesson}_*.py")
    name = f"course_exercises_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
