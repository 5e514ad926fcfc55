"""An exercise: a solution, the cases it is tried on, what comes out, and slips, edits of the solution with a sentence.

    Exercise("06.2", q_sample, cases=[…], gives=[Sum("x_t", x0="√ᾱ_t", eps="√(1 − ᾱ_t)")], hints=[…],
             slips={"that is α_t of this one step, not the product of all": "alpha_bar[t] -> alpha_bar[t] / alpha_bar[t - 1]"})

A check runs answer and solution on the same cases. A slip is the explanation of a wrong answer and a wrong answer of the
tests at once. How to write one: notebooks/exercises/README.md.
"""

import dis
import functools
import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from course_lib.checks import shown
from course_lib.exercises.gives import Calls, NotYet, Slots, Value, called, run, same

REGISTRY: dict[str, Any] = {}


@dataclass(frozen=True)
class Verdict:
    """attempted: not the stub any more. right: the check passed. message: what is wrong; named: it names
    the mistake. formula: what may be told later.
    """

    attempted: bool
    right: bool
    message: str = ""
    formula: str = ""
    named: bool = False


class Exercise:
    """One exercise; it enters itself into the registry by its name, such as "06.2".

    cases: arguments by name, in the order of the solution's. slips: sentence → an edit (see edits.slip). check: for what
    no comparison of values can tell; it takes the answer, and returns what is wrong ("" if nothing) or raises NotYet.
    """

    def __init__(
        self,
        name: str,
        solution: Callable,
        *,
        hints: list[str],
        cases: list[dict[str, Any]] | None = None,
        gives: list[Value | Calls] | None = None,
        slips: dict[str, str | Callable] | None = None,
        check: Callable[[Any], str] | None = None,
    ):
        if bool(cases) == bool(check):
            raise ValueError(f"exercise {name} needs cases, or else a check of its own")
        self.name, self.reference, self.hints, self.cases = name, solution, hints, cases or []
        self.gives, self.slips, self.check = gives or [Value()], slips or {}, check
        self._outcomes: dict[tuple[Callable, int], Slots | None] = {}
        REGISTRY[name] = self

    def examine(self, answer: Any) -> Verdict:
        """Check an answer; it never raises, whatever the answer does."""
        if is_stub(answer):
            return Verdict(attempted=False, right=False)
        try:
            self.judge(answer)
        except NotYet as problem:
            return Verdict(True, False, str(problem), problem.formula, problem.named)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # an answer may do anything, sys.exit() too
            return Verdict(
                True, False, f"your answer stopped with {type(error).__name__}: {error}{_place(error, answer)}"
            )
        return Verdict(True, True)

    def passes(self, answer: Callable) -> bool:
        """Whether an answer is right, without a word on why not; one that raises is wrong."""
        try:
            if self.check:
                return not self.check(self._guarded(answer))
            return all(
                same(run(answer, c, self.gives), right, c) for c, right in zip(self.cases, self.rights, strict=True)
            )
        except Exception:
            return False

    def judge(self, answer: Any) -> None:
        """Raises NotYet where an answer is wrong, and whatever the answer itself raises."""
        if not callable(answer):
            raise NotYet(self._not_called(answer))
        if self.check:
            if message := self.check(self._guarded(answer)):
                raise NotYet(message)
            return
        founds = [run(answer, case, self.gives) for case in self.cases]
        if all(map(same, founds, self.rights, self.cases)):
            return
        from course_lib.exercises.explain import problem  # it is needed for wrong answers alone

        raise problem(self, answer, founds, self.rights)

    def _not_called(self, answer: Any) -> str:
        """What to give instead of a value."""
        function = self.reference.__name__
        return (
            f"hand in the function itself, check({self.name!r}, {function}), and not what it returns: "
            f"this is {shown(answer)}"
        )

    def _guarded(self, answer: Callable) -> Callable:
        """An answer for a check of its own: called by position or by name, and never to return nothing."""
        names = list(inspect.signature(self.reference).parameters)
        return lambda *arguments: called(answer, dict(zip(names, arguments, strict=True)))

    @functools.cached_property
    def rights(self) -> list:
        """What comes out of the solution, case by case."""
        return [run(self.reference, case, self.gives) for case in self.cases]

    def wrong(self) -> dict[str, Callable]:
        """The solution with each slip. Raises ValueError for one that does not fit the solution."""
        return dict(self._spoilt)

    @functools.cached_property
    def _spoilt(self) -> dict[str, Callable]:
        from course_lib.exercises.edits import slip

        return {sentence: slip(self.reference, edit) for sentence, edit in self.slips.items()}

    def outcome(self, spoilt: Callable, n: int) -> Slots | None:
        """What comes out of a spoilt solution in case n, None where it stops; kept for the next wrong answer."""
        if (spoilt, n) not in self._outcomes:
            try:
                self._outcomes[spoilt, n] = run(spoilt, self.cases[n], self.gives)
            except Exception:  # a spoilt solution may raise anything
                self._outcomes[spoilt, n] = None
        return self._outcomes[spoilt, n]

    @functools.cached_property
    def mutants(self) -> list:
        """The solution with each of the mistakes that people make in general, the likeliest first."""
        from course_lib.exercises.mutants import mutants

        return mutants(self.reference, self.cases[0]) if self.cases else []

    def source(self) -> str:
        """The reference solution as text."""
        from course_lib.exercises.edits import written

        return written(self.reference)


class Judge(Exercise):
    """The answer is itself a check: a function that takes a candidate and says whether it is right.

    right: candidates that it has to accept. wrong: sentence → candidate that it has to refuse, such as another exercise's
    slips: `Exercise.wrong()`. An AssertionError refuses, like False.
    """

    def __init__(self, name: str, solution: Callable, *, right: list[Callable], wrong: dict[str, Callable], hints: list[str],
                 slips: dict[str, str | Callable] | None = None):  # fmt: skip
        self.right, self.candidates = right, wrong
        super().__init__(name, solution, hints=hints, slips=slips, check=self._tried)

    def _tried(self, answer: Any) -> str:
        for candidate in self.right:
            if not self._accepts(answer, candidate):
                return "your check refuses a function that is right"
        missed = [sentence for sentence, candidate in self.candidates.items() if self._accepts(answer, candidate)]
        more = f" (and {len(missed) - 1} of {len(self.candidates) - 1} others)" if missed[1:] else ""
        return f"your check accepts a wrong function{more}: {missed[0]}" if missed else ""

    @staticmethod
    def _accepts(answer: Any, candidate: Callable) -> bool:
        try:
            verdict = answer(candidate)
        except AssertionError:
            return False
        if verdict is None:
            raise NotYet("your check should return True or False")
        return bool(verdict)


def is_stub(answer: Any) -> bool:
    """Whether nothing has been filled in yet: `...` or None, or a function that does nothing."""
    if answer is ... or answer is None:
        return True
    code = getattr(answer, "__code__", None)
    if code is None:
        return False
    does = [i for i in dis.get_instructions(code) if i.opname not in ("RESUME", "NOP", "RETURN_VALUE")]
    return all(i.opname in ("LOAD_CONST", "RETURN_CONST") and i.argval is None for i in does)


def _place(error: BaseException, answer: Any) -> str:
    """The student's line in which an error came up, or a word on what was returned."""
    own = getattr(getattr(answer, "__code__", None), "co_filename", None)
    lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == own]
    if lines and lines[-1].line:
        return f" in your line {lines[-1].line!r}"
    return (
        ": does your answer return what the exercise asks for?" if isinstance(error, TypeError | AttributeError) else ""
    )
