"""Inert tasks: those at whose shapes a variant computes what its parent does."""

from collections.abc import Mapping

import torch
from torch import Tensor

from evaluator.checks.bench import Bench, Case, distance
from evaluator.checks.inputs import TaskShape
from variants.contract import Task

REGIMES = ("training", "unit", "loud", "repeats")


def inert_tasks(bench: Bench, parent: Bench, shapes: Mapping[Task, TaskShape]) -> tuple[Task, ...]:
    """Tasks at whose shape outputs, and gradients through them, are the parent's for inputs of all magnitudes."""
    if bench.signature != parent.signature:
        return ()
    verdicts: dict[TaskShape, bool] = {}
    for found in dict.fromkeys(shapes.values()):
        cases = (Case(found.shape, name, torch.float64, 151, found.chunk_size) for name in REGIMES)
        verdicts[found] = all(_agree(bench.sized(case), parent.sized(case), case) for case in cases)
    return tuple(task for task, found in shapes.items() if verdicts[found])


def _agree(bench: Bench, parent: Bench, case: Case) -> bool:
    inputs = bench.draw(case)
    o = parent.o(inputs)
    tolerance = parent.tolerance(inputs, o)
    if distance(bench.o(inputs), o) > tolerance:
        return False
    weights = torch.randn(o.shape, generator=torch.Generator().manual_seed(case.seed), dtype=o.dtype)
    grads = []
    for one in (bench, parent):
        reply = one.forward(inputs, grad=True)
        grads.append(_felt(one, inputs, one.client.backward(reply.call, {"o": weights}, inputs)))
        one.client.release(reply.call)
    return all(_same_gradient(a, b) for a, b in zip(*grads, strict=True))


def _felt(bench: Bench, inputs: tuple[Tensor, ...], grads: list[Tensor | None]) -> list[Tensor | None]:
    """The gradients without their parts along q and k: the mixer's L2 normalisation lets none of those through."""
    named = zip(bench.signature.inputs, inputs, grads, strict=True)
    return [g - (g * x).sum(-1, keepdim=True) * x if n in "qk" and g is not None else g for n, x, g in named]


def _same_gradient(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return distance(one, other) <= 1e-6 * max(float(one.abs().max()), float(other.abs().max()))
