"""What a student types. With COURSE_STRICT=1 a check raises where the answer is not right yet (to grade notebooks)."""

import importlib
import os
import pkgutil
from collections import Counter
from typing import Any

import course_lib.exercises as package
from course_lib.exercises.exercise import REGISTRY, Exercise

_shown: Counter[str] = Counter()


def check(name: str, answer: Any) -> None:
    """Say whether an answer is right, and if not, what is wrong. name: the exercise's, such as "06.2"."""
    exercise = exercise_named(name)
    verdict = exercise.examine(answer)
    if verdict.right:
        line = f"✓ {name} {exercise.title}: right"
    elif verdict.attempted:
        line = f'✗ {name} {verdict.message}   — `hint("{name}")`'
    else:
        line = f'… {name} not attempted yet — `hint("{name}")`'
    print(line)
    if not verdict.right and os.environ.get("COURSE_STRICT") == "1":
        raise AssertionError(line)


def hint(name: str) -> None:
    """The next hint; after the last one, the first again."""
    exercise = exercise_named(name)
    i = _shown[name] % len(exercise.hints)
    _shown[name] += 1
    print(f"{name} hint {i + 1} of {len(exercise.hints)}: {exercise.hints[i]}")


def solution(name: str) -> None:
    """Print the reference solution. Try first: reading one teaches less than writing one."""
    print(exercise_named(name).source())


def lessons() -> list[str]:
    """The numbers of the lessons that have exercises."""
    modules = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name.removeprefix("lesson_") for name in modules if name.startswith("lesson_"))


def exercise_named(name: str) -> Exercise:
    """Raises ValueError, with the names that exist, for one that does not."""
    lesson = str(name).partition(".")[0]
    if lesson in lessons():
        importlib.import_module(f"course_lib.exercises.lesson_{lesson}")
    if name not in REGISTRY:
        known = sorted(n for n in REGISTRY if n.startswith(f"{lesson}."))
        hint = (
            f"lesson {lesson} has {', '.join(known)}"
            if known
            else f"the lessons with exercises are {', '.join(lessons())}"
        )
        raise ValueError(f"there is no exercise {name!r}: {hint}")
    return REGISTRY[name]
