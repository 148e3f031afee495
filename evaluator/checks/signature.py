"""The kernel's definition, as the source has it."""

import ast

from evaluator.checks.findings import failed, passed
from evaluator.outcomes import Finding
from variants.contract import CONTRACTS, KernelContract


def check_definition(tree: ast.Module, contract: KernelContract) -> Finding:
    """The file defines the kernel at its top level, and its parameters are those of the contract, in order."""
    parameters = _parameters(tree, contract.function)
    wanted = [*contract.inputs, "chunk_size"]
    if parameters is None:
        return _no_kernel(tree)
    names, free = parameters
    if names[: len(wanted)] == wanted and len(names) - len(wanted) <= free:
        return passed("signature", f"{contract.function}({', '.join(names)})")
    if not names:  # an assigned callable: calling it will tell
        return passed("signature", f"{contract.function} is defined by assignment")
    message = f"{contract.function} takes ({', '.join(names)}), not ({', '.join(wanted)})"
    return failed("signature", message, {"function": contract.function, "parameters": names})


def _no_kernel(tree: ast.Module) -> Finding:
    """Names the kernels that a file may define, and the functions that this one does."""
    wanted = [f"{one.function}({', '.join((*one.inputs, 'chunk_size'))})" for one in CONTRACTS.values()]
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    found = f"; it defines {', '.join(defined)}" if defined else ""
    message = f"the file defines no kernel: neither {' nor '.join(wanted)}{found}"
    return failed("signature", message, {"functions": [one.function for one in CONTRACTS.values()], "defined": defined})


def _parameters(tree: ast.Module, function: str) -> tuple[list[str], int] | None:
    """Names of the parameters, and how many have a default; None where there is no such function."""
    found = None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            found = _of(node.args)
        elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == function for t in node.targets):
            found = _of(node.value.args) if isinstance(node.value, ast.Lambda) else ([], 0)
    return found


def _of(arguments: ast.arguments) -> tuple[list[str], int]:
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    keyword_only = [argument.arg for argument in arguments.kwonlyargs]
    with_default = len(arguments.defaults) + sum(default is not None for default in arguments.kw_defaults)
    return names + keyword_only, with_default
