"""What to do about a refusal of the fence, and all that the fence lets a kernel use."""

import math

import torch
import torch.nn.functional as F

from evaluator.fence.names import (
    ALLOWED_BUILTINS,
    ALLOWED_MODULES,
    HEADER_NAMES,
    MEMBERS,
    OPEN_DUNDERS,
    WHOLE,
    member_problem,
)
from evaluator.fence.top_level import BUILTIN_DECORATORS, DECORATORS, MAKERS

POINTER = "`archer check --allowed` lists what a kernel may use"

PLAIN = "take it off: archer runs the kernel as plain Python"
CACHE = "take it off and compute in the kernel what it keeps: a cache is state that outlives a call"
OPERATIONS = "write it in torch's operations"
ADVICE = {
    "functools.cache": CACHE,
    "functools.cached_property": CACHE,
    "functools.lru_cache": CACHE,
    "jax": OPERATIONS,
    "logging": "take it out",
    "numba": OPERATIONS,
    "numpy": "torch has the same functions",
    "torch.compiler": PLAIN,
    "torch._dynamo": PLAIN,
    "torch.jit": PLAIN,
    "torch.utils.cpp_extension": OPERATIONS,
    "triton": OPERATIONS,
    "warnings": "take it out",
}
"""By the beginning of a path: what people put into kernels most, and what to do instead."""


def advice(path: str) -> str:
    """What to do about a module or a member of one that is refused; else what is allowed in its place."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        if told := ADVICE.get(".".join(parts[:end])):
            return told
    for end in range(len(parts) - 1, 0, -1):
        if (module := ".".join(parts[:end])) in ALLOWED_MODULES:
            return f"of {module}, {_summary(module)}"
    return f"a kernel may import {', '.join(importable())}"


def importable() -> tuple[str, ...]:
    """Packages that a kernel may import from, in alphabetical order."""
    return tuple(sorted({module.split(".")[0] for module in ALLOWED_MODULES} - {"__future__"}))


def allowed() -> dict[str, dict[str, list[str]] | list[str]]:
    """Everything that a kernel may use: modules with their members, builtins, decorators, special names."""
    return {
        "imports": {module: _members(module) for module in sorted(ALLOWED_MODULES)},
        "builtins": sorted(ALLOWED_BUILTINS),
        "decorators": sorted(DECORATORS | BUILTIN_DECORATORS),
        "calls at the top level": sorted(MAKERS),
        "special methods": sorted(OPEN_DUNDERS),
        "special names": sorted(HEADER_NAMES),
    }


def _members(module: str) -> list[str]:
    if module in MEMBERS:
        return sorted(MEMBERS[module])
    spaces = {"math": math, "torch.fft": torch.fft, "torch.linalg": torch.linalg, "torch.nn": torch.nn}
    space = {**spaces, "torch": torch, "torch.nn.functional": F, "torch.special": torch.special}[module]
    return sorted(
        name for name in dir(space) if member_problem(module, name) is None and name not in _submodules(module)
    )


def _submodules(module: str) -> set[str]:
    return {name.removeprefix(f"{module}.").split(".")[0] for name in ALLOWED_MODULES if name.startswith(f"{module}.")}


def _summary(module: str) -> str:
    """In a few words: the members, or of which kind they are."""
    if module in WHOLE:
        return "a kernel may use what computes"
    members = [*sorted(MEMBERS[module]), *sorted(_submodules(module))]
    return f"a kernel may use {', '.join(members)}"
