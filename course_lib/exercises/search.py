"""Which mistake gives exactly what an answer gives: a slip of the exercise, or else a mutant of its solution.

A view is what a mistake has to explain: a whole result, or the factor of one term of a sum. A mistake is named where it
explains everything, or at least one view in every case; and only where the values are telling.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from course_lib.exercises.gives import Slots, Sum, agrees, close, same, silent

MOST = 800  # mutants that are tried: about a second, and the same verdict on every machine
NARROW = 2e-5  # how near a mistake's values must come, relative
TIE = 0.1  # two causes whose costs differ by less are equally likely


@dataclass(frozen=True)
class View:
    """A result, or one term of it."""

    result: str
    term: str = ""

    def of(self, slots: Slots, case: dict[str, Any]) -> Tensor | None:
        """What is to be compared; None where there is none."""
        slot = slots.get(self.result)
        if slot is None or slot.value is None:
            return None
        if not self.term:
            return slot.value
        factors = slot.give.factors(slot.value, case)
        return factors[self.term] if factors else None


@dataclass
class Cause:
    """says: a slip's sentence, or a clause after "where". view: what it explains, None for everything."""

    says: str
    declared: bool
    view: View | None


class Search:
    """founds, rights: what came out of answer and solution, case by case."""

    def __init__(self, exercise: Any, founds: list[Slots], rights: list[Slots]):
        self.exercise, self.founds, self.rights = exercise, founds, rights
        self.cases = exercise.cases
        wrong = [not same(f, r, c) for f, r, c in zip(founds, rights, self.cases, strict=True)]
        self.order = sorted(range(len(self.cases)), key=lambda n: not wrong[n])
        self.views = list(self._wrong_views())

    def _wrong_views(self) -> Iterable[View]:
        for name in {name: None for right in self.rights for name in right}:
            if not all(agrees(self.founds[n][name], self.rights[n][name], self.cases[n]) for n in self.with_both(name)):
                yield from self._wrong_terms(name) or [View(name)]

    def with_both(self, name: str) -> list[int]:
        """The cases in which a result comes out of answer and solution."""
        return [n for n in range(len(self.cases)) if name in self.founds[n] and name in self.rights[n]]

    def _wrong_terms(self, name: str) -> list[View]:
        """The terms of a sum whose factors are off; none where the answer is no such sum."""
        slot = self.rights[self.with_both(name)[0]][name]
        if not isinstance(slot.give, Sum) or slot.is_gradient:
            return []
        views = []
        for term in slot.give.formulas:
            view = View(name, term)
            both = [(self.founds[n], self.rights[n], self.cases[n]) for n in self.with_both(name)]
            pairs = [(view.of(found, case), view.of(right, case)) for found, right, case in both]
            if any(found is None for found, _ in pairs):
                return []
            if not all(close(found, right, 1e-3) for found, right in pairs):
                views.append(view)
        return views

    def causes(self) -> list[Cause]:
        """One for everything (or two, equally likely); else one for each view that a mistake explains."""
        with silent():
            slips = [(0.0, says, slip) for says, slip in self.exercise.wrong().items()]
            everything, some = self._tried(slips, declared=True)
            if everything:
                return everything[:1]
            if self._telling_as_whole():
                mutants = [(m.cost, m.says, m) for m in self.exercise.mutants[:MOST]]
                everything, more = self._tried(mutants, declared=False)
                some = {view: some.get(view) or more.get(view) for view in self.views}
        if everything:
            return everything[:2]
        return [causes[0] for view in self.views if (causes := some.get(view))]

    def _tried(self, candidates: list[tuple[float, str, Any]], declared: bool) -> tuple[list[Cause], dict]:
        everything: list[tuple[float, Cause]] = []
        some: dict[View, list[Cause]] = {}
        seen = set()
        for cost, says, candidate in candidates:
            if everything and cost > everything[0][0] + TIE:
                break
            try:
                function = candidate if declared else candidate.function
            except Exception:  # not every edit makes sense
                continue
            whole, explained = self._explained(function)
            if whole and says not in seen:
                seen.add(says)
                everything.append((cost, Cause(says, declared, None)))
            for view in explained:
                if self._telling(view):
                    some.setdefault(view, []).append(Cause(says, declared, view))
        return [cause for _, cause in everything], some

    def _explained(self, function: Callable) -> tuple[bool, list[View]]:
        """Whether it gives what was found in everything; and the views in which it does."""
        alive, whole = list(self.views), True
        for n in self.order:
            case, found = self.cases[n], self.founds[n]
            slots = self.exercise.outcome(function, n)
            if slots is None:
                return False, []
            rtol = NARROW + max((slot.coarse for slot in found.values()), default=0.0)
            whole = whole and slots.keys() == found.keys()
            whole = whole and all(close(slots[name].value, found[name].value, rtol) for name in found)
            alive = [v for v in alive if close(v.of(slots, case), v.of(found, case), rtol)]
            if not alive and not whole:
                return False, []
        return whole, alive

    def _telling_as_whole(self) -> bool:
        return any(self._telling(View(view.result)) for view in self.views)

    def _telling(self, view: View) -> bool:
        """Whether the values say enough to name a cause that nobody declared: not a few whole numbers."""
        values = [view.of(found, case) for found, case in zip(self.founds, self.cases, strict=True)]
        flat = [x for v in values if v is not None for x in v.flatten().tolist()[:200] if math.isfinite(x)]
        entries = {float(f"{x:.4g}") for x in flat}
        return len(entries) >= (5 if all(x.is_integer() for x in entries) else 2)
