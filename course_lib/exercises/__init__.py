"""`check("06.2", answer)`, `hint("06.2")` and `solution("06.2")`: what a student needs beside the stub."""

from course_lib.exercises.exercise import Exercise, Verdict
from course_lib.exercises.student import check, exercise_named, hint, lessons, solution

__all__ = ["Exercise", "Verdict", "check", "exercise_named", "hint", "lessons", "solution"]
