"""What a variant changes outside the for-loop over chunks: a warning, since only the loop is under study."""

import ast
from collections.abc import Iterator

from evaluator import fence
from evaluator.checks.findings import passed, warned
from evaluator.fence.names import words
from evaluator.outcomes import Finding
from variants.contract import Variant

FRESH = words("zeros ones empty full eye tensor new_zeros new_ones new_full zeros_like ones_like")
"""Calls that make the initial value of a carried state."""


def check_scope(tree: ast.Module, variant: Variant, parent: Variant | None) -> Finding:
    """Compare the kernel with its parent's, statement by statement, without loops and what initialises their state."""
    if parent is None or parent.contract != variant.contract:
        return passed("scope", "no parent to compare with")
    ours = _outside(tree, variant.contract.function)
    theirs = _outside(fence.parse(parent.source), parent.contract.function)
    added = {text: line for text, line in ours.items() if text not in theirs}
    removed = [text for text in theirs if text not in ours]
    if not added and not removed:
        return passed("scope", f"differs from {parent.name} inside the for-loop only")
    lines = sorted(added.values())
    evidence = {"parent": parent.name, "lines": lines, "added": list(added), "removed": removed}
    message = f"differs from {parent.name} outside the for-loop: {len(added)} statements added, {len(removed)} removed"
    return warned("scope", message, evidence)


def _outside(tree: ast.Module, function: str) -> dict[str, int]:
    """The kernel's statements outside its loops, in a normal form, with their lines."""
    kernel = next((x for x in tree.body if isinstance(x, ast.FunctionDef) and x.name == function), None)
    return {ast.unparse(node): node.lineno for node in _statements(kernel.body)} if kernel else {}


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (is_text or isinstance(node, ast.For | ast.While) or _initialises(node)):
            yield node


def _initialises(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    value = node.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute | ast.Name):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else value.func.id
        return name in FRESH
    return isinstance(value, ast.Constant) or (isinstance(value, ast.List) and not value.elts)
