"""Prefixes: a truncated run is the beginning of the whole one, so that nothing depends on the total length."""

from collections.abc import Collection

import torch
from torch import Tensor

from evaluator.checks.bench import Bench, Case, differences, taken, worst
from evaluator.checks.findings import failed, passed
from evaluator.checks.inputs import TaskShape
from evaluator.outcomes import Finding

F32, F64 = torch.float32, torch.float64
CASES = (
    Case((2, 2, 100, 16, 16), "unit", F64, 51),
    Case((2, 1, 127, 16, 16), "training", F32, 52),
    Case((2, 1, 100, 16, 16), "training", F32, 53, chunk_size=16),
    Case((1, 1, 1030, 8, 8), "training", F32, 55),
)
PREFIXES = (1, 5, 31, 32, 33, 50, 64, 65, 96, 99)
FEW = (1, 33, 100, 511, 1000)

CHUNK_SIZES = {case.chunk_size for case in CASES}


def check_prefix(bench: Bench, shapes: tuple[TaskShape, ...] = (), refused: Collection[int] = ()) -> Finding:
    """A run on the first positions gives the first outputs of the whole run. shapes: of the tasks to be trained.

    Nothing else shows what depends on the total length: in training and in scoring it is the same for all sequences.
    """
    own = [Case((1, *found.shape[1:]), "early", F32, 54, found.chunk_size) for found in shapes]
    for case in taken(refused, *CASES, *dict.fromkeys(own)):
        if finding := _of_prefixes(bench.sized(case), bench.suited(case), PREFIXES if case in CASES[:-1] else FEW):
            return finding
    return passed("prefix", "a truncated run equals the prefix of the full run")


def _of_prefixes(bench: Bench, case: Case, cuts: tuple[int, ...]) -> Finding | None:
    inputs = bench.draw(case)
    whole = bench.o(inputs)
    tolerance: Tensor | None = None
    for cut in (cut for cut in cuts if cut < case.shape[2]):
        part = bench.o(tuple(x[:, :, :cut] for x in inputs))
        if torch.equal(part, whole[:, :, :cut]):
            continue
        tolerance = bench.tolerance(inputs, whole) if tolerance is None else tolerance
        gap = differences(part, whole[:, :, :cut])
        if (gap > tolerance[:, :, :cut]).any():
            _, position, at, allowed = worst(gap, tolerance[:, :, :cut])
            length = case.shape[2]
            message = f"the first {cut} positions alone give another output at {position} than as part of {length}"
            evidence = {"cut": cut, "position": position, "max_abs": at, "tolerance": allowed}
            return failed("prefix", f"{message} (max |Δ| {at:.2g})", case.evidence() | evidence)
    return None
