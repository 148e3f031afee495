"""Parts of a variant's source, found by parsing; nothing is ever imported."""

import ast

from variants.contract import CONTRACTS
from variants.parsing import parse


def loop_source(source: str) -> str:
    """Source text of the kernel's chunk loop, its longest outermost `for`; the whole text if it has none."""
    names = {contract.function for contract in CONTRACTS.values()}
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    kernels = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    loops = [node for kernel in kernels for node in kernel.body if isinstance(node, ast.For)]
    if not loops:
        return source
    loop = max(loops, key=lambda node: (node.end_lineno or 0) - node.lineno)
    return "\n".join(source.splitlines()[loop.lineno - 1 : loop.end_lineno])
