"""What a kernel computes, as a few numbers: outputs on fixed probes, equal for rewritings of the same formula."""

from collections.abc import Sequence

import torch

from evaluator.checks.inputs import REGIMES, Shape, draw
from evaluator.kernel import Kernel
from variants.contract import KernelSignature

Fingerprint = tuple[float, ...]

PROBES: tuple[tuple[str, Shape], ...] = (
    ("unit", (1, 2, 100, 16, 16)),
    ("training", (1, 2, 65, 16, 16)),
    ("loud", (1, 1, 256, 8, 8)),
    ("repeats", (1, 1, 256, 16, 16)),
)
"""Several chunks, and states small and large: a clip that never clips on one probe does on another."""

PROJECTIONS = 16
TOLERANCE = 2e-5
"""Relative to a probe's largest number: above what float32 inside a kernel costs, below what any idea changes."""


def fingerprint(kernel: Kernel, signature: KernelSignature) -> Fingerprint:
    """64 numbers: o on each probe in float64, projected on fixed random directions. q and k come L2-normalised.

    Raises VariantFailed when the kernel does.
    """
    numbers: list[float] = []
    for index, (regime, shape) in enumerate(PROBES):
        o, _ = kernel(*draw(signature, shape, REGIMES[regime], seed=20_000 + index, dtype=torch.float64))
        directions = torch.randn(PROJECTIONS, o.numel(), generator=torch.Generator().manual_seed(index), dtype=o.dtype)
        numbers += (directions @ o.flatten() / o.numel() ** 0.5).tolist()
    return tuple(numbers)


def same(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two fingerprints are of kernels that compute the same, up to rounding."""
    if len(one) != len(other) or not one:
        return False
    a, b = (torch.tensor(x, dtype=torch.float64).view(len(PROBES), -1) for x in (one, other))
    scale = torch.maximum(a.abs(), b.abs()).amax(1, keepdim=True)
    return bool(((a - b).abs() <= TOLERANCE * scale).all())
