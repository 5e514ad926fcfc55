"""Every exercise: the solution passes, the stub is not attempted, and every mistake that we can make is found."""

import importlib
import re
import sys

import pytest
import torch

from course_lib.exercises import check, exercise_named, exercises_of, hint, lessons, solution, statements, student
from course_lib.exercises.exercise import is_stub
from course_lib.exercises.gives import silent
from course_lib.paths import NOTEBOOKS

EXERCISES = [exercise for lesson in lessons() for exercise in exercises_of(lesson)]
SOURCES = {path.stem.split("_")[0]: path.read_text(encoding="utf-8") for path in (NOTEBOOKS / "source").glob("*.py")}


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    monkeypatch.setattr(student, "_failures", type(student._failures)())
    monkeypatch.setattr(student, "_hinted", type(student._hinted)())


@pytest.fixture(params=EXERCISES, ids=lambda e: e.name, name="exercise")
def _exercise(request):
    return request.param


def test_the_solution_passes(exercise):
    verdict = exercise.examine(exercise.reference)
    assert verdict.attempted and verdict.right, verdict.message


def test_each_slip_fails_with_its_own_sentence(exercise):
    assert exercise.slips
    for sentence, answer in exercise.wrong().items():
        verdict = exercise.examine(answer)
        assert verdict.attempted and not verdict.right, f"{sentence}: it changes nothing in what comes out"
        assert sentence in verdict.message, f"{sentence} is told as: {verdict.message}"
        assert "your answer stopped with" not in verdict.message


def test_each_mutant_fails_but_those_that_are_no_mistakes(exercise):
    survivors = set()
    with silent():
        for mutant in exercise.mutants:
            try:
                function = mutant.function
            except (SyntaxError, ValueError, TypeError, AttributeError):
                continue
            if exercise.passes(function):
                survivors.add(mutant.says)
    trials = importlib.import_module(f"exercises.trials.lesson_{exercise.name.partition('.')[0]}")
    assert survivors == set(trials.SURVIVORS.get(exercise.name, {}))


def test_the_stub_in_the_notebook_is_not_attempted_and_is_checked(exercise):
    source = SOURCES[exercise.name.partition(".")[0]]
    cell = next(c for c in source.split("# %%") if f'check("{exercise.name}"' in c)
    stub = re.search(r"^def .*\n    # your code\n    \.\.\.$", cell, re.MULTILINE)
    assert stub, "the stub should be `def …:` over `# your code` and `...`"
    space = {}
    exec(stub.group(), space)
    name = re.search(rf'check\("{exercise.name}", (\w+)\)', cell).group(1)
    assert exercise.examine(space[name]).attempted is False


def test_the_solution_has_the_name_and_the_arguments_of_the_stub(exercise):
    stub = re.search(
        rf"^(def \w+\(.*\):)\n    # your code\n    \.\.\.\n*check\(\"{exercise.name}\"",
        SOURCES[exercise.name.partition(".")[0]],
        re.MULTILINE,
    )
    assert exercise.source().splitlines()[0] == stub[1]
    assert all(list(case) == re.findall(r"\w+", stub[1].partition("(")[2]) for case in exercise.cases)


@pytest.mark.parametrize("lesson", lessons())
def test_a_lesson_states_checks_and_holds_the_same_exercises_four_at_least(lesson):
    names = [e.name for e in exercises_of(lesson)]
    assert re.findall(r'check\("([\w.]+)"', SOURCES[lesson]) == names and len(names) >= 4
    stated = statements(lesson)
    assert [s.name for s in stated] == names
    assert all(s.title and 5 <= s.minutes <= 30 for s in stated)


def test_it_has_hints_and_a_readable_solution(exercise):
    assert 1 <= len(exercise.hints) <= 3
    source = exercise.source()
    assert source.startswith("def ") and "@" not in source.split("\n")[0]


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


HARD = [
    lambda *_: sys.exit("away"),
    lambda *_: iter(int, 1),
    lambda *_: (_ for _ in ()).throw(RecursionError),
    lambda *_: torch.tensor(float("inf")),
    lambda *_: torch.zeros(3, 0, 5),
    lambda *_: torch.zeros(2, 3, dtype=torch.complex64),
    lambda *_: object(),
    lambda *_: [torch.zeros(2), torch.zeros(3)],
    lambda *_: torch.set_default_dtype(torch.float16) or torch.zeros(3),
    lambda *_: (torch.zeros(2),) * 7,
    lambda *_: type("Odd", (), {"__array__": lambda self: 1 / 0, "__len__": lambda self: -1})(),
    lambda *arguments: arguments[0],
    type("NoCall", (), {})(),
    print,
]


@pytest.mark.parametrize("answer", HARD)
def test_nothing_that_an_answer_does_makes_a_check_raise(exercise, answer):
    verdict = exercise.examine(answer)
    assert verdict.attempted and not verdict.right and verdict.message
    assert torch.get_default_dtype() == torch.float32


def test_a_check_leaves_chance_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(())
    torch.manual_seed(3)
    exercise_named("06.2").examine(lambda x0, t, eps, alpha_bar: torch.randn_like(x0))
    assert torch.rand(()) == expected


def test_the_formula_comes_with_the_third_failed_check(capsys):
    for _ in range(3):
        check("06.2", lambda x0, t, eps, alpha_bar: 0 * x0)
    lines = capsys.readouterr().out.splitlines()
    assert ["√(1 − ᾱ_t)" in line for line in lines] == [False, False, True]


def test_the_formula_comes_after_the_last_hint(capsys):
    for _ in exercise_named("06.2").hints:
        check("06.2", lambda x0, t, eps, alpha_bar: 0 * x0)
        hint("06.2")
    check("06.1", lambda alpha_bar: 3)
    capsys.readouterr()
    check("06.2", lambda x0, t, eps, alpha_bar: 0 * x0)
    assert "√(1 − ᾱ_t)" in capsys.readouterr().out
