"""Runs variants where they can do no harm: each in a locked-down process, of which nothing but tensors comes back."""

from evaluator.sandbox.client import KernelClient
from evaluator.sandbox.host import Sandbox, canaries
from evaluator.sandbox.limits import Limits, SandboxUnavailable, TrainingStopped, VariantFailed
from evaluator.sandbox.training import TrainingOutput

__all__ = [
    "KernelClient", "Limits", "Sandbox", "SandboxUnavailable", "TrainingOutput", "TrainingStopped", "VariantFailed",
    "canaries",
]  # fmt: skip
