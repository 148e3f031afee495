"""Comparing ways to do the same, and the rate of matrix products that all of it is measured by."""

import time
from collections.abc import Callable

import torch

from evaluator.model.linear import linear


def interleaved(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least CPU-seconds of each way over rounds in which they take turns."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.process_time()
            way()
            best[name] = min(best[name], time.process_time() - began)
    return best


def rates(rounds: int = 5) -> dict[str, float]:
    """GFLOP/s of a float32 product of 1024 x 1024 matrices by PyTorch's default library, and as training makes it."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    with torch.no_grad():
        found = interleaved({"default": lambda: a @ b, "oneDNN": lambda: linear(a, b)}, rounds)
    return {name: 2 * 1024**3 / seconds / 1e9 for name, seconds in found.items()}
