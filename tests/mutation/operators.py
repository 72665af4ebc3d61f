"""The mutants of a module: its text with one check taken out, or one boundary moved.

A mutant is found again by what it is, not by a line's number: file, function, kind, and the text before and after.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

ERASE = "erase"
"""The kind of mutants that leave a secret where it was: reported as a class of their own."""
_ERASERS = ("wipe", "erase")
_BOUNDARIES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_Places = ast.stmt | ast.expr


class Mutant(NamedTuple):
    """One change to one file."""

    path: str
    line: int
    kind: str
    name: str
    """What it is, for the list of those that are explained; no line number, so that it stays when lines are added."""
    source: str
    """The whole file as changed."""


class _Change(NamedTuple):
    kind: str
    node: _Places
    new: str


def mutants(path: str, source: str) -> list[Mutant]:
    """Give every mutant of a module; `path` is only kept."""
    found: list[Mutant] = []
    seen: Counter[str] = Counter()
    for function, node in _functions(ast.parse(source)):
        for change in _changes(node):
            before = " ".join(ast.unparse(change.node).split())
            after = " ".join(change.new.split()) or "nothing"
            name = f"{path}:{function}: {change.kind}: {_short(before)} -> {_short(after)}"
            seen[name] += 1
            if seen[name] > 1:
                name += f" #{seen[name]}"
            found.append(Mutant(path, change.node.lineno, change.kind, name, _replaced(source, change)))
    return found


def switched(source: str, first: int) -> str:
    """Give the module with all its mutants in it at once; the number in `mutation_switch` says which one is alive.

    The first of `mutants` has the number `first`.  What runs while the module is imported is never changed.
    """
    tree = ast.parse(source)
    changes: dict[int, list[tuple[int, str]]] = {}
    number = first
    for _, function in _functions(tree):
        for change in _changes(function):
            changes.setdefault(id(change.node), []).append((number, change.new))
            number += 1
    if not changes:
        return source
    _Switches(changes).generic_visit(tree)
    has_docstring = ast.get_docstring(tree) is not None
    tree.body[has_docstring:has_docstring] = ast.parse("import mutation_switch as _mutation").body
    return ast.unparse(ast.fix_missing_locations(tree))


class _Switches(ast.NodeTransformer):
    def __init__(self, changes: dict[int, list[tuple[int, str]]]) -> None:
        self._changes = changes

    def visit(self, node: ast.AST) -> ast.AST:
        """Put each change beside what it changes."""
        changes = self._changes.get(id(node), ())
        node = self.generic_visit(node)
        for number, new in changes:
            if isinstance(node, ast.stmt):
                test = ast.parse(f"_mutation.number != {number}", mode="eval").body
                node = ast.If(test, [node], [])
            elif isinstance(node, ast.expr):
                test = ast.parse(f"_mutation.number == {number}", mode="eval").body
                node = ast.IfExp(test, ast.parse(new, mode="eval").body, node)
        return node


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."


def _replaced(source: str, change: _Change) -> str:
    """Put the new text in the node's place, on as many lines."""
    lines = source.encode().splitlines(keepends=True)
    node = change.node
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    head = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
    tail = lines[node.end_lineno - 1][node.end_col_offset :] + b"".join(lines[node.end_lineno :])
    return (head + change.new.encode() + tail).decode()


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function that decides something, with its qualified name; what is inside one belongs to it."""

    def walk(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from walk(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "repr__" not in node.name:
                yield f"{prefix}{node.name}", node

    return walk(tree.body, "")


def _changes(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[_Change]:
    for statement in function.body:
        for node in ast.walk(statement):
            for operator in _OPERATORS:
                yield from operator(node)


def _raise(node: ast.AST) -> Iterator[_Change]:
    """A refusal is not made."""
    if isinstance(node, ast.Raise):
        yield _Change("refusal", node, "pass")


def _condition(node: ast.AST) -> Iterator[_Change]:
    """A check that does something else than refuse is never true."""
    if isinstance(node, ast.If) and not isinstance(node.body[0], ast.Raise):
        yield _Change("check", node.test, "False")
    elif isinstance(node, ast.IfExp):
        yield _Change("choice", node.test, "False")
    elif isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield _Change("filter", test, "True")


def _clause(node: ast.AST) -> Iterator[_Change]:
    """One clause of a condition is left out."""
    if isinstance(node, ast.BoolOp):
        for place in range(len(node.values)):
            rest = node.values[:place] + node.values[place + 1 :]
            kept = ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0]
            yield _Change("clause", node, f"({ast.unparse(kept)})")


def _comparison(node: ast.AST) -> Iterator[_Change]:
    """A boundary is moved by one, or a comparison says the opposite."""
    if not isinstance(node, ast.Compare):
        return
    for place, operator in enumerate(node.ops):
        for kind, table in (("boundary", _BOUNDARIES), ("comparison", _OPPOSITES)):
            other = table.get(type(operator))
            if other is not None:
                ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                changed = ast.Compare(node.left, ops, node.comparators)
                yield _Change(kind, node, f"({ast.unparse(changed)})")


def _clamp(node: ast.AST) -> Iterator[_Change]:
    """The lesser (or greater) of two is always the one, or always the other."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"min", "max"}
        and len(node.args) == 2
        and not node.keywords
    ):
        for argument in node.args:
            yield _Change("clamp", node, f"({ast.unparse(argument)})")


def _call(node: ast.AST) -> Iterator[_Change]:
    """A call that is made for what it does or refuses is left out."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = ast.unparse(node.value.func).rpartition(".")[2]
        kind = ERASE if any(word in called for word in _ERASERS) else "call"
        yield _Change(kind, node, "pass")


def _with(node: ast.AST) -> Iterator[_Change]:
    """A secret is not wiped where its block ends."""
    if isinstance(node, ast.With):
        for item in node.items:
            yield _Change(
                ERASE, item.context_expr, f"__import__('contextlib').nullcontext({ast.unparse(item.context_expr)})"
            )


_OPERATORS: tuple[Callable[[ast.AST], Iterator[_Change]], ...] = (
    _raise,
    _condition,
    _clause,
    _comparison,
    _clamp,
    _call,
    _with,
)
