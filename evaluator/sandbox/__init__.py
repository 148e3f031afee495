"""Runs variants where they can do no harm: each in a locked-down process, of which nothing but tensors comes back."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # else whoever wants an error's name from here waits for torch
    from evaluator.sandbox.client import KernelClient
    from evaluator.sandbox.host import Sandbox
    from evaluator.sandbox.limits import Limits, SandboxUnavailable, TrainingStopped, VariantFailed
    from evaluator.sandbox.training import TrainingOutput

__all__ = [
    "KernelClient", "Limits", "Sandbox", "SandboxUnavailable", "TrainingOutput", "TrainingStopped", "VariantFailed",
]  # fmt: skip

_HOMES = {"KernelClient": "client", "Sandbox": "host", "TrainingOutput": "training"}


def __getattr__(name: str) -> object:
    """A name of `__all__`, from the module that has it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'limits')}"), name)
