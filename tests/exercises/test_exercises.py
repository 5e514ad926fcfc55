"""Every exercise: the solution passes, the stub is not attempted, each wrong answer gets a message of its own."""

import importlib
import re

import pytest
import torch

from course_lib.exercises import Exercise, check, exercise_named, hint, lessons, solution
from course_lib.exercises.exercise import REGISTRY, is_stub
from course_lib.paths import NOTEBOOKS

for lesson in lessons():
    importlib.import_module(f"course_lib.exercises.lesson_{lesson}")
EXERCISES = sorted(REGISTRY.values(), key=lambda e: e.name)
SOURCES = {path.stem[:2]: path.read_text(encoding="utf-8") for path in (NOTEBOOKS / "source").glob("*.py")}


@pytest.fixture(params=EXERCISES, ids=lambda e: e.name, name="exercise")
def _exercise(request):
    return request.param


def test_the_solution_passes(exercise):
    verdict = exercise.examine(exercise.reference)
    assert verdict.attempted and verdict.right, verdict.message


def test_each_wrong_answer_fails_with_a_message_of_its_own(exercise):
    verdicts = {how: exercise.examine(answer) for how, answer in exercise.wrong_answers.items()}
    assert len(verdicts) >= 2
    assert all(v.attempted and not v.right for v in verdicts.values())
    assert not [how for how, v in verdicts.items() if v.message.startswith("your answer stopped with")]
    assert len({v.message for v in verdicts.values()}) == len(verdicts)


def test_the_stub_in_the_notebook_is_not_attempted_and_is_checked(exercise):
    source = SOURCES[exercise.name[:2]]
    cell = next(c for c in source.split("# %%") if f'check("{exercise.name}"' in c)
    stub = re.search(r"^def .*\n    # your code\n    \.\.\.$", cell, re.MULTILINE)
    assert stub, "the stub should be `def …:` over `# your code` and `...`"
    space = {}
    exec(stub.group(), space)
    name = re.search(rf'check\("{exercise.name}", (\w+)\)', cell).group(1)
    assert exercise.examine(space[name]).attempted is False


def test_its_statement_stands_above_it_with_the_title_and_minutes(exercise):
    assert f"### Exercise {exercise.name} · " in SOURCES[exercise.name[:2]]
    assert f"({exercise.minutes} minutes)" in SOURCES[exercise.name[:2]]


def test_it_has_hints_and_a_readable_solution(exercise):
    assert 1 <= len(exercise.hints) <= 3
    source = exercise.source()
    assert source.startswith("def ") and "@" not in source.split("\n")[0]


@pytest.mark.parametrize("name", SOURCES)
def test_a_lesson_has_at_least_four_exercises_and_checks_all_of_them(name):
    checked = re.findall(r'check\("([\d.]+)"', SOURCES[name])
    assert checked == [e.name for e in EXERCISES if e.name.startswith(name)] and len(checked) >= 4


@pytest.mark.parametrize("answer", [None, ..., lambda *_: None])
def test_nothing_is_not_an_attempt(answer):
    assert is_stub(answer)


def test_a_stub_with_a_docstring_is_a_stub_and_a_function_that_returns_something_is_not():
    def documented(x):
        """Does nothing yet."""

    def answers(x):
        return x

    assert is_stub(documented) and not is_stub(answers) and not is_stub(3.0)


@pytest.mark.parametrize(
    "answer",
    [
        lambda *_: "text",
        lambda *_: [1, "a"],
        lambda *_: 1 / 0,
        lambda: 3,
        lambda *_: torch.tensor(float("nan")),
        lambda *_: {},
        lambda *_: torch.zeros(0),
        5,
        "text",
        lambda *a: print("side effect only"),
    ],
)
def test_no_answer_makes_a_check_raise(exercise, answer):
    verdict = exercise.examine(answer)
    assert verdict.attempted and not verdict.right and verdict.message


def test_an_error_in_the_answer_is_shown_with_its_line():
    def q_sample(x0, t, eps, alpha_bar):
        return alpha_bar[t].sqrrt() * x0

    message = exercise_named("06.2").examine(q_sample).message
    assert "AttributeError" in message and "sqrrt" in message and "in your line" in message


def test_in_a_notebook_a_check_prints_one_line_and_does_not_raise(capsys, monkeypatch):
    monkeypatch.delenv("COURSE_STRICT", raising=False)
    check("00.1", ...)
    check("00.1", lambda levels: levels / 16)
    check("00.1", lambda levels: levels / 8 - 1)
    lines = capsys.readouterr().out.splitlines()
    assert [line[0] for line in lines] == ["…", "✗", "✓"]
    assert 'hint("00.1")' in lines[0] and 'hint("00.1")' in lines[1] and "not attempted yet" in lines[0]


@pytest.mark.parametrize("answer", [..., lambda levels: levels / 16])
def test_a_strict_check_raises(answer, monkeypatch):
    monkeypatch.setenv("COURSE_STRICT", "1")
    with pytest.raises(AssertionError, match=r"00\.1"):
        check("00.1", answer)
    check("00.1", lambda levels: levels / 8 - 1)


def test_hints_come_one_by_one_and_start_again(capsys):
    hints = exercise_named("06.1").hints
    for _ in range(len(hints) + 1):
        hint("06.1")
    lines = capsys.readouterr().out.splitlines()
    assert [hints[i % len(hints)] in line for i, line in enumerate(lines)] == [True] * len(lines)


def test_the_solution_is_printed_as_code(capsys):
    solution("06.4")
    assert capsys.readouterr().out == "def betas_of(alpha_bar):\n    return 1 - alpha_bar[1:] / alpha_bar[:-1]\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [("06.99", r"lesson 06 has 06\.1"), ("77.1", "lessons with exercises are 00"), (6.2, "exercise 6.2")],
)
def test_an_unknown_exercise_is_an_error_with_the_names_that_exist(name, message):
    with pytest.raises(ValueError, match=message):
        check(name, ...)


def test_an_expected_value_is_compared_in_shape_and_for_nan():
    exercise = Exercise("99.1", "A test", 1, ["none"])
    exercise.check(lambda found: exercise.require_close(found, torch.ones(2), "it", "1", {"twice it?": 2.0}))
    del REGISTRY["99.1"]
    assert "has the shape (3,)" in exercise.examine(torch.ones(3)).message
    assert "NaN" in exercise.examine(torch.tensor([1.0, float("nan")])).message
    assert exercise.examine(torch.tensor([2.0, 2.0])).message.endswith("twice it?")
    assert exercise.examine(torch.ones(2)).right


def test_an_answer_may_work_in_place_and_in_float32():
    def in_place(x0, t, eps, alpha_bar):
        x0 *= alpha_bar[t].sqrt()
        return x0.add_((1 - alpha_bar[t]).sqrt() * eps)

    def single(x0, t, eps, alpha_bar):
        return (alpha_bar[t].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * eps).float()

    def numpy(x0, t, eps, alpha_bar):
        return (alpha_bar[t].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * eps).numpy()

    assert all(exercise_named("06.2").examine(answer).right for answer in (in_place, single, numpy))


def test_a_forgotten_return_is_said():
    def forgets(levels):
        levels = levels / 8 - 1

    assert "return" in exercise_named("00.1").examine(forgets).message


def test_an_answer_that_ignores_the_table_it_is_given_is_wrong():
    from course_lib.diffusion import NoiseSchedule

    table = NoiseSchedule.linear().alpha_bar

    def q_sample(x0, t, eps, alpha_bar):
        return table[t].sqrt() * x0 + (1 - table[t]).sqrt() * eps

    assert "the table that your function is given" in exercise_named("06.2").examine(q_sample).message


def test_a_root_of_something_negative_is_said():
    def q_sample(x0, t, eps, alpha_bar):
        return alpha_bar[t].sqrt() * x0 + ((1 - alpha_bar[t]) * eps).sqrt()

    assert "NaN" in exercise_named("06.2").examine(q_sample).message
