"""Lines of a kernel that are the likely cause of what a check found: found by reading, so a hint and never a verdict.

A check finds what a kernel does, by running it. Where in the source that comes from is guessed here from a few
patterns that account for most leaks and most undefined gradients; a kernel without any of them gets no hint.
"""

import ast
import math
from collections.abc import Iterator
from typing import Any

from evaluator.outcomes import Finding
from variants.contract import CONTRACTS

MANY = 3
LONGEST = 80
_MIXES = {
    "mean", "sum", "amax", "amin", "max", "min", "std", "var", "norm", "softmax", "log_softmax", "logsumexp", "flip",
    "roll", "median", "prod",
}  # fmt: skip
"""Functions that mix the positions of a chunk if they go along them, or along everything."""
_MASKS = ("masked_fill", "tril", "triu", "future", "where", "cumsum")
_ROOTS = {"sqrt", "rsqrt", "norm", "std"}
_POSITIONS = (-2, 2)


UNDEFINED = (
    "That is a 0/0 on the way back, where the way there is finite: a root, a norm or a quotient at 0. Masked scores "
    "and padded positions are 0, and so is the state in the first chunk. An eps under the root or in the divisor cures "
    "it: (x.square().sum(-1) + 1e-6).sqrt()"
)
"""Why a gradient is no number although the output is one."""


OVERFLOW = (
    "The numbers outgrow float32 on the way there. What is carried from chunk to chunk must not grow without bound: a "
    "factor on it of 1 at most, nothing unbounded in an exponential"
)
"""Why an output is infinite, or on its way there."""
OUTGROWN = "they outgrow float32"
"""In the message of such a finding."""


NO_NUMBER = (
    "NaN comes of a root or a logarithm of what is negative, of 0/0, or of a row of a softmax that is masked as a "
    "whole: bound what goes in"
)


def is_of_outputs(finding: Finding) -> bool:
    """Whether it is of an output, or of the final state, that is no finite number."""
    return finding.check == "finite" and finding.status == "fail" and "gradient" not in finding.message


def pointed(finding: Finding, tree: ast.Module, no_numbers: bool = False) -> Finding:
    """The finding, with the lines that may be its cause, in words and as evidence, and with a cure where one is known.

    A gradient that is no finite number reaches everything, so that it shows as a leak, too: it is named as what it is.
    no_numbers: whether outputs were found not to be finite, which is then the cause.
    """
    if is_of_outputs(finding):
        why = OVERFLOW if OUTGROWN in finding.message else NO_NUMBER
        return finding.model_copy(update={"message": f"{finding.message}. {why}"})
    undefined = _is_undefined(finding)
    if undefined and no_numbers:
        return finding.model_copy(update={"message": f"{finding.message}: what `finite` found in the outputs"})
    if finding.status == "pass" or not (undefined or (finding.check == "causality" and finding.status == "fail")):
        return finding
    found = list(dict(_roots(tree) if undefined else _leaks(tree)).items())[:MANY]
    look = f"Look at {'; '.join(f'line {line}: {what}' for line, what in found)}" if found else ""
    said = ". ".join(filter(None, (finding.message, UNDEFINED if undefined else "", look)))
    evidence = finding.evidence | ({"suspects": [line for line, _ in found]} if found else {})
    return finding.model_copy(update={"message": said, "evidence": evidence})


def _is_undefined(finding: Finding) -> bool:
    """Whether it is of a gradient that is no finite number."""
    numbers = [value for value in finding.evidence.values() if isinstance(value, float)]
    no_number = finding.check == "finite" or not all(map(math.isfinite, numbers))
    return "gradient" in finding.message and no_number


def _kernel(tree: ast.Module) -> ast.FunctionDef | None:
    names = {contract.function for contract in CONTRACTS.values()}
    return next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names), None)


def _loop(tree: ast.Module) -> list[ast.stmt]:
    """The statements of the longest `for` of the kernel; none where there is no loop."""
    kernel = _kernel(tree)
    loops = [node for node in (kernel.body if kernel else ()) if isinstance(node, ast.For)]
    return max(loops, key=lambda node: (node.end_lineno or 0) - node.lineno).body if loops else []


def _leaks(tree: ast.Module) -> Iterator[tuple[int, str]]:
    body, carried = _loop(tree), _carried(tree)
    yield from _early_updates(body, carried)
    for place, statement in enumerate(body):
        later = set().union(*(_read(other) for other in body[place + 1 :]))
        if _set(statement) and _set(statement) <= carried - later:
            continue  # what only the next chunk reads may look at all of this one
        if _unmasked(statement, body):
            yield statement.lineno, f"`{_text(statement)}` is not masked: a query meets later keys"
        for node in ast.walk(statement):
            if (name := _mixes_positions(node)) is not None:
                yield node.lineno, f"`{name}` goes over all positions of the chunk"  # type: ignore[attr-defined]


def _carried(tree: ast.Module) -> set[str]:
    """Names that are set before the loop: what a chunk leaves to the next one is among them."""
    kernel = _kernel(tree)
    return {name for node in (kernel.body if kernel else ()) if isinstance(node, ast.Assign) for name in _set(node)}


def _early_updates(body: list[ast.stmt], carried: set[str]) -> Iterator[tuple[int, str]]:
    """State that is carried from chunk to chunk, updated before the output that reads it is written."""
    written = next((place for place, each in enumerate(body) if "append" in _attributes(each)), len(body))
    for place, statement in enumerate(body[:written]):
        for name in _set(statement) & carried:
            again = any(name in _read(later) for later in body[place + 1 : written + 1])
            if again and _is_carried(name, body):
                yield statement.lineno, f"`{name}` is updated here and read before the chunk's output is written"


def _is_carried(name: str, body: list[ast.stmt]) -> bool:
    """Whether a chunk reads what the chunk before left under this name: its first use in the loop is a reading."""
    first = next((statement for statement in body if name in _set(statement) | _read(statement)), None)
    return first is not None and name in _read(first)


def _unmasked(statement: ast.stmt, body: list[ast.stmt]) -> bool:
    """Whether scores `q @ k.mT` are used with no mask, here or where what they are called is used."""
    scores = any(
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.MatMult)
        and isinstance(node.right, ast.Attribute)
        and node.right.attr in ("mT", "T")
        for node in ast.walk(statement)
    )
    if not scores:
        return False
    names = _set(statement)
    users = [statement, *(other for other in body if names & _read(other))]
    return not any(mask in ast.unparse(user) for user in users for mask in _MASKS)


def _mixes_positions(node: ast.AST) -> str | None:
    """The function called, if it goes along the positions of a chunk or over everything."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in _MIXES:
        return None
    method = not (isinstance(node.func.value, ast.Name) and node.func.value.id in ("torch", "F"))
    values = [*node.args[0 if method else 1 :], *(word.value for word in node.keywords if word.arg in ("dim", "dims"))]
    axes = [axis for value in values for axis in _integers(value)]
    return node.func.attr if not axes or any(axis in _POSITIONS for axis in axes) else None


def _roots(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What has no gradient at 0: a root or a norm, a quotient by what may be 0."""
    for statement in _loop(tree):
        for node in ast.walk(statement):
            if isinstance(node, ast.Call | ast.BinOp) and _is_singular(node):
                yield node.lineno, f"`{_text(node)}`"


def _is_singular(node: ast.Call | ast.BinOp) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr in _ROOTS
    if isinstance(node.op, ast.Pow):
        return _is_fraction(node.right)
    return isinstance(node.op, ast.Div) and bool(_read(node.right))


def _is_fraction(node: ast.expr) -> bool:
    value: Any = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(value, ast.Constant) and isinstance(value.value, float) and value.value < 1


def _integers(node: ast.expr) -> Iterator[int]:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return
    for each in value if isinstance(value, tuple | list) else (value,):
        if isinstance(each, int):
            yield each


def _set(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _read(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}


def _attributes(statement: ast.stmt) -> set[str]:
    return {node.attr for node in ast.walk(statement) if isinstance(node, ast.Attribute)}


def _text(node: ast.AST) -> str:
    line = " ".join(ast.unparse(node).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
