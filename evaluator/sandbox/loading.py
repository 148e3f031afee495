"""Executing a variant's source in a candidate's process, and telling what it raised."""

import builtins
import linecache
import sys
import traceback
import types
from typing import Any

import torch
from torch import Tensor

from evaluator.fence import ALLOWED_BUILTINS, ALLOWED_MODULES
from evaluator.kernel import Kernel
from evaluator.sandbox.state_guard import OWN, Trace, guarded, own_of, traces

MESSAGE_CAP = 4000


class _OfOneValue(type):
    def __call__(cls, *values: Any) -> Any:
        (value,) = values
        found = type(value)
        if issubclass(found, type):
            raise TypeError("a variant may not make classes by calling")
        return found

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, type)


class TypeOf(metaclass=_OfOneValue):
    """`type` as a variant has it: tells the type of one value, and makes none."""


def load_kernel(name: str, source: str, function: str) -> Kernel:
    """Execute a variant's source with the fence's names only, and return its kernel.

    The fence has judged the source already; this holds it to that, should the fence have missed an alias.
    """
    filename = f"<{name}.py>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    module = types.ModuleType(name)
    sys.modules[name] = module
    module.__dict__["__builtins__"] = {
        **{known: getattr(builtins, known) for known in ALLOWED_BUILTINS},
        "__import__": _import,
        "__build_class__": builtins.__build_class__,
        "type": TypeOf,
        OWN: own_of(module),
    }
    exec(guarded(source, filename), module.__dict__)
    return _watched(getattr(module, function), module)


def _watched(kernel: Kernel, module: types.ModuleType) -> Kernel:
    before = traces(module)

    def call(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        result = kernel(*inputs, chunk_size=chunk_size)
        if (after := traces(module)) != before:
            changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
            raise Trace(f"{', '.join(changed)} changed during the call, and outlives it")
        return result

    return call


def plain(kernel: Kernel) -> Kernel:
    """The kernel, held to return plain tensors: a subclass of its own would answer in the trainer's loss."""

    def call(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        o, S = kernel(*inputs, chunk_size=chunk_size)
        if type(o) is not Tensor or type(S) is not Tensor:
            raise TypeError(f"the kernel returned ({type(o).__name__}, {type(S).__name__}), not plain tensors")
        return o, S

    return call


def _import(name: str, *where: Any, **how: Any) -> types.ModuleType:
    # torch's C++ code imports parts of torch with the calling frame's builtins, which are these
    if name not in ALLOWED_MODULES and not name.startswith("torch."):
        raise ImportError(f"a variant may not import {name}")
    return __import__(name, *where, **how)


def describe(error: Exception) -> dict[str, Any]:
    """An exception of the variant's as a reply: its kind, and where in the variant's file it was raised."""
    traceback.clear_frames(error.__traceback__)  # where memory ran out, what they hold is needed to say so
    try:
        told = str(error)
    except Exception:  # noqa: BLE001 - its own __str__ may raise whatever it likes
        told = "an exception that cannot be told"
    if isinstance(error, FloatingPointError):
        return {"error": {"kind": "diverged", "message": told[:MESSAGE_CAP]}}
    out_of_memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in told
    lines = [f"line {frame.lineno}" for frame in traceback.extract_tb(error.__traceback__) if frame.filename[0] == "<"]
    where = f" ({lines[-1]} of the variant)" if lines else ""
    message = f"{type(error).__name__}: {told}{where}"[:MESSAGE_CAP]
    return {"error": {"kind": "memory" if out_of_memory else "crash", "message": message}}
