"""What a student types. With COURSE_STRICT=1 a check raises where the answer is not right yet (to grade notebooks)."""

import os
from collections import Counter
from typing import Any

from course_lib.exercises.load import exercise_named

PATIENCE = 3  # the failed check with which the formula comes

_failures: Counter[str] = Counter()
_hinted: Counter[str] = Counter()


def check(name: str, answer: Any) -> None:
    """Say whether an answer is right, and if not, what is wrong. name: the exercise's, such as "06.2"."""
    exercise = exercise_named(name)
    verdict = exercise.examine(answer)
    if verdict.right:
        line = f"✓ {name} right"
    elif verdict.attempted:
        _failures[name] += 1
        told = verdict.formula and (_failures[name] >= PATIENCE or _hinted[name] >= len(exercise.hints))
        line = f'✗ {name} {verdict.message}{f" — {verdict.formula}" if told else ""}   — `hint("{name}")`'
    else:
        line = f'… {name} not attempted yet — `hint("{name}")`'
    print(line)
    if not verdict.right and os.environ.get("COURSE_STRICT") == "1":
        raise AssertionError(line)


def hint(name: str) -> None:
    """The next hint; after the last one, the first again."""
    exercise = exercise_named(name)
    i = _hinted[name] % len(exercise.hints)
    _hinted[name] += 1
    print(f"{name} hint {i + 1} of {len(exercise.hints)}: {exercise.hints[i]}")


def solution(name: str) -> None:
    """Print the reference solution. Try first: reading one teaches less than writing one."""
    print(exercise_named(name).source())
