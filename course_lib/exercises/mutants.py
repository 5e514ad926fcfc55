"""A solution spoilt by the mistakes that people make, the likeliest first: what stands in mistakes.py, and exchanged names."""

import ast
import builtins
import functools
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from course_lib.exercises.canonical import HELPERS, canonical, expression, shown
from course_lib.exercises.edits import compiled, fill, match, names_in, spoilt
from course_lib.exercises.gives import Spy
from course_lib.exercises.mistakes import ALIKE, ANYWHERE, CONFUSED, RESULT

COUNTING = set("reshape view sum mean var std softmax flatten transpose cumsum cumprod unsqueeze permute".split())  # noqa: SIM905


@dataclass(frozen=True)
class Mutant:
    """The solution with one mistake. cost: how unlikely it is. says: what is wrong, to be read after "where"."""

    cost: float
    says: str
    at: frozenset[int]
    make: Callable
    tree: ast.FunctionDef
    space: dict[str, Any]

    @functools.cached_property
    def function(self) -> Callable:
        """May raise SyntaxError and the like: not every edit makes sense."""
        return compiled(spoilt(self.tree, self.at, self.make), self.space)


def _table(text: str) -> list[tuple[ast.expr, ast.expr, float, str]]:
    rows = [row.split("|") for row in text.strip().splitlines()]
    return [(expression(a), expression(b), float(c) + i / 1000, says.strip()) for i, (a, b, c, says) in enumerate(rows)]


_RULES, _RESULT = _table(ANYWHERE), _table(RESULT)
_RULES += [
    (expression(a), expression(b), 0.2, "{wrong} stands for {right}")
    for group in CONFUSED
    for a, b in itertools.permutations(group, 2)
]
_ALIKE: dict[str, set[str]] = defaultdict(set)
for _group in map(str.split, ALIKE):
    for _name in _group:
        _ALIKE[_name] |= set(_group) - {_name}


def mutants(solution: Callable, arguments: dict[str, Any]) -> list[Mutant]:
    """All single mistakes. arguments: those of one case, to tell which names are of one kind."""
    tree = canonical(solution)
    names = set(arguments) | set(HELPERS) | names_in(tree) | set(dir(builtins))
    stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    kinds = dict.fromkeys(stored, "local") | {name: _kind(value) for name, value in arguments.items()}
    space = solution.__globals__ | HELPERS
    found: dict[tuple, Mutant] = {}

    def add(cost: float, says: str, at: frozenset[int], make: Callable, effect: Any) -> None:
        """Of two edits with one effect the likelier stays."""
        if (at, effect) not in found or cost < found[at, effect].cost:
            found[at, effect] = Mutant(cost, says, at, make, tree, space)

    alike: dict[tuple, list[ast.expr]] = defaultdict(list)
    for node, counts in _sites(tree, False):
        alike[counts, ast.dump(node)].append(node)
    kin: dict[str, list] = defaultdict(list)  # several mistakes of one kind: all the roots
    returned = [n.value for n in ast.walk(tree) if isinstance(n, ast.Return)]
    whole = {ast.dump(r) for value in returned for r in (value.elts if isinstance(value, ast.Tuple) else [value])}
    for (counts, dump), nodes in alike.items():
        for cost, says, make, rule in _rewrites(nodes[0], counts, kinds, names):
            if dump in whole and not isinstance(nodes[0], ast.Name):
                says = says.replace(shown(nodes[0]), "the result")
            effect = ast.dump(make(nodes[0]))
            add(cost, says, frozenset(map(id, nodes)), make, effect)
            for node in nodes if len(nodes) > 1 else ():
                add(cost + 0.3, f"in one place, {says}", frozenset([id(node)]), make, effect)
            if rule:
                kin[rule].append((cost, says, frozenset(map(id, nodes)), make))
    for rule, several in kin.items():
        if len(several) > 1:
            says = "; and ".join(list(dict.fromkeys(says for _, says, _, _ in several))[:2])
            add(several[0][0] + 0.25, says, frozenset().union(*(at for _, _, at, _ in several)), several[0][3], rule)
    for mutant in (*_exchanged(tree, arguments, kinds), *_of_statements(tree)):
        add(*mutant, mutant[1])
    return sorted(found.values(), key=lambda m: m.cost)


def _exchanged(tree: ast.FunctionDef, arguments: dict, kinds: dict) -> Iterator[tuple]:
    """Two arguments, or two entries of tables, in each other's place."""
    sites = [n for n, _ in _sites(tree, False)]
    lookups = {ast.dump(n): n for n in sites if isinstance(n, ast.Subscript)}
    for a, b in itertools.combinations(lookups.values(), 2):
        swap = {ast.dump(a): b, ast.dump(b): a}
        at = frozenset(id(n) for n in sites if ast.dump(n) in swap)
        yield 0.3, f"{shown(b)} and {shown(a)} are exchanged", at, lambda n, s=swap: s.get(ast.dump(n), n)
    for a, b in itertools.combinations(arguments, 2):
        if kinds[a] == kinds[b]:
            swap = {a: ast.Name(b, ast.Load()), b: ast.Name(a, ast.Load())}
            at = frozenset(id(n) for n in sites if isinstance(n, ast.Name) and n.id in swap)
            yield 0.0, f"{a} and {b} are exchanged", at, lambda n, s=swap: s.get(getattr(n, "id", ""), n)


def _sites(node: ast.AST, counts: bool) -> Iterator[tuple[ast.expr, bool]]:
    """The expressions in which a mistake can be; True for one that counts places: an index, an axis, a shape."""
    if isinstance(node, ast.expr) and not isinstance(getattr(node, "ctx", None), ast.Store):
        yield node, counts
    method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    for name, value in ast.iter_fields(node):
        if method and name == "func":
            yield from _sites(node.func.value, counts)
        elif name not in ("func", "annotation", "ctx", "op", "ops"):
            places = name in ("slice", "keywords") or (method and name == "args" and node.func.attr in COUNTING)
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _sites(child, counts or places)


def _kind(value: Any) -> Any:
    if torch.is_tensor(value):
        return "table" if value.ndim == 1 and len(value) > 15 and value[0] in (0, 1) else ("tensor", value.shape)
    return "number" if isinstance(value, int | float) else "spy" if isinstance(value, Spy) else id(value)


def _rewrites(node: ast.expr, counts: bool, kinds: dict, names: set) -> Iterator[tuple[float, str, Callable, str]]:
    """What may stand in the place of one expression: cost, what to say, make; and the rule, if it may hold everywhere."""
    if counts and type(getattr(node, "value", None)) is int:
        for new in (node.value - 1, node.value + 1):
            yield 0.4, f"{new} stands for {node.value}", _always(ast.Constant(new)), ""
    elif counts and isinstance(node, ast.Name | ast.BinOp):
        for new in ("A - 1", "A + 1"):
            for edit in _by_rule(node, expression("A"), expression(new), 0.4, "{wrong} stands for {right}"):
                yield *edit, ""
    elif not counts:
        local = isinstance(node, ast.Name) and kinds.get(node.id, "local") in ("local", "spy")
        asks = any(isinstance(n, ast.Compare) for n in ast.walk(node))  # yes or no, not a number
        table = isinstance(node, ast.Name) and kinds.get(node.id) == "table"
        for right, wrong, cost, says in _RULES:
            plain = isinstance(right, ast.Name)
            skipped = plain and (local or asks or table or isinstance(node, ast.Constant))
            if names_in(wrong) <= names | {"A", "B", "C", "I", "J"} and not skipped:
                for edit in _by_rule(node, right, wrong, cost + 0.5 * plain, says):
                    yield *edit, "" if plain or cost == 0.2 else says
    if isinstance(node, ast.Name):
        kind = kinds.get(node.id, "local")
        for other in kinds:
            if other != node.id and kinds[other] == kind:
                for cost, text in [(0.2, other)] + [(0.6, f"{other} - 1")] * (counts and kind == "number"):
                    new = expression(text)
                    yield cost, f"{shown(new)} stands for {shown(node)}", _always(new), ""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float) and not counts:
        for new in sorted({node.value + 1, node.value - 1, 2 * node.value, node.value / 2} - {node.value}):
            yield 1.8, f"{new:g} stands for {node.value:g}", _always(ast.Constant(new)), ""
    if isinstance(node, ast.Call):
        for edit in _of_call(node):
            yield *edit, ""


def _by_rule(node, right, wrong, cost, says) -> Iterator[tuple[float, str, Callable]]:
    letters: dict[str, ast.expr] = {}
    if not match(right, node, letters):
        return
    texts = {letter: shown(value) for letter, value in letters.items()}
    texts |= {"right": shown(node), "wrong": shown(fill(wrong, letters))} if "{wrong}" in says else {}

    def make(n: ast.expr) -> ast.expr:
        again: dict[str, ast.expr] = {}
        return fill(wrong, again) if match(right, n, again) else n

    yield cost, re.sub(r"\{(\w+)\}", lambda m: texts[m[1]], says), make


def _of_call(node: ast.Call) -> Iterator[tuple[float, str, Callable]]:
    """A call left out, a similar function, a keyword left out, arguments exchanged."""
    f, args = node.func, node.args
    method = isinstance(f, ast.Attribute)
    name = f.attr if method else getattr(f, "id", "")
    if method and ast.unparse(f.value) not in ("torch", "math"):
        yield 0.1, f"{name}(…) is missing", lambda n: n.func.value
    elif len(args) == 1:
        yield 0.1, f"{name}(…) is missing", lambda n: n.args[0]
    for other in _ALIKE[name]:
        if method or other in HELPERS:

            def similar(n, other=other):
                f = ast.Attribute(n.func.value, other, ast.Load()) if method else ast.Name(other, ast.Load())
                return ast.Call(f, n.args, n.keywords)

            yield 0.3, f"{other} stands for {name}", similar
    for i, keyword in enumerate(node.keywords):

        def without(n, i=i):
            return ast.Call(n.func, n.args, n.keywords[:i] + n.keywords[i + 1 :])

        yield 0.3, f"{ast.unparse(keyword)} is missing in {name}(…)", without
    for i, j in itertools.combinations(range(len(args) if name not in COUNTING else 0), 2):

        def exchanged(n, i=i, j=j):
            order = [{i: j, j: i}.get(k, k) for k in range(len(n.args))]
            return ast.Call(n.func, [n.args[k] for k in order], n.keywords)

        yield 0.4, f"in {name}(…), {shown(args[i])} and {shown(args[j])} are exchanged", exchanged


def _of_statements(tree: ast.FunctionDef) -> Iterator[tuple[float, str, frozenset, Callable]]:
    """A statement left out, two exchanged, a return that comes too early; and what becomes of a result."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for i, statement in enumerate(body if isinstance(body, list) else ()):
            line = ast.unparse(statement).splitlines()[0].partition(" = ")[0].split("(")[0]
            changes = []
            if not isinstance(statement, ast.Return) and len(body) > 1:
                changes.append((0.5, f"the step for `{line}` is missing", lambda b, i=i: b[:i] + b[i + 1 :]))
                if i:
                    early = f"the step for `{line}` comes too early"
                    changes.append((0.2, early, lambda b, i=i: [*b[: i - 1], b[i], b[i - 1], *b[i + 1 :]]))
            elif i and isinstance(body[i - 1], ast.For):
                changes.append((0.2, "`return` stands inside the loop", _into_loop))
            for cost, says, change in changes:
                yield cost, says, frozenset([id(node)]), lambda n, c=change: _with_body(n, c(n.body))
            if isinstance(statement, ast.Return):
                results = statement.value.elts if isinstance(statement.value, ast.Tuple) else [statement.value]
                for result, (right, wrong, cost, says) in itertools.product(results, _RESULT):
                    for _, text, make in _by_rule(result, right, wrong, cost, says):
                        yield cost + 0.1, text, frozenset([id(result)]), make


def _into_loop(body: list[ast.stmt]) -> list[ast.stmt]:
    loop = body[-2]
    return [*body[:-2], _with_body(loop, [*loop.body, body[-1]])]


def _with_body(node: ast.stmt, body: list[ast.stmt]) -> ast.stmt:
    return type(node)(**{**dict(ast.iter_fields(node)), "body": body})


def _always(new: ast.expr) -> Callable:
    return lambda _: new
