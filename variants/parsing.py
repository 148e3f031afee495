"""Parsing a kernel's source. Nothing is ever imported."""

import ast
import sys
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
        tree = ast.parse(source.removeprefix(BYTE_ORDER_MARK))
    _require_printable(tree, source)
    return tree


def _require_printable(tree: ast.Module, source: str) -> None:
    """Raise ValueError for an integer that Python reads in hexadecimal and refuses to write in decimal."""
    digits = sys.int_info.default_max_str_digits
    bits = 3 * digits
    if 4 * len(source) <= bits:  # a hexadecimal digit, the shortest way to write bits, has four
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value.bit_length() > bits:
            raise ValueError(f"line {node.lineno}: an integer of about {digits} digits or more")
