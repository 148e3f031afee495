"""Causality: what comes after a cut, resampled, changes nothing before it, neither forward nor through gradients."""

from collections.abc import Collection, Iterator

import torch
from torch import Tensor

from evaluator.checks.bench import Bench, Case, differences, largest
from evaluator.checks.findings import failed, passed
from evaluator.checks.inputs import TaskShape, before, splice
from evaluator.outcomes import Finding

F32, F64 = torch.float32, torch.float64
CASES = (
    Case((31, 1, 32, 8, 8), "unit", F64, 1),
    Case((99, 1, 100, 8, 8), "unit", F32, 2),
    Case((96, 2, 97, 8, 8), "training", F64, 3),
    Case((63, 1, 64, 16, 16), "small", F64, 4),
    Case((63, 1, 64, 8, 8), "loud", F32, 5),
    Case((69, 1, 70, 16, 16), "long", F64, 6),
    Case((126, 1, 127, 16, 16), "repeats", F32, 7),
    Case((128, 1, 256, 16, 16), "training", F32, 8),
    Case((2, 1, 256, 128, 128), "training", F32, 9),
    Case((2, 8, 128, 16, 16), "training", F32, 10),
    Case((3, 2, 600, 8, 8), "unit", F32, 11),
    Case((4, 2, 33, 16, 16), "small", F32, 12),
    Case((1, 1, 7, 16, 16), "unit", F32, 13),
    Case((63, 1, 64, 8, 8), "training", F32, 14, chunk_size=16),
    Case((99, 1, 100, 8, 8), "unit", F64, 15, chunk_size=64),
    Case((1, 1, 256, 16, 16), "training", F32, 16),
    Case((63, 1, 64, 8, 8), "huge", F64, 17),
    Case((63, 1, 64, 8, 8), "holes", F32, 18),
)
"""As many rows as the length less one: every cut is tried there, each in a row of its own."""

GRADIENT_CASES = (
    Case((31, 1, 32, 8, 8), "training", F32, 21),
    Case((99, 1, 100, 8, 8), "unit", F64, 22),
    Case((64, 1, 127, 16, 16), "training", F32, 23),
    Case((2, 2, 256, 16, 16), "repeats", F32, 24),
    Case((63, 1, 64, 8, 8), "training", F32, 25, chunk_size=16),
)

PREFIX_CASES = (
    Case((2, 2, 100, 16, 16), "unit", F64, 51),
    Case((2, 1, 127, 16, 16), "training", F32, 52),
    Case((2, 1, 100, 16, 16), "training", F32, 53, chunk_size=16),
)

BATCHES = (16, 64)
CHEAP = 2**19
"""Numbers in one input."""

CHUNK_SIZES = {case.chunk_size for case in (*CASES, *GRADIENT_CASES, *PREFIX_CASES)}


def _at(refused: Collection[int], *cases: Case) -> Iterator[Case]:
    """The cases whose chunk size the kernel takes."""
    return (case for case in cases if case.chunk_size not in refused)


def check_causality(bench: Bench, shapes: tuple[TaskShape, ...] = (), refused: Collection[int] = ()) -> Finding:
    """Outputs before a cut do not move when everything after it is drawn anew. shapes: of the tasks to be trained.

    refused: chunk sizes that the kernel does not take.
    """
    for case in _at(refused, *CASES, *map(_task_case, range(len(shapes)), shapes)):
        for grad in (False, True):
            if finding := _forward(bench.sized(case), case, grad=grad):
                return finding
    for case in _at(refused, *GRADIENT_CASES):
        if finding := _through_gradients(bench.sized(case), case):
            return finding
    return passed("causality", "no output before a cut depends on what comes after it")


def _task_case(index: int, task: TaskShape) -> Case:
    """A task's shape with as many rows as one trains or scores with, in turn, as long as that is cheap."""
    B, H, L, Dk, Dv = task.shape
    rows = BATCHES[index % len(BATCHES)]
    B = rows if rows * H * L * Dk <= CHEAP else B
    return Case((B, H, L, Dk, Dv), "training", F32, 40 + index, task.chunk_size)


def cuts_of(case: Case) -> Tensor:
    """A cut for each row: all there are where the rows suffice, else spread over the length by the seed."""
    B, _, L, _, _ = case.shape
    order = torch.randperm(L - 1, generator=torch.Generator().manual_seed(case.seed)) + 1
    return order.repeat(1 + B // (L - 1))[:B].sort().values


def _forward(bench: Bench, case: Case, *, grad: bool) -> Finding | None:
    past, cuts = bench.draw(case), cuts_of(case)
    resampled = splice(past, bench.draw(case, offset=1), cuts)
    one = bench.forward(past, grad=grad)
    other = bench.forward(resampled, grad=grad)
    for reply in (one, other):
        bench.client.release(reply.call)
    moved = differences(one.o, other.o).masked_fill(~before(cuts, one.o), 0.0)
    if not moved.any():
        return None
    tolerance = bench.tolerance(past, one.o)
    if float(moved.max()) <= tolerance:
        return None
    row, position = _first(moved > tolerance)
    at = float(moved.max())
    message = f"output at position {position} changes when what comes from position {int(cuts[row])} on does"
    evidence = {"cut": int(cuts[row]), "position": position, "max_abs": at, "tolerance": tolerance, "grad": grad}
    return failed("causality", f"{message} (max |Δ| {at:.2g})", case.evidence() | evidence)


def _through_gradients(bench: Bench, case: Case) -> Finding | None:
    inputs, cuts = bench.draw(case), cuts_of(case)
    reply = bench.forward(inputs, grad=True)
    weights = torch.randn(reply.o.shape, generator=torch.Generator().manual_seed(case.seed), dtype=case.dtype)
    grads = bench.client.backward(reply.call, {"o": weights.masked_fill(~before(cuts, reply.o), 0.0)}, inputs)
    bench.client.release(reply.call)
    loosest = 1e-5 if case.dtype is F32 else 1e-10
    for name, grad in zip(bench.signature.inputs, grads, strict=True):
        if grad is None:
            continue
        late = grad.double().abs().nan_to_num(nan=float("inf")).masked_fill(before(cuts, grad), 0.0)
        if float(late.max()) > loosest * largest(grad):
            row, position = _first(late == late.max())
            message = f"the gradient of outputs before {int(cuts[row])} reaches {name} at position {position}"
            evidence = {"cut": int(cuts[row]), "position": position, "max_abs": float(late.max()), "input": name}
            return failed("causality", f"{message} ({float(late.max()):.2g})", case.evidence() | evidence)
    return None


def _first(mask: Tensor) -> tuple[int, int]:
    """Row and position of the first entry that is set."""
    row, _, position, *_ = mask.nonzero()[0].tolist()
    return row, position


def check_prefix(bench: Bench, refused: Collection[int] = ()) -> Finding:
    """A run on the first positions gives the first outputs of the whole run."""
    for case in _at(refused, *PREFIX_CASES):
        bench = bench.sized(case)
        inputs = bench.draw(case)
        whole = bench.o(inputs)
        tolerance = bench.tolerance(inputs, whole)
        for cut in (1, 5, 31, 32, 33, 50, 64, 65, 96, 99):
            part = bench.o(tuple(x[:, :, :cut] for x in inputs))
            gap = differences(part, whole[:, :, :cut])
            if float(gap.max()) > tolerance:
                position = _first(gap == gap.max())[1]
                message = (
                    f"the first {cut} positions alone give another output at {position} than as part of {case.shape[2]}"
                )
                evidence = {"cut": cut, "position": position, "max_abs": float(gap.max()), "tolerance": tolerance}
                return failed("prefix", f"{message} (max |Δ| {float(gap.max()):.2g})", case.evidence() | evidence)
    return passed("prefix", "a truncated run equals the prefix of the full run")
