"""One way of writing each formula, in which mistakes are made and shown."""

import ast
import builtins
import re
from collections import Counter
from collections.abc import Callable

import torch

from course_lib.exercises.edits import copy, fill, size, tree_of
from course_lib.exercises.mistakes import SYMBOLS

SHORT = 4  # names and numbers in an expression that is short
IMPURE = {"rand", "randn", "randint", "requires_grad_", "grad"}


def _elementwise(name: str) -> Callable:
    f = getattr(torch.special if "ndtr" in name else torch, name)
    return lambda x: f(x if torch.is_tensor(x) else torch.as_tensor(x, dtype=torch.float64))


MATHS = ("sqrt", "log", "log2", "log10", "log1p", "exp", "sin", "cos", "abs", "tanh", "ndtr", "log_ndtr")
HELPERS: dict[str, Callable] = {name: _elementwise(name) for name in MATHS} | {"where": torch.where, "round": round}


class _Canonical(ast.NodeTransformer):
    """One way of writing each function: x.sqrt(), torch.sqrt(x), math.sqrt(x) and x ** 0.5 are sqrt(x)."""

    def visit_Call(self, node):
        self.generic_visit(node)
        f = node.func
        if isinstance(f, ast.Attribute) and f.attr in HELPERS and not node.keywords:
            module = ast.unparse(f.value) in ("torch", "math", "torch.special")
            return ast.Call(ast.Name(f.attr, ast.Load()), node.args if module else [f.value, *node.args], [])
        return node

    def visit_BinOp(self, node):
        self.generic_visit(node)
        root = isinstance(node.op, ast.Pow) and getattr(node.right, "value", None) == 0.5
        return ast.Call(ast.Name("sqrt", ast.Load()), [node.left], []) if root else node


def expression(text: str) -> ast.expr:
    """A canonical expression from text."""
    return _Canonical().visit(ast.parse(text.strip(), mode="eval").body)


def shown(node: ast.expr) -> str:
    """An expression as one would write it, with ᾱ_t, √ and ²; a long one is only described."""
    text = ast.unparse(node).replace(".reshape(-1, 1, 1, 1)", "")
    node = ast.parse(text, mode="eval").body if "reshape" in ast.unparse(node) else node
    if size(node) > SHORT:
        kinds = {ast.Div: "a fraction", ast.Mult: "the term", ast.Add: "a sum", ast.Sub: "a difference"}
        called = getattr(getattr(node, "func", None), "id", "")
        what = kinds.get(type(getattr(node, "op", None)), {"sqrt": "a root"}.get(called, "something"))
        atoms = dict.fromkeys(
            shown(n) for n in ast.walk(node) if isinstance(n, ast.Name | ast.Subscript) and n is not node
        )
        words = [a for a in atoms if a not in HELPERS and a not in SYMBOLS.values() and len(a) < 12]
        return f"{what} {'with' if what == 'the term' else 'of'} {words[0]}" if words else what
    for name, symbol in SYMBOLS.items():
        text = re.sub(rf"\b{name}\[(\w+)\]", rf"{symbol}_\1", text)
        text = re.sub(rf"\b{name}\[(\w+) ([-+]) (\w+)\]", rf"{symbol}_(\1\2\3)", text)
        text = re.sub(rf"\b{name}\b(?![\[_])|\b{name}(?=_T)", symbol, text)
    text = re.sub(r"\bsqrt\(([^\s()]+)\)", r"√\1", text).replace("sqrt(", "√(")
    return text.replace(" ** 2", "²").replace(" * ", " · ").replace(" - ", " − ").replace("'", "")


def canonical(function: Callable) -> ast.FunctionDef:
    """The tree, canonical, with what is merely a name for an expression written out."""
    tree = _Canonical().visit(tree_of(function))
    stored = Counter(a.arg for a in tree.args.args)
    stored.update(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    known: dict[str, ast.expr] = {}
    body = []
    for statement in tree.body:
        statement = fill(statement, known)
        target, value = (statement.targets[0], statement.value) if isinstance(statement, ast.Assign) else (None, None)
        both_tuples = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
        pairs = list(zip(target.elts, value.elts, strict=True)) if both_tuples else [(target, value)]
        if all(isinstance(t, ast.Name) and stored[t.id] == 1 and size(v) <= 2 * SHORT and _pure(v) for t, v in pairs):
            known |= {t.id: v for t, v in pairs}
        else:
            body.append(statement)
    tree.body = body
    return ast.fix_missing_locations(copy(tree))


def _pure(value: ast.expr) -> bool:
    functions = [n.func for n in ast.walk(value) if isinstance(n, ast.Call)]
    return all(
        f.attr not in IMPURE if isinstance(f, ast.Attribute) else f.id in HELPERS or hasattr(builtins, f.id)
        for f in functions
        if isinstance(f, ast.Attribute | ast.Name)
    )
