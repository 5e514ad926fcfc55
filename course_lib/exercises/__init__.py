"""`check("06.2", answer)`, `hint("06.2")` and `solution("06.2")` for students; for authors, what declares an exercise."""

from course_lib.exercises.exercise import Exercise, Judge, Verdict
from course_lib.exercises.gives import Calls, Loss, NotYet, Spy, Sum, Value, as_numbers, normal, uniform
from course_lib.exercises.load import Statement, exercise_named, exercises_of, lessons, statements
from course_lib.exercises.student import check, hint, solution

__all__ = [
    "Calls", "Exercise", "Judge", "Loss", "NotYet", "Spy", "Statement", "Sum", "Value", "Verdict",
    "as_numbers", "check", "exercise_named", "exercises_of", "hint", "lessons", "normal", "solution", "statements", "uniform",
]  # fmt: skip
