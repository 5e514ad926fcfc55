"""The earlier form of an exercise, until lessons 07 to 09 are declared as well: a check, and plausible wrong answers.

    jump = Exercise("06.2", "Jump from x_0 to x_t in one step", minutes=10, hints=["…"])

    @jump.solution
    def q_sample(x0, t, eps, alpha_bar): ...

    @jump.check
    def _(q_sample): jump.require(…); jump.require_close(…)

    @jump.wrong("forgets the square root")
    def _(x0, t, eps, alpha_bar): ...

The tests hold that the solution passes, the stub is not attempted, and each wrong answer has a message of its own.
"""

import inspect
import textwrap
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.exercise import REGISTRY, Verdict, is_stub
from course_lib.exercises.gives import NotYet, as_numbers


class Exercise:
    """One exercise of a lesson; it enters itself into the registry by its name, such as "06.2"."""

    def __init__(self, name: str, title: str, minutes: int, hints: list[str]):
        self.name, self.title, self.minutes, self.hints = name, title, minutes, hints
        self.wrong_answers: dict[str, Any] = {}
        self._solution: Any = None
        self._check: Callable[[Any], None] | None = None
        REGISTRY[name] = self

    def solution(self, answer: Any) -> Any:
        """Decorate the reference solution."""
        self._solution = answer
        return answer

    def check(self, check: Callable[[Any], None]) -> Callable[[Any], None]:
        """Decorate the check: it takes the answer, and tells by `require` what is wrong."""
        self._check = check
        return check

    def wrong(self, how: str) -> Callable[[Any], Any]:
        """Decorate a plausible wrong answer; `how` says what is wrong with it."""

        def keep(answer: Any) -> Any:
            self.wrong_answers[how] = answer
            return answer

        return keep

    def require(self, holds: bool | Tensor, message: str) -> None:
        """Stop the check with this message where something does not hold."""
        if not holds:
            raise NotYet(message)

    def require_close(
        self,
        found: Tensor | float,
        expected: Tensor | float,
        what: str,
        formula: str,
        mistakes: Mapping[str, Tensor | float] | None = None,
        rtol: float = 1e-4,
    ) -> None:
        """found must be `formula` = expected; where it is what a known mistake gives, the message says so."""
        found, expected = as_numbers(found), torch.as_tensor(expected).double()
        self.require(found is not None, f"{what} should be a number or a tensor")
        self.require(
            found.shape == expected.shape,
            f"{what} has the shape {tuple(found.shape)} and should have {tuple(expected.shape)}",
        )
        self.require(found.isfinite().all(), f"{what} is NaN or infinite: is something divided by 0?")
        if torch.allclose(found, expected, rtol=rtol, atol=1e-9):
            return
        cause = next(
            (
                f": {mistake}"
                for mistake, value in (mistakes or {}).items()
                if torch.allclose(found, torch.as_tensor(value).double().expand_as(found), rtol=rtol, atol=1e-9)
            ),
            "",
        )
        raise NotYet(f"{what} is {_shown(found, expected)} and should be {formula} = {_shown(expected, found)}{cause}")

    def mixture(self, found: Any, x: Tensor, eps: Tensor, of: str) -> tuple[Tensor, Tensor]:
        """The two numbers with which an answer is (first) x + (second) eps, as it must be; `of` names x in messages."""
        found = as_numbers(found)
        self.require(found is not None, "the answer should be a tensor")
        self.require(
            found.shape == x.shape,
            f"the answer has the shape {tuple(found.shape)} and should have {of}'s {tuple(x.shape)}",
        )
        self.require(found.isfinite().all(), "the answer holds NaN: is a root taken of something negative?")
        first, second = torch.linalg.lstsq(torch.stack([x, eps], dim=1), found[:, None]).solution[:, 0].unbind()
        self.require(
            (found - first * x - second * eps).abs().max() < 1e-4,
            f"the answer holds something beside {of} and the given eps: do you draw noise of your own?",
        )
        return first, second

    def examine(self, answer: Any) -> Verdict:
        """Check an answer; it never raises, whatever the answer does."""
        if is_stub(answer):
            return Verdict(attempted=False, right=False)
        try:
            self._check(_guarded(answer))
        except NotYet as problem:
            return Verdict(True, False, str(problem))
        except Exception as error:
            own = getattr(getattr(answer, "__code__", None), "co_filename", None)
            lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == own]
            where = f" in your line {lines[-1].line!r}" if lines and lines[-1].line else ""
            if not lines and isinstance(error, TypeError | AttributeError):
                where = ": does your answer return what the exercise asks for?"
            return Verdict(True, False, f"your answer stopped with {type(error).__name__}: {error}{where}")
        return Verdict(True, True)

    def source(self) -> str:
        """The reference solution as text."""
        lines = textwrap.dedent(inspect.getsource(self._solution)).splitlines()
        return "\n".join(line for line in lines if not line.startswith("@"))

    @property
    def reference(self) -> Any:
        """The reference solution itself."""
        return self._solution


def _guarded(answer: Any) -> Any:
    """The answer, called with copies so that it may work in place, and with a word on a forgotten return."""
    if not callable(answer):
        return answer

    def call(*arguments: Any) -> Any:
        result = answer(*(a.clone() if torch.is_tensor(a) else a for a in arguments))
        if result is None:
            raise NotYet("your function returns nothing: is its `return` missing?")
        return result

    return call


def _shown(value: Tensor, beside: Tensor) -> str:
    """A number, or the entry of a tensor that differs most from the other."""
    if value.numel() == 1:
        return f"{value.item():.4g}"
    worst = (value - beside).abs().flatten().argmax()
    return f"{value.flatten()[worst].item():.4g} (entry {worst.item()})"
