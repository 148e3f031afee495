"""Runs variants where they can do no harm: a locked-down process each, and tensors as the only thing that comes back."""

from evaluator.sandbox.client import KernelClient
from evaluator.sandbox.host import Sandbox
from evaluator.sandbox.limits import Limits, SandboxUnavailable, TrainingStopped, VariantFailed
from evaluator.sandbox.training import TrainingOutput

__all__ = [
    "KernelClient", "Limits", "Sandbox", "SandboxUnavailable", "TrainingOutput", "TrainingStopped", "VariantFailed",
]  # fmt: skip
