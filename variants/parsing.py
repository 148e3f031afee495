"""Parsing a kernel's source. Nothing is ever imported."""

import ast
import threading

_PARSER = threading.Lock()
"""CPython counts the depth of a tree per process: two threads that parse at once can raise SystemError."""


def parse(source: str) -> ast.Module:
    """The tree of a source text. Raises SyntaxError, ValueError, RecursionError or MemoryError for what is none."""
    with _PARSER:
        return ast.parse(source)
