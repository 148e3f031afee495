"""How finely a kernel computes: float64 is a probe of archer's, float32 is what training and scoring need."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from evaluator.checks.bench import Bench, Case, largest
from evaluator.checks.findings import message_and_evidence, one_line
from evaluator.checks.inputs import perturbed
from evaluator.sandbox import VariantFailed

CASE = Case((1, 2, 128, 8, 8), "unit", torch.float64, 64)
STEP = 1e-9
"""Relative: far above the rounding of float64, far below that of float32."""
ROUGH = 1e-3
"""How much of the answer to such a step may be rounding."""


class Precision(NamedTuple):
    """The dtype that the checks call a kernel with where they would use float64, and why it is not float64.

    limit: what is wrong with float64, empty where it is only rounded. evidence: the call that shows it.
    """

    dtype: torch.dtype
    limit: str = ""
    evidence: Mapping[str, object] = MappingProxyType({})


def precision(bench: Bench) -> Precision:
    """Whether a kernel computes in float64 throughout, where its inputs are of it.

    If it does, its output answers a step of 1e-9 smoothly: twice the step, twice the answer. What is float32 on the way
    gives no answer or a hundred times more. Raises VariantFailed for what has nothing to do with the dtype.
    """
    inputs = bench.draw(CASE)
    try:
        reply = bench.raw(inputs, grad=True)
        bench.backward(reply, {"o": torch.ones_like(reply.o)}, inputs)
    except VariantFailed as error:
        if error.failure.kind != "crash":
            raise
        return Precision(torch.float32, one_line(error), message_and_evidence(error)[1])
    if reply.o.dtype != torch.float64:
        return Precision(torch.float32, f"o has dtype {reply.o.dtype}", CASE.evidence())
    smooth = _smooth(reply.o, *(bench.raw(perturbed(inputs, factor * STEP, seed=1)).o for factor in (1, 2)))
    return Precision(torch.float64 if smooth else torch.float32)


def _smooth(o: Tensor, near: Tensor, far: Tensor) -> bool:
    """Whether the output at two steps is what its answer to one foretells."""
    if o.shape != near.shape or o.shape != far.shape:
        return True  # the check of shapes says so
    answer, rounding = largest(near - o), largest((far - near) - (near - o))
    return answer > 0 and rounding <= ROUGH * answer
