"""Runs variants where they can do no harm: each in a locked-down process, of which nothing but tensors comes back."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # else whoever wants an error's name from here waits for torch
    from evaluator.sandbox.client import KernelClient
    from evaluator.sandbox.host import Sandbox, canaries
    from evaluator.sandbox.limits import Limits, SandboxUnavailable, TrainingStopped, VariantFailed
    from evaluator.sandbox.training import TrainingOutput

__all__ = [
    "KernelClient", "Limits", "Sandbox", "SandboxUnavailable", "TrainingOutput", "TrainingStopped", "VariantFailed",
    "canaries",
]  # fmt: skip

_HOMES = ("limits", "client", "host", "training")


def __getattr__(name: str) -> object:
    """A name of `__all__`, from the module that has it."""
    if name in __all__:
        for home in _HOMES:
            module = importlib.import_module(f"{__name__}.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
