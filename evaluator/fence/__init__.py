"""The static fence: a variant's source is parsed here, in archer's process, and never imported here.

It keeps a kernel to computing on its inputs: known modules, no way to frames, files or hooks, no state that outlives a
call. What it lets through is still run in the sandbox only.
"""

import ast

from evaluator.fence.advice import POINTER, allowed
from evaluator.fence.compilers import without_compilers
from evaluator.fence.names import ALLOWED_BUILTINS, ALLOWED_MODULES
from evaluator.fence.rules import Fence
from evaluator.fence.top_level import drop_main_guard
from evaluator.fence.violation import Violation
from variants import parsing

__all__ = [
    "ALLOWED_BUILTINS",
    "ALLOWED_MODULES",
    "POINTER",
    "SourceError",
    "Violation",
    "allowed",
    "parse",
    "taken_off",
    "violations",
]

SOURCE_CAP = 200_000
DEPTH_CAP = 200
"""Nodes within nodes. What is nested more deeply would end Python's own walks over the tree, in archer's process."""


class SourceError(Exception):
    """The source is no Python module that could be judged."""


def parse(source: str) -> ast.Module:
    """Parse a variant's source, as it is judged and run: without `torch.compile`, see `taken_off`.

    Raises SourceError, with the line where there is one.
    """
    tree = _parse(source)
    return tree if _deeper_than(DEPTH_CAP, tree) else without_compilers(tree)[0]


def taken_off(source: str) -> list[Violation]:
    """Where `parse` takes `torch.compile` and its like off a source, and what stood there. Raises SourceError."""
    tree = _parse(source)
    return [] if _deeper_than(DEPTH_CAP, tree) else without_compilers(tree)[1]


def _parse(source: str) -> ast.Module:
    if len(source) > SOURCE_CAP:
        raise SourceError(f"{len(source)} characters of source; at most {SOURCE_CAP} are read")
    try:
        return parsing.parse(source)
    except SyntaxError as error:
        raise SourceError(f"line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SourceError(f"cannot be parsed: {error or type(error).__name__}") from error


def violations(tree: ast.Module) -> list[Violation]:
    """Everything in a parsed source that a kernel may not do, by line. An empty list lets it pass."""
    if _deeper_than(DEPTH_CAP, tree):
        return [Violation(1, "expressions are nested too deeply to judge")]
    fence = Fence()
    fence.judge(drop_main_guard(tree))
    return sorted(set(fence.found))


def _deeper_than(depth: int, tree: ast.AST) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(depth):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return bool(level)
