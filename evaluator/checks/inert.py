"""Inert settings: those at whose shapes a variant computes what its parent does, so that its result is the parent's."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from evaluator.checks.bench import Bench, Case, distance
from evaluator.checks.inputs import TaskShape
from evaluator.tasks.names import TaskName
from variants.contract import KernelContract

REGIMES = ("training", "unit", "loud", "repeats")
GRADIENTS = {torch.float64: 1e-6, torch.float32: 1e-4}
"""How far gradients of the same formula may be apart, relative to the largest."""


def inert_settings(
    bench: Bench, parent: Bench, shapes: Mapping[TaskName, Mapping[str, TaskShape]]
) -> dict[TaskName, tuple[str, ...]]:
    """Settings at whose shape outputs, and gradients through them, are the parent's for inputs of all magnitudes.

    A kernel that passed the check of prefixes does in a short sequence what it does at the start of a long one. So
    once it differs at a length, it differs at all longer ones of the same chunk size and width, and those are not run.
    """
    if bench.contract != parent.contract:
        return {}
    differ: set[tuple[int, ...]] = set()
    inert: set[TaskShape] = set()
    for found in sorted({shape for own in shapes.values() for shape in own.values()}, key=lambda x: x.shape[2]):
        kind = (found.chunk_size, *found.shape[:2], *found.shape[3:])
        if kind in differ:
            continue
        if _alike(bench, parent, found):
            inert.add(found)
        else:
            differ.add(kind)
    settings = {task: tuple(id_ for id_, shape in own.items() if shape in inert) for task, own in shapes.items()}
    return {task: found for task, found in settings.items() if found}


def _alike(bench: Bench, parent: Bench, shape: TaskShape) -> bool:
    cases = (Case(shape.shape, name, torch.float64, 151, shape.chunk_size) for name in REGIMES)
    cases = (parent.suited(bench.suited(case)) for case in cases)
    return all(_agree(bench.sized(case), parent.sized(case), case) for case in cases)


def _agree(bench: Bench, parent: Bench, case: Case) -> bool:
    inputs = bench.draw(case)
    o = parent.o(inputs)
    tolerance = float(parent.tolerance(inputs, o).max())
    if distance(bench.o(inputs), o) > tolerance:
        return False
    weights = torch.randn(o.shape, generator=torch.Generator().manual_seed(case.seed), dtype=o.dtype)
    grads = []
    for one in (bench, parent):
        reply = one.forward(inputs, grad=True)
        grads.append(felt(one.contract, inputs, one.backward(reply, {"o": weights}, inputs)))
    return all(_same_gradient(a, b, GRADIENTS[case.dtype]) for a, b in zip(*grads, strict=True))


def felt(contract: KernelContract, inputs: Sequence[Tensor], grads: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The gradients without their parts along q and k: the mixer's L2 normalisation lets none of those through."""
    each = zip(contract.kinds.values(), inputs, grads, strict=True)
    unit = ("query", "key")
    return [g - (g * x).sum(-1, keepdim=True) * x if kind in unit and g is not None else g for kind, x, g in each]


def _same_gradient(one: Tensor | None, other: Tensor | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return distance(one, other) <= tolerance * max(float(one.abs().max()), float(other.abs().max()))
