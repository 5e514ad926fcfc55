"""The solution as a syntax tree: patterns with letters for any expression, edits, and functions made of edited trees."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

WILD = frozenset("ABCIJ")  # in a pattern, each of these stands for any expression


def written(function: Callable) -> str:
    """Its source as it is written, without decorators."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    return "\n".join(line for line in lines if not line.startswith("@"))


def tree_of(function: Callable) -> ast.FunctionDef:
    """Its syntax tree, as it is written."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    definition.decorator_list = []
    return definition


def compiled(tree: ast.FunctionDef, space: dict[str, Any]) -> Callable:
    """The function that a tree is; space: the names that it may use."""
    inside = dict(space)
    module = ast.fix_missing_locations(ast.Module([tree], []))
    exec(compile(module, f"<{tree.name}>", "exec"), inside)
    return inside[tree.name]


def slip(solution: Callable, edit: str | Callable) -> Callable:
    """The solution with a mistake: "old -> new", "a <-> b", several with " ; ", another body, or a function as it is.

    old is a whole expression or statement of the solution, or a pattern such as "A / (1 - now) -> A"; every place where
    it stands is changed. Raises ValueError where it stands nowhere.
    """
    if callable(edit):
        return edit
    tree = tree_of(solution)
    if " -> " not in edit and " <-> " not in edit:
        tree.body = ast.parse(textwrap.dedent(edit)).body
        return compiled(tree, solution.__globals__)
    for one in edit.split(" ; "):
        exchange = " <-> " in one
        old, new = (text.strip() for text in one.split(" <-> " if exchange else " -> "))
        swaps = [(pattern(old), pattern(new))] + ([(pattern(new), pattern(old))] if exchange else [])
        replacing = _Replacing(swaps)
        tree = replacing.visit(tree)
        if len(replacing.found) < len(swaps):
            raise ValueError(f"{old!r} is no expression or statement of the solution:\n{ast.unparse(tree)}")
    return compiled(tree, solution.__globals__)


def pattern(text: str) -> ast.AST:
    """An expression or a statement; nothing stands for a statement that does nothing."""
    node = ast.parse(text or "pass").body[0]
    return node.value if isinstance(node, ast.Expr) else node


class _Replacing(ast.NodeTransformer):
    """Each pattern by its other; found: those that stood somewhere."""

    def __init__(self, swaps: list[tuple[ast.AST, ast.AST]]):
        self.swaps, self.found = swaps, set()

    def visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(getattr(node, "ctx", None), ast.Store | ast.Del):
            for i, (old, new) in enumerate(self.swaps):
                letters: dict[str, ast.expr] = {}
                if type(old) is type(node) and match(old, node, letters):
                    self.found.add(i)
                    return fill(new, letters)
        return self.generic_visit(node)


def match(old: Any, node: Any, letters: dict[str, ast.expr]) -> bool:
    """Whether node has the pattern's form; letters gets what the capital letters stand for."""
    if isinstance(old, ast.Name) and old.id in WILD:
        fits = isinstance(node, ast.expr) and not isinstance(node, ast.Slice)
        return fits and ast.dump(letters.setdefault(old.id, node)) == ast.dump(node)
    if isinstance(old, list):
        return isinstance(node, list) and len(old) == len(node) and all(map(match, old, node, [letters] * len(old)))
    if not isinstance(old, ast.AST):
        return old == node
    return type(old) is type(node) and all(
        match(getattr(old, name), getattr(node, name), letters) for name in old._fields if name not in ("ctx", "kind")
    )


def copy(node: Any) -> Any:
    """A copy in which every node is an object of its own."""
    if isinstance(node, list):
        return [copy(n) for n in node]
    return type(node)(**{n: copy(v) for n, v in ast.iter_fields(node)}) if isinstance(node, ast.AST) else node


class _Filling(ast.NodeTransformer):
    def __init__(self, values: dict[str, ast.expr]):
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copy(self.values[node.id]) if isinstance(node.ctx, ast.Load) and node.id in self.values else node


def fill(new: Any, values: dict[str, ast.expr]) -> Any:
    """A copy of a tree with values in the place of names."""
    return _Filling(values).visit(copy(new))


def names_in(node: ast.AST) -> set[str]:
    """All names that an expression uses."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def size(node: ast.AST) -> int:
    """How many names and numbers an expression holds."""
    return sum(isinstance(n, ast.Name | ast.Constant) for n in ast.walk(node))


def spoilt(node: Any, at: Iterable[int], make: Callable) -> Any:
    """The tree with make(node) in the place of the nodes of these ids, from the leaves up; parts that stay are shared."""
    if isinstance(node, list):
        new = [spoilt(n, at, make) for n in node]
        return new if any(a is not b for a, b in zip(new, node, strict=True)) else node
    if not isinstance(node, ast.AST) or isinstance(node, ast.expr_context | ast.operator):
        return node
    fields = dict(ast.iter_fields(node))
    parts = {name: spoilt(value, at, make) for name, value in fields.items()}
    new = node if all(parts[n] is fields[n] for n in parts) else type(node)(**parts)
    return make(new) if id(node) in at else new
