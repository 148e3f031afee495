"""What a variant changes outside the for-loop over chunks, where it may only initialise what the loop carries."""

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from evaluator import fence
from evaluator.checks.findings import failed, passed, warned
from evaluator.fence.names import words
from evaluator.fence.scopes import bind
from evaluator.outcomes import Finding
from variants.contract import Variant

SHAPE_ATTRIBUTES = words("shape dtype device layout ndim requires_grad is_cuda itemsize")
SHAPE_METHODS = words("size dim ndimension numel element_size is_floating_point new_zeros new_ones new_full new_empty")
LIKE = words("zeros_like ones_like full_like empty_like rand_like randn_like len")
"""Of these a tensor lends its shape, dtype and device, and none of its numbers."""


class Statement(NamedTuple):
    """A statement outside of the loop: in a normal form, where it stands (first and last line, from 1), what it binds.

    initialises: whether it stands before the loop and gives names a first value, the same for all inputs of a shape.
    """

    text: str
    first: int
    last: int
    names: frozenset[str] = frozenset()
    initialises: bool = False


class Outside(NamedTuple):
    """A kernel without its loop, and the names of the state that the loop carries."""

    statements: tuple[Statement, ...]
    carried: frozenset[str]


def check_scope(tree: ast.Module, variant: Variant, parent: Variant | None, *, loop_only: bool = False) -> Finding:
    """Compare the kernel with its parent's, statement by statement, without the loop and what initialises its state.

    loop_only: whether a difference is a failure; else it is a warning.
    """
    if parent is None or parent.contract != variant.contract:
        return passed("scope", "no parent to compare with")
    changes = _changes(_outside(fence.parse(parent.source), parent), _outside(tree, variant), parent.contract.inputs)
    if not changes:
        return passed("scope", f"differs from {parent.name} inside the for-loop only")
    evidence = {"parent": parent.name, "diff": _diff(changes, parent, variant)}
    message = f"differs from {parent.name} outside the for-loop{_places(changes)}"
    if loop_only:
        return failed("scope", f"{message}: only state that the loop carries may be initialised there", evidence)
    return warned("scope", message, evidence)


def _outside(tree: ast.Module, variant: Variant) -> Outside:
    """A kernel's statements outside of its loop, the longest outermost one, with what of the file they use."""
    function, inputs = variant.contract.function, variant.contract.inputs
    kernel = next((x for x in tree.body if isinstance(x, ast.FunctionDef) and x.name == function), None)
    if kernel is None:
        return Outside((), frozenset())
    loops = [node for node in kernel.body if isinstance(node, ast.For)]
    loop = max(loops, key=lambda node: (node.end_lineno or 0) - node.lineno, default=None)
    body = [node for node in kernel.body if node is not loop and not _is_text(node)]
    own: list[Statement] = []
    numbers = set(inputs)
    for node in body:
        early = loop is None or node.lineno < loop.lineno
        own.append(_of(node, initialises=early and _initialises(node, numbers)))
        numbers |= _bound(node) if _has_numbers(node, numbers) else set()
    bound = {name for node in body for name in _bound(node)}
    named = {x.id for node in (*body, *kernel.decorator_list) for x in ast.walk(node) if isinstance(x, ast.Name)}
    decorators = [_of(node, "@") for node in kernel.decorator_list]
    return Outside((*_used(tree, named - bound), *decorators, *own), frozenset(_changed(loop) if loop else ()))


def _of(node: ast.stmt | ast.expr, before: str = "", *, initialises: bool = False) -> Statement:
    lines = node.lineno, node.end_lineno or node.lineno
    return Statement(before + ast.unparse(node), *lines, frozenset(_bound(node)), initialises)


def _used(tree: ast.Module, names: set[str]) -> Iterator[Statement]:
    """What a file's names stand for: paths of modules, and definitions with all that these use in turn."""
    modules = bind(tree, None).modules
    pending, seen = sorted(names), set(names)
    while pending:
        name = pending.pop(0)
        if name in modules:
            yield Statement(f"{name} is {modules[name]}", *_imported(tree, name), frozenset({name}), initialises=True)
        for node in tree.body:
            if not isinstance(node, ast.Import | ast.ImportFrom) and name in _bound(node):
                yield _of(node)
                more = {x.id for x in ast.walk(node) if isinstance(x, ast.Name)} - seen
                pending, seen = pending + sorted(more), seen | more


def _imported(tree: ast.Module, name: str) -> tuple[int, int]:
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) and any(
            name == (alias.asname or alias.name.partition(".")[0]) for alias in node.names
        ):
            return node.lineno, node.end_lineno or node.lineno
    return 1, 0


def _initialises(node: ast.stmt, numbers: Collection[str]) -> bool:
    if isinstance(node, ast.FunctionDef | ast.Import | ast.ImportFrom):
        return True
    plain = isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
    return plain and _only_names(node) and not _has_numbers(node, numbers)


def _only_names(node: ast.stmt) -> bool:
    """Whether an assignment is to names, and changes nothing that exists."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return all(isinstance(x, ast.Name | ast.Tuple | ast.expr_context) for target in targets for x in ast.walk(target))


def _has_numbers(node: ast.AST, numbers: Collection[str]) -> bool:
    """Whether numbers of the inputs', or made from them, go into this: shapes and dtypes are none."""
    if isinstance(node, ast.Name):
        return node.id in numbers
    if isinstance(node, ast.Attribute) and node.attr in SHAPE_ATTRIBUTES:
        return False
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        lent = 1 if name in LIKE else 0
        given = (*node.args[lent:], *node.keywords)
        if lent or name in SHAPE_METHODS:
            return any(_has_numbers(x, numbers) for x in given)
    return any(_has_numbers(child, numbers) for child in ast.iter_child_nodes(node))


def _bound(node: ast.AST) -> set[str]:
    """Names that a statement binds, in nested ones too."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    stored = {x.id for x in ast.walk(node) if isinstance(x, ast.Name) and not isinstance(x.ctx, ast.Load)}
    imported = {alias.asname or alias.name.partition(".")[0] for x in ast.walk(node)
                if isinstance(x, ast.Import | ast.ImportFrom) for alias in x.names}  # fmt: skip
    return stored | imported


def _changed(loop: ast.For) -> Iterator[str]:
    """Names that a loop binds, and those whose values it changes: `x = ...`, `x[i] = ...`, `x.append(...)`."""
    for node in ast.walk(loop):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        owner: ast.AST | None = None
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            owner = node.value.func
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            owner = node
        if isinstance(owner, ast.Attribute | ast.Subscript) and isinstance(owner.value, ast.Name):
            yield owner.value.id


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


Change = tuple[Sequence[Statement], Sequence[Statement]]
"""Statements of the parent's, and those that stand in their place."""


def _changes(theirs: Outside, ours: Outside, inputs: Collection[str]) -> list[Change]:
    """What differs, without what initialises state: the parent's own state or what has a new name."""
    old, new = theirs.statements, ours.statements
    taken = {*inputs, *(name for one in old for name in one.names)} - theirs.carried
    matcher = SequenceMatcher(None, [x.text for x in old], [x.text for x in new], autojunk=False)
    found: list[Change] = []
    for _, a, b, c, d in (code for code in matcher.get_opcodes() if code[0] != "equal"):
        added = [x for x in new[c:d] if not x.initialises or x.names & taken]
        again = {name for x in added for name in x.names}
        removed = [x for x in old[a:b] if not x.initialises or x.names & again]
        if added or removed:
            found.append((removed, added))
    return found


def _places(changes: Sequence[Change]) -> str:
    """Where the first difference is, and how many others there are."""
    old, new = changes[0]
    first, verb = (new[0], "has") if new else (old[0], "lacks")
    where = f" in line {first.first}" if new else ""
    others = f" and in {len(changes) - 1} more place{'s' if len(changes) > 2 else ''}" if len(changes) > 1 else ""
    return f"{where} ({verb} {first.text.splitlines()[0]}){others}"


def _diff(changes: Sequence[Change], parent: Variant, variant: Variant) -> str:
    """The changes as a unified diff without context, in the words and with the line numbers of the two files."""
    lines = [f"--- {parent.name}", f"+++ {variant.name}"]
    for pair in changes:
        old, new = (_lines(own, one.source) for own, one in zip(pair, (parent, variant), strict=True))
        lines.append(f"@@ -{_span(pair[0], len(old))} +{_span(pair[1], len(new))} @@")
        lines += [*(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    return "\n".join(lines)


def _lines(statements: Sequence[Statement], source: str) -> list[str]:
    lines = re.split(r"\r\n|\r|\n", source)
    return [line.rstrip() for own in statements for line in lines[own.first - 1 : own.last]]


def _span(statements: Sequence[Statement], count: int) -> str:
    return f"{statements[0].first if statements else 0}{'' if count == 1 else f',{count}'}"
