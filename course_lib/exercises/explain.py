"""What is wrong with an answer, in the student's terms: the named mistake if there is one, and numbers that differ."""

import math
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.gives import Calls, NotYet, Slots, Sum, agrees, close, run, tolerance
from course_lib.exercises.search import Cause, Search, View

FACTORS = {
    -1: "its sign is turned",
    2: "it is twice too large",
    0.5: "it is half of it",
    4: "it is four times too large",
    0.25: "it is a quarter of it",
    math.log(2): "it is log 2 times too large: nats and bits?",
    1 / math.log(2): "it is 1 / log 2 times too large: nats and bits?",
    math.sqrt(2): "it is √2 times too large",
    math.sqrt(0.5): "it is 1/√2 of it",
}
RELATIONS = {
    "it is squared": torch.square,
    "it is the square root of it": torch.sqrt,
    "it is upside down": lambda x: 1 / x,
    "it is 1 minus that": lambda x: 1 - x,
    "it is exp of it": torch.exp,
    "it is the logarithm of it": torch.log,
    "its sign is lost": torch.abs,
    "it is clipped to −1 … 1": lambda x: x.clamp(-1, 1),
    "it is rounded": torch.round,
    "it is rounded down": torch.floor,
    "the order is turned round": lambda x: x.flip(tuple(range(x.ndim))),
    "it is transposed": lambda x: x.transpose(0, 1) if x.ndim > 1 else x,
}


def problem(exercise: Any, answer: Any, founds: list[Slots], rights: list[Slots]) -> NotYet:
    """The message on a wrong answer, and the formula that may be told later."""
    search = Search(exercise, founds, rights)
    reading = _Reading(exercise, founds, rights, search)
    causes = search.causes()
    if causes and causes[0].view is None:
        slips = [c.says for c in causes if c.declared]
        says = (
            slips[0]
            if slips
            else "these are the values that come out where " + ", or where ".join(c.says for c in causes)
        )
        return reading.message(says, named=True)
    if causes:
        return reading.message(
            *[_clause(c, reading.named(c.view)) for c in causes[:2]], view=causes[0].view, named=True
        )
    return reading.message(_own_chance(exercise, answer, founds) or reading.in_general())


def _clause(cause: Cause, name: str) -> str:
    return cause.says if cause.declared else f"{name} is what comes out where {cause.says}"


def _own_chance(exercise: Any, answer: Any, founds: list[Slots]) -> str:
    """Whether the same arguments give something else with another state of the generator."""

    def other(*arguments: Any) -> Any:
        torch.manual_seed(1)
        return answer(*arguments)

    again = run(other, exercise.cases[0], exercise.gives)
    same = all(close(slot.value, founds[0][name].value) for name, slot in again.items() if name in founds[0])
    return "" if same else "it comes out different each time, with the same arguments: do you draw noise of your own?"


class _Reading:
    """Where an answer differs first, and how."""

    def __init__(self, exercise: Any, founds: list[Slots], rights: list[Slots], search: Search):
        self.cases, self.founds, self.rights, self.views = exercise.cases, founds, rights, search.views
        self.gives = exercise.gives
        self.search = search

    def _pairs(self, view: View, among: list[int]) -> list[tuple[Tensor, Tensor]]:
        return [(view.of(self.founds[n], self.cases[n]), view.of(self.rights[n], self.cases[n])) for n in among]

    def _slot(self, view: View) -> Any:
        return self.rights[self.search.with_both(view.result)[0]][view.result]

    def message(self, *says: str, view: View | None = None, named: bool = False) -> NotYet:
        """The cause first, then one pair of numbers."""
        count = next(
            (n for n, (f, r) in enumerate(zip(self.founds, self.rights, strict=True)) if f.keys() != r.keys()), None
        )
        if count is not None:
            return NotYet(": ".join(filter(None, ["; ".join(filter(None, says)), self._calls(count)])), named=named)
        view = view or self.views[0]
        formula, text = self._slot(view).give.formula, "; ".join(filter(None, says))
        return NotYet(
            ": ".join(filter(None, [text, self._numbers(view)])), formula and f"{view.result}: {formula}", named
        )

    def named(self, view: View) -> str:
        return f"the factor of {view.term} in {view.result}" if view.term else view.result

    def in_general(self) -> str:
        """How found and right are related in all cases; an empty text where they are not."""
        if not self.views:
            return ""
        view, both = self.views[0], self.search.with_both(self.views[0].result)
        found, right = ({n: runs[n][view.result] for n in both} for runs in (self.founds, self.rights))
        if any(found[n].value is None or found[n].value.shape != right[n].value.shape for n in both):
            return ""
        if any((~found[n].value.isfinite() & right[n].value.isfinite()).any() for n in both):
            return ""
        off = [n for n in both if not agrees(found[n], right[n], self.cases[n])]
        pairs = self._pairs(view, off)
        how = _relation(pairs)
        give = right[off[0]].give
        if isinstance(give, Sum) and not view.term and not right[off[0]].is_gradient and not how:
            if all(float(found[n].value.abs().max()) == 1 for n in off):
                return f"{view.result} is clipped to −1 … 1"
            terms = " and ".join(give.formulas)
            return (
                f"{view.result} holds something beside {terms} with one factor each: noise of your own, or a constant?"
            )
        text = f"{how} (that is {self.named(view)})" if how else ""
        fine = [n for n in both if n not in off]
        if fine and (where := self._where(fine[0])):
            text += f"{'; ' if text else ''}it is right {where}, but not everywhere"
        entries = [(x - y).abs() > tolerance(y, 1e-4) for x, y in pairs]
        some = entries[0].sum() if entries else 0
        if not how and not view.term and entries[0].numel() > 2 and 0 < some <= entries[0].numel() / 2:
            text += f"{'; ' if text else ''}{int(entries[0].numel() - some)} of {entries[0].numel()} entries are right"
        return text

    def _calls(self, n: int) -> str:
        for calls in (give for give in self.gives if isinstance(give, Calls)):
            first = calls.gives[0].name
            times = [sum(name.split(", call")[0] == first for name in runs[n]) for runs in (self.founds, self.rights)]
            if times[0] != times[1]:
                found, right = ("once" if k == 1 else f"{k} times" for k in times)
                where = f"{self._where(n)}, " if self._where(n) else ""
                return f"{where}{calls.of} is called {found} and should be called {right}"
        return ""

    def _numbers(self, view: View) -> str:
        """One pair of numbers that differ, or of shapes."""
        both = self.search.with_both(view.result)
        n = next(n for n in both if not agrees(self.founds[n][view.result], self.rights[n][view.result], self.cases[n]))
        if view.term:
            n = next((k for k, (f, r) in zip(both, self._pairs(view, both), strict=True) if not close(f, r, 1e-3)), n)
        slot, right = self.founds[n][view.result], self.rights[n][view.result]
        name, at = self.named(view), self._where(n) + ", " if self._where(n) else ""
        if slot.value is None and right.is_gradient:
            return (
                f"{right.give.name} is right, but no gradient reaches {right.gradient_of}: with .item(), "
                ".detach(), NumPy or no_grad nothing can be trained"
            )
        if slot.value is None:
            return f"{name} should be a number or a tensor"
        if slot.value.shape != right.value.shape:
            shapes = f"{name} has the shape {tuple(slot.value.shape)} and should have {tuple(right.value.shape)}"
            return shapes + _of_shape(slot.value, right.value)
        bad = ~slot.value.isfinite() & right.value.isfinite()
        if bad.any():
            part = "" if bad.all() else f" in {int(bad.sum())} of {bad.numel()} entries"
            return (
                f"{at}{name} is NaN or infinite{part}: a root or logarithm of something negative, a logarithm of 0, "
                "or a division by 0?"
            )
        found, wanted = view.of(self.founds[n], self.cases[n]), view.of(self.rights[n], self.cases[n])
        if found is None or wanted is None:
            found, wanted = slot.value, right.value
        rtol = 0 if right.whole else 1e-3 if view.term else max(right.give.rtol, slot.coarse)
        worst = int(((found - wanted).abs() / tolerance(wanted, rtol)).nan_to_num(posinf=math.inf).flatten().argmax())
        place = ""
        if found.numel() > 1:
            index = [int(i) for i in torch.unravel_index(torch.tensor(worst), found.shape)]
            place = f"image {index[0]}: " if view.term else f"entry {index[0] if len(index) == 1 else tuple(index)} of "
        scale = float((right.value if view.term else wanted).abs().max())
        ours, theirs = apart(float(found.flatten()[worst]), float(wanted.flatten()[worst]), scale)
        return f"{at}{place}{name} is {ours} and should be {theirs}"

    def _where(self, n: int) -> str:
        """The numbers and lists of a case: at t = 300, s = 200; those that never vary are left out."""

        def plain(case: dict[str, Any]) -> dict[str, str]:
            numbers = {k: v for k, v in case.items() if isinstance(v, int | float) or getattr(v, "ndim", 1) == 0}
            lists = {k: str(v) for k, v in case.items() if isinstance(v, list) and len(str(v)) < 60}
            return {k: lists.get(k) or f"{float(numbers[k]):.6g}" for k in case if k in numbers or k in lists}

        cases = list(map(plain, self.cases))
        varied = {k: v for k, v in cases[n].items() if len({other.get(k) for other in cases}) > 1}
        return f"at {', '.join(f'{k} = {v}' for k, v in varied.items())}" if varied else ""


def apart(a: float, b: float, scale: float = 0.0) -> tuple[str, str]:
    """Two different numbers with as many digits as it takes to differ; what is nothing beside scale is 0."""
    a, b = (0.0 if abs(x) < 1e-12 * scale else x for x in (a, b))
    for digits in range(4, 18):
        texts = f"{a:.{digits}g}", f"{b:.{digits}g}"
        if texts[0] != texts[1]:
            return texts
    return texts


def _relation(pairs: list[tuple[Tensor, Tensor]]) -> str:
    """What was done to what it should be, the same in all cases."""
    x, y = (torch.cat([p[i].flatten() for p in pairs]) for i in (0, 1))
    if (x == 0).all():
        return "it is 0 everywhere" if x.numel() > 1 else "it is 0"
    if len(x) > 1 and close(x, x[0].expand_as(x), 1e-6):
        return f"it is {float(x[0]):.4g} everywhere"
    square = float((y * y).sum())
    factor = float((x * y).sum()) / square if square else 0.0
    if factor and len(y) > 1 and close(x, factor * y):
        known = (text for value, text in FACTORS.items() if math.isclose(value, factor, rel_tol=1e-3))
        return next(known, f"it is {factor:.4g} times what it should be")
    if len(y) > 1 and close(x, y + (x - y).mean()):
        return f"it is off by {float((x - y).mean()):+.4g} everywhere"
    ratios = [p / q for p, q in pairs]
    if len(pairs) > 1 and all(r.numel() > 1 and close(r, r.flatten()[0].expand_as(r)) for r in ratios):
        listed = ", ".join(f"{float(r.flatten()[0]):.4g}" for r in ratios[:3])
        return f"it is what it should be times one number in each case ({listed})"
    if all(right.ndim == 0 and right.item() in (0, 1) for _, right in pairs):
        return ""  # a verdict is right or wrong, and wrong is always 1 minus right
    for text, f in RELATIONS.items():
        if len(x) > 2 and all(close(p, f(q)) for p, q in pairs):
            return text
    if len(x) > 2 and all(
        p.numel() > 2 and close(p.flatten().sort().values, q.flatten().sort().values) for p, q in pairs
    ):
        return "the numbers are right, in another order"
    return ""


def _of_shape(x: Tensor, y: Tensor) -> str:
    """What happened, if one is the other summed or averaged."""
    if x.numel() == y.numel() and close(x.flatten(), y.flatten()):
        return ": the numbers are right"
    if x.numel() == y.numel() == 0:
        return ""
    if y.ndim == 1 and x.ndim == 1 and abs(len(x) - len(y)) == 1:
        longer, shorter, what = (x, y, "too many") if len(x) > len(y) else (y, x, "missing")
        for end, rest in (("last", longer[:-1]), ("first", longer[1:])):
            if close(rest, shorter):
                return f": the {end} entry is {what}"
    for name in ("sum", "mean"):
        for big, small, says in ((y, x, "too many"), (x, y, "missing")):
            for axes in [tuple(range(big.ndim)), *((i,) for i in range(big.ndim)), tuple(range(1, big.ndim))]:
                if axes and close(getattr(big, name)(axes), small):
                    over = (
                        f"axis {axes[0]}" if len(axes) == 1 else "everything" if 0 in axes else "all axes but the first"
                    )
                    return f": a {name} over {over} is {says}"
    return ""
