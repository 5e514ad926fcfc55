"""Wrong and right answers of many kinds: none is misjudged, a named cause is the cause, and no message tells the solution."""

import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from course_lib.exercises import exercise_named
from course_lib.exercises.gives import Calls

LESSONS = sorted(path.stem.removeprefix("lesson_") for path in (Path(__file__).parent / "trials").glob("lesson_*.py"))
TRIALS = {lesson: importlib.import_module(f"exercises.trials.lesson_{lesson}") for lesson in LESSONS}
WRONG = [(name, i) for trials in TRIALS.values() for name, answers in trials.WRONG.items() for i in range(len(answers))]
RIGHT = [(name, i) for trials in TRIALS.values() for name, answers in trials.RIGHT.items() for i in range(len(answers))]


def trial(kind, name, i):
    return getattr(TRIALS[name.partition(".")[0]], kind)[name][i]


@cache
def verdict_of(name, i):
    return exercise_named(name).examine(trial("WRONG", name, i)[0])


def bare(text):
    return re.sub(r"[\s·]", "", text).replace("−", "-")


def formulas(exercise):
    flat = [g for give in exercise.gives for g in (give.gives if isinstance(give, Calls) else [give])]
    texts = [text for give in flat for text in getattr(give, "formulas", {"": give.formula}).values()]
    return [bare(text) for text in texts if re.search(r"\W", text.strip("−")) and len(bare(text)) > 4]


@pytest.mark.parametrize(("name", "i"), WRONG)
def test_a_wrong_answer_fails_and_a_named_cause_is_its_cause(name, i):
    cause, verdict = trial("WRONG", name, i)[1], verdict_of(name, i)
    assert verdict.attempted and not verdict.right
    assert not verdict.message.startswith("your answer stopped with")
    if cause:
        assert re.search(cause, verdict.message) or not verdict.named, verdict.message


@pytest.mark.parametrize(("name", "i"), RIGHT)
def test_a_right_answer_passes_in_any_style(name, i):
    verdict = exercise_named(name).examine(trial("RIGHT", name, i))
    assert verdict.right, verdict.message


@pytest.mark.parametrize("name", dict(WRONG))
def test_no_message_tells_the_solution(name):
    exercise = exercise_named(name)
    solution = bare(exercise.source().rpartition("return ")[2])
    for i in range(len(trial("WRONG", name, slice(None)))):
        message = bare(verdict_of(name, i).message)
        told = [*formulas(exercise), *([solution] if re.search(r"\W", solution) else [])]  # "return h" tells nothing
        assert not [text for text in told if text in message]
    assert not [text for sentence in exercise.slips for text in formulas(exercise) if text in bare(sentence)]


@pytest.mark.parametrize(("name", "i"), WRONG)
def test_no_message_shows_two_equal_numbers(name, i):
    pair = re.search(r"is (\S+) and should be (\S+)$", verdict_of(name, i).message)
    assert pair is None or pair[1] != pair[2]


@pytest.mark.parametrize("lesson", LESSONS)
def test_enough_answers_are_tried_and_the_causes_named_are_no_fewer_than_before(lesson, record_property):
    trials = TRIALS[lesson]
    assert min(map(len, trials.WRONG.values())) >= 8 and min(map(len, trials.RIGHT.values())) >= 6
    named = [
        bool(cause and re.search(cause, verdict_of(name, i).message))
        for name, answers in trials.WRONG.items()
        for i, (_, cause) in enumerate(answers)
    ]
    share = sum(named) / len(named)
    record_property("share", share)
    print(f"lesson {lesson}: {sum(named)} of {len(named)} wrong answers are told their cause ({share:.1%})")
    assert share >= trials.NAMED
