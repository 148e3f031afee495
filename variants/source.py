"""Parts of a variant's source, found by parsing; nothing is ever imported."""

import ast
from dataclasses import dataclass
from itertools import pairwise

from variants.contract import CONTRACTS
from variants.parsing import parse


@dataclass(frozen=True)
class KernelParts:
    """A kernel's file in three parts: `before` begins after the module's docstring, and has no line of the loop."""

    before: str
    loop: str
    after: str


def loop_source(source: str) -> str:
    """Source text of the kernel's chunk loop, its longest outermost `for`; the whole text if it has none."""
    parts = kernel_parts(source)
    return source if parts is None else parts.loop


def kernel_parts(source: str) -> KernelParts | None:
    """The file around the kernel's chunk loop, its longest outermost `for`; None if it has none."""
    if (found := chunk_loop(source)) is None:
        return None
    tree, _, loop = found
    begin = tree.body[0].end_lineno or 0 if ast.get_docstring(tree, clean=False) is not None else 0
    lines = source.splitlines()
    cuts = (begin, loop.lineno - 1, loop.end_lineno, len(lines))
    return KernelParts(*("\n".join(lines[start:end]) for start, end in pairwise(cuts)))


def chunk_loop(source: str) -> tuple[ast.Module, ast.FunctionDef, ast.For] | None:
    """The file's tree, its kernel, and the kernel's chunk loop; None for a file without one, or that does not parse."""
    names = {contract.function for contract in CONTRACTS.values()}
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    kernels = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    loops = [(kernel, node) for kernel in kernels for node in kernel.body if isinstance(node, ast.For)]
    if not loops:
        return None
    return tree, *max(loops, key=lambda found: (found[1].end_lineno or 0) - found[1].lineno)
