"""Parsing a kernel's source. Nothing is ever imported."""

import ast
import threading
import warnings

_PARSER = threading.Lock()
"""CPython counts the depth of a tree per process: two threads that parse at once can raise SystemError."""

BYTE_ORDER_MARK = "\ufeff"


def parse(source: str) -> ast.Module:
    """The tree of a source text. Raises SyntaxError, ValueError, RecursionError or MemoryError for what is none.

    A byte-order mark, which some editors put first, is no part of the source.
    """
    with _PARSER, warnings.catch_warnings():
        # a docstring with LaTeX is right as it is, and a warning of Python's would name no file
        warnings.filterwarnings("ignore", message=".*invalid escape sequence")
        return ast.parse(source.removeprefix(BYTE_ORDER_MARK))
