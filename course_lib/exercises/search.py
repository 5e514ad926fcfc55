"""Which mistake gives exactly what an answer gives: a slip of the exercise, or else a mutant of its solution.

A view is what a mistake has to explain: a whole result, or the factor of one term of a sum. A mistake is named where it
explains everything, or at least one view in every case; and only where the values are telling.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from course_lib.exercises.gives import Slot, Sum, agrees, close, run, same, silent

MOST = 1200  # mutants that are tried: about a second, and the same verdict on every machine
NARROW = 2e-5  # how near a mistake's values must come, relative
TIE = 0.1  # two causes whose costs differ by less are equally likely


@dataclass(frozen=True)
class View:
    """A result (by its place), or one term of it."""

    place: int
    term: str = ""

    def of(self, slots: list[Slot], case: dict[str, Any]) -> Tensor | None:
        """What is to be compared; None where there is none."""
        if self.place >= len(slots) or slots[self.place].value is None:
            return None
        slot = slots[self.place]
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

    def __init__(self, exercise: Any, founds: list[list[Slot]], rights: list[list[Slot]]):
        self.exercise, self.founds, self.rights = exercise, founds, rights
        self.cases = exercise.cases
        wrong = [not same(f, r, c) for f, r, c in zip(founds, rights, self.cases, strict=True)]
        self.order = sorted(range(len(self.cases)), key=lambda n: not wrong[n])
        self.views = list(self._wrong_views())

    def _wrong_views(self) -> Iterable[View]:
        for place in range(min(map(len, self.founds + self.rights))):
            off = [n for n in self.order if not self._agrees(n, place)]
            if not off:
                continue
            terms = self._wrong_terms(place)
            yield from terms or [View(place)]

    def _agrees(self, n: int, place: int) -> bool:
        return agrees(self.founds[n][place], self.rights[n][place], self.cases[n])

    def _wrong_terms(self, place: int) -> list[View]:
        """The terms of a sum whose factors are off; none where the answer is no such sum."""
        give = self.rights[0][place].give
        if not isinstance(give, Sum) or self.rights[0][place].is_gradient:
            return []
        views = []
        for term in give.formulas:
            view = View(place, term)
            pairs = [(view.of(self.founds[n], c), view.of(self.rights[n], c)) for n, c in enumerate(self.cases)]
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
                mutants = [(m.cost, m.says, m) for m in self.exercise.mutants()[:MOST]]
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
                function = candidate if declared else candidate.function()
                whole, explained = self._explained(function)
            except Exception:  # a spoilt solution may raise anything
                continue
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
            slots = run(function, case, self.exercise.gives)
            rtol = NARROW + found[0].coarse
            whole = whole and len(slots) == len(found)
            whole = whole and all(close(a.value, b.value, rtol) for a, b in zip(slots, found, strict=True))
            alive = [v for v in alive if close(v.of(slots, case), v.of(found, case), rtol) and len(slots) == len(found)]
            if not alive and not whole:
                return False, []
        return whole, alive

    def _telling_as_whole(self) -> bool:
        return any(self._telling(View(view.place)) for view in self.views)

    def _telling(self, view: View) -> bool:
        """Whether the values say enough to name a cause that nobody declared: not a few whole numbers."""
        values = [view.of(found, case) for found, case in zip(self.founds, self.cases, strict=True)]
        flat = [x for v in values if v is not None for x in v.flatten().tolist()[:200] if math.isfinite(x)]
        entries = {float(f"{x:.4g}") for x in flat}
        return len(entries) >= (5 if all(x.is_integer() for x in entries) else 2)
