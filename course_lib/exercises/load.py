"""Where exercises stand: the content in notebooks/exercises, the statement with title and minutes in the lesson."""

import importlib.util
import json
import re
import sys
from dataclasses import dataclass
from typing import Any

from course_lib.checks import shown
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
    if isinstance(name, str) and _is_known(name):
        return REGISTRY[name]
    lesson, meant = str(name).partition(".")[0], _meant(name)
    known = ", ".join(_of(lesson))
    rest = f"lesson {lesson} has {known}" if known else f"the lessons with exercises are {', '.join(lessons())}"
    raise ValueError(f"there is no exercise {shown(name)}: {f'did you mean {meant!r}?' if meant else rest}")


def _is_known(name: str) -> bool:
    """Whether there is an exercise of that name; its lesson is loaded to find out."""
    lesson = name.partition(".")[0]
    if lesson in lessons() and not _of(lesson):
        _load(lesson)
    return name in REGISTRY


def _meant(name: Any) -> str:
    """The exercise of the two numbers in a name, however it is written: 6.2, "6.2", "06-02"; an empty text for none."""
    numbers = re.fullmatch(r"\s*(\d{1,2})(b?)\D{1,3}(\d{1,2})\s*", str(name))
    meant = f"{int(numbers[1]):02}{numbers[2]}.{int(numbers[3])}" if numbers else ""
    return meant if numbers and _is_known(meant) else ""


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
