"""What comes out of an answer: results, sums of known tensors, calls of a function that it is given, gradients."""

import contextlib
import inspect
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

BESIDE = 1e-4  # what a sum may hold beside its terms, in units of its largest entry


class NotYet(Exception):
    """What is wrong with an answer, in the student's terms. formula: may be told later. named: a mistake is named."""

    def __init__(self, message: str, formula: str = "", named: bool = False):
        super().__init__(message)
        self.formula, self.named = formula, named


@dataclass(frozen=True)
class Value:
    """A result that is compared as it is. formula: told after some tries. rtol: relative, 0 is for exact.

    gradient: the arguments (tensors or a Spy; their names, with spaces between) with respect to which the result must carry
    the solution's gradient.
    """

    name: str = "the answer"
    formula: str = ""
    rtol: float = 1e-4
    gradient: str = ""


def Loss(name: str = "the loss", formula: str = "", of: str = "net") -> Value:  # noqa: N802
    """A number to be trained with: its gradient must reach what the function `of` answered."""
    return Value(name, formula, gradient=of)


class Sum(Value):
    """A result that is a sum of known tensors: Sum("x_t", x0="√ᾱ_t", eps="√(1 − ᾱ_t)") tells its factors apart.

    The terms are arguments of that name, or what basis(**case) returns by name. each: every image has factors of its own.
    """

    def __init__(self, name: str = "the answer", *, each: bool = False, basis: Callable | None = None, **formulas: str):
        super().__init__(name, ", ".join(f"the factor of {term} is {f}" for term, f in formulas.items()))
        for attribute, value in (("each", each), ("basis", basis), ("formulas", formulas)):
            object.__setattr__(self, attribute, value)

    def factors(self, value: Tensor, case: dict[str, Any]) -> dict[str, Tensor] | None:
        """The factor of each term, one number or one per image; None where something is left beside them."""
        terms = self.basis(**case) if self.basis else case
        if not value.isfinite().all() or any(value.ndim < terms[t].ndim for t in self.formulas):
            return None
        try:
            columns = torch.stack([terms[t].double().broadcast_to(value.shape) for t in self.formulas], dim=-1)
        except RuntimeError:  # of another shape
            return None
        rows = len(value) if self.each else 1
        columns, value = columns.reshape(rows, -1, len(self.formulas)), value.reshape(rows, -1, 1)
        factors = torch.linalg.lstsq(columns, value).solution
        if (value - columns @ factors).abs().max() > BESIDE * value.abs().max().clamp(min=1e-300):
            return None
        return {t: factors[:, i, 0] if self.each else factors[0, i, 0] for i, t in enumerate(self.formulas)}


class Calls:
    """What the argument `of`, a Spy, is called with: one Value or Sum for each of its arguments.

    joined: calls with parts of the batch count as one call with the whole of it. A repeated call counts once.
    """

    def __init__(self, of: str, *gives: Value, joined: bool = False):
        self.of, self.gives, self.joined = of, gives, joined


@dataclass
class Spy:
    """An argument that is a function: it notes what it is called with, and answers says(*arguments)."""

    says: Callable[..., Tensor]
    tracked: bool = False
    given: list[tuple] = field(default_factory=list)
    answers: list[Tensor] = field(default_factory=list)

    def __call__(self, *given: Any, **named: Any) -> Tensor:
        given = (*given, *named.values())
        self.given.append(tuple(g.detach().clone() if torch.is_tensor(g) else g for g in given))
        answer = self.says(*given)
        if self.tracked:
            answer = answer.detach().requires_grad_(torch.is_grad_enabled())
            self.answers.append(answer)
        return answer


@dataclass
class Slot:
    """One thing that came out. value: float64, or None where it was no number. whole: it is counted, not measured.

    gradient_of: for a gradient, what it is taken with respect to.
    """

    name: str
    give: Value
    value: Tensor | None
    whole: bool = False
    coarse: float = 0.0
    gradient_of: str = ""

    is_gradient = property(lambda self: bool(self.gradient_of))


Slots = dict[str, Slot]


def normal(seed: int, *shape: int) -> Tensor:
    """Normal numbers in float64, for cases."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(seed: int, *shape: int) -> Tensor:
    """Pixels in [-1, 1], float64, for cases."""
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def as_numbers(value: Any) -> Tensor | None:
    """An answer as float64, lists of tensors stacked; None where it is no real number at all."""
    try:
        tensor = _stacked(value)
        return None if tensor.is_complex() else tensor.double()
    except Exception:  # an answer can be anything, with any __array__ of its own
        return None


def _stacked(value: Any) -> Tensor:
    if isinstance(value, list | tuple) and any(torch.is_tensor(v) for v in value):
        value = torch.stack([torch.as_tensor(v) for v in value])
    return torch.as_tensor(value).detach()


def tolerance(right: Tensor, rtol: float) -> Tensor:
    """How far each entry may be off: relative to itself, and a tenth of that to the largest entry; never nothing."""
    finite = right[right.isfinite()].abs()
    largest = finite.max() if len(finite) else torch.tensor(1.0, dtype=torch.float64)
    return rtol * right.abs() + 0.1 * rtol * largest + (1e-4 if rtol == 0 else 1e-12)


def close(found: Tensor | None, right: Tensor | None, rtol: float = 1e-4) -> bool:
    """Equal up to rounding, NaN and infinity in the same places."""
    if found is None or right is None or found.shape != right.shape:
        return found is right
    same = (found == right) | (found.isnan() & right.isnan())
    near = right.isfinite() & ((found - right).abs() <= tolerance(right, rtol))
    return bool((same | near).all())


def agrees(found: Slot, right: Slot, case: dict[str, Any]) -> bool:
    """Whether what came out is right. A small factor of a sum must be right as well, to a thousandth of itself.

    One number may be handed in as a tensor of that one number, of any shape.
    """
    rtol = 0 if right.whole else max(right.give.rtol, found.coarse)
    value = found.value
    if right.value is not None and right.value.numel() == 1 and value is not None and value.numel() > 0:
        value = value.flatten()[0].reshape(right.value.shape) if (value == value.flatten()[0]).all() else value
    if not close(value, right.value, rtol):
        return False
    if not isinstance(right.give, Sum) or right.is_gradient or found.coarse:
        return True
    mine, its = (right.give.factors(slot.value, case) for slot in (found, right))
    if mine is None or its is None:
        return True
    largest = max(f.abs().max() for f in its.values())
    return all(((mine[t] - its[t]).abs() <= 1e-3 * its[t].abs() + 3e-6 * largest).all() for t in its)


def same(found: Slots, right: Slots, case: dict[str, Any]) -> bool:
    """Whether all that came out is right."""
    return found.keys() == right.keys() and all(agrees(found[name], right[name], case) for name in right)


def run(function: Callable, case: dict[str, Any], gives: list[Value | Calls]) -> Slots:
    """Call with copies of a case: what comes out, by name. Raises NotYet, and whatever the function raises."""
    tracked = {name for g in gives if isinstance(g, Value) for name in g.gradient.split()}
    own = {name: _fresh(value, name in tracked) for name, value in case.items()}
    result = called(function, own)
    slots = [s for g in gives if isinstance(g, Calls) for s in _calls(own[g.of], g)]
    wanted = [g for g in gives if isinstance(g, Value)]
    for give, value in zip(wanted, _results(result, wanted), strict=True):
        slots.append(_slot(give.name, give, value))
        slots.extend(_gradient(give, value, name, own[name]) for name in give.gradient.split())
    return {slot.name: slot for slot in slots}


def _results(result: Any, wanted: list[Value]) -> list[Any]:
    if len(wanted) == 1:
        return [result]
    names = ", ".join(give.name for give in wanted)
    count = len(result) if isinstance(result, list | tuple) else 1
    if count == 1 and getattr(result, "ndim", 0) > 0 and len(result) == len(wanted):
        count = len(result)
    if count != len(wanted):
        raise NotYet(
            f"your function returns {count} result{'s' * (count > 1)} and should return {len(wanted)}: {names}"
        )
    return list(result)


def _slot(name: str, give: Value, value: Any) -> Slot:
    kind = getattr(value, "dtype", None)
    coarse = 4 * torch.finfo(kind).eps if kind in (torch.float16, torch.bfloat16) else 0.0
    tensor = as_numbers(value)
    if tensor is not None and isinstance(value, int | float | list | tuple):
        kind = _stacked(value).dtype
    whole = isinstance(kind, torch.dtype) and not kind.is_floating_point
    return Slot(name, give, tensor, whole, coarse)


def _calls(spy: Spy, calls: Calls) -> Iterator[Slot]:
    given = spy.given if spy.tracked else [c for i, c in enumerate(spy.given) if not _repeated(c, spy.given[:i])]
    if calls.joined and len(given) > 1 and len({len(g) for g in given}) == 1:
        rows = [[torch.as_tensor(a).reshape(-1) if torch.as_tensor(a).ndim < 2 else a for a in call] for call in given]
        with contextlib.suppress(RuntimeError, TypeError):
            given = [tuple(torch.cat(column) for column in zip(*rows, strict=True))]
    for i, call in enumerate(given):
        if len(call) != len(calls.gives):
            raise NotYet(f"{calls.of} is called with {len(call)} arguments and takes {len(calls.gives)}")
        for give, value in zip(calls.gives, call, strict=True):
            yield _slot(give.name + (f", call {i + 1}" if i else ""), give, value)


def _repeated(call: tuple, before: list[tuple]) -> bool:
    def alike(x: Any, y: Any) -> bool:
        return x is y or (as_numbers(x) is not None and close(as_numbers(x), as_numbers(y), 1e-9))

    return any(len(call) == len(other) and all(map(alike, call, other)) for other in before)


def _gradient(give: Value, value: Any, name: str, argument: Tensor | Spy) -> Slot:
    leaves = argument.answers if isinstance(argument, Spy) else [argument]
    slot = Slot(f"the gradient of {give.name} with respect to {name}", give, None)
    slot.gradient_of = f"{name}'s answer" if isinstance(argument, Spy) else name
    if torch.is_tensor(value) and value.requires_grad and leaves and all(x.requires_grad for x in leaves):
        grads = torch.autograd.grad(value.sum(), leaves, allow_unused=True, retain_graph=True)
        whole = [torch.zeros_like(x) if g is None else g for g, x in zip(grads, leaves, strict=True)]
        with contextlib.suppress(RuntimeError):
            slot.value = torch.cat(whole).double() if len(whole) > 1 else whole[0].double()
    return slot


def _fresh(value: Any, tracked: bool = False) -> Any:
    if isinstance(value, Spy):
        return Spy(value.says, tracked)
    if torch.is_tensor(value):
        return value.clone().requires_grad_(tracked)
    if isinstance(value, torch.Generator):
        return torch.Generator().set_state(value.get_state())
    return [_fresh(v) for v in value] if isinstance(value, list) else value


def called(function: Callable, arguments: dict[str, Any]) -> Any:
    """What it returns; raises NotYet where that is nothing. An answer cannot disturb what comes after it."""
    with _undisturbed():
        result = _call(function, arguments)
    if result is None:
        raise NotYet("your function returns nothing: is its `return` missing?")
    return result


def _call(function: Callable, arguments: dict[str, Any]) -> Any:
    """By position, so that parameters may be renamed; by name where that does not fit."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return function(*arguments.values())
    try:
        signature.bind(*arguments.values())
    except TypeError:
        with contextlib.suppress(TypeError):
            signature.bind(**arguments)
            return function(**arguments)
        names = ", ".join(arguments)
        raise NotYet(f"your function takes {signature} and is called with ({names}): give it these arguments") from None
    return function(*arguments.values())


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Chance, default dtype, gradient mode and warnings as they were before, whatever an answer does to them."""
    dtype = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), warnings.catch_warnings():
        torch.default_generator.manual_seed(
            0
        )  # all that torch.manual_seed would do on a CPU, at a hundredth of its cost
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """No warnings and no printed lines: for functions that nobody wrote."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
