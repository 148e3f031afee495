"""Causality: what comes after a cut, resampled, changes nothing before it, neither forward nor through gradients."""

from collections.abc import Collection

import torch
from torch import Tensor

from evaluator.checks.bench import SLACK, Bench, Case, differences, largest, taken, worst
from evaluator.checks.findings import failed, passed
from evaluator.checks.inputs import CHECKED, TaskShape, before, perturbed, splice
from evaluator.outcomes import Finding

F32, F64 = torch.float32, torch.float64
CASES = (
    Case((31, 1, 32, 8, 8), "unit", F64, 1),
    Case((99, 1, 100, 8, 8), "unit", F32, 2),
    Case((96, 1, 97, 8, 8), "training", F64, 3),
    Case((63, 1, 64, 16, 16), "small", F64, 4),
    Case((63, 1, 64, 8, 8), "loud", F32, 5),
    Case((69, 1, 70, 16, 16), "long", F64, 6),
    Case((126, 1, 127, 8, 8), "repeats", F32, 7),
    Case((64, 1, 256, 16, 16), "training", F32, 8),
    Case((2, 1, 256, 128, 128), "training", F32, 9),
    Case((2, 8, 128, 16, 16), "training", F32, 10),
    Case((2, 3, 600, 8, 8), "unit", F32, 11),
    Case((4, 2, 33, 16, 16), "small", F32, 12),
    Case((1, 1, 7, 16, 16), "unit", F32, 13),
    Case((63, 1, 64, 8, 8), "training", F32, 14, chunk_size=16),
    Case((99, 1, 100, 8, 8), "unit", F64, 15, chunk_size=64),
    Case((1, 1, 256, 16, 16), "training", F32, 16),
    Case((63, 1, 64, 8, 8), "huge", F64, 17),
    Case((63, 1, 64, 8, 8), "holes", F32, 18),
    Case((16, 1, 64, 32, 32), "alike", F32, 19),
    Case((16, 1, 63, 32, 32), "early", F32, 20, chunk_size=16),
)
"""As many rows as the length less one: every cut is tried there, each in a row of its own."""

GRADIENT_CASES = (
    Case((31, 1, 32, 8, 8), "early", F32, 21),
    Case((99, 1, 100, 8, 8), "unit", F64, 22),
    Case((42, 1, 127, 16, 16), "training", F32, 23),
    Case((2, 2, 256, 16, 16), "repeats", F32, 24),
    Case((63, 1, 64, 8, 8), "training", F32, 25, chunk_size=16),
)

BATCHES = (16, 64)
CHEAP = 2**19
"""Numbers in one input."""

CHUNK_SIZES = {case.chunk_size for case in (*CASES, *GRADIENT_CASES)}


def check_causality(bench: Bench, shapes: tuple[TaskShape, ...] = (), refused: Collection[int] = ()) -> Finding:
    """Outputs before a cut do not move when everything after it is drawn anew. shapes: of the tasks to be trained.

    refused: chunk sizes that the kernel does not take.
    """
    for case in taken(refused, *CASES, *map(_task_case, range(len(shapes)), shapes)):
        if finding := _forward(bench.sized(case), case):
            return finding
    for case in taken(refused, *GRADIENT_CASES):
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


def _forward(bench: Bench, case: Case) -> Finding | None:
    """A leak with or without gradients: one run has them, the other has another future, so that either leak shows."""
    past, cuts = bench.draw(case), cuts_of(case)
    resampled = splice(past, another_future(bench, case, past), cuts)
    grad = bool(case.seed % 2)
    if not _moved(_output(bench, past, grad=grad), _output(bench, resampled, grad=not grad), cuts).any():
        return None
    for grad in (False, True):
        o = _output(bench, past, grad=grad)
        moved = _moved(o, _output(bench, resampled, grad=grad), cuts)
        if not moved.any() or not (moved > (tolerance := bench.tolerance(past, o))).any():
            continue
        row, position, at, allowed = worst(moved, tolerance)
        message = f"output at position {position} changes when what comes from position {int(cuts[row])} on does"
        evidence = {"cut": int(cuts[row]), "position": position, "max_abs": at, "tolerance": allowed, "grad": grad}
        return failed("causality", f"{message} (max |Δ| {at:.2g})", case.evidence() | evidence)
    return None


def another_future(bench: Bench, case: Case, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Inputs like these, drawn independently in every row: the next row's, where there is one and it shares nothing."""
    if case.shape[0] == 1 or CHECKED[case.regime].alike:
        return bench.draw(case, offset=1)
    return tuple(x.roll(1, 0) for x in inputs)


def _output(bench: Bench, inputs: tuple[Tensor, ...], *, grad: bool) -> Tensor:
    reply = bench.forward(inputs, grad=grad)
    bench.client.release(reply.call)
    return reply.o


def _moved(one: Tensor, other: Tensor, cuts: Tensor) -> Tensor:
    """How far each number of the outputs before the cuts moved."""
    early = before(cuts, one)
    if torch.equal(one.masked_fill(~early, 0.0), other.masked_fill(~early, 0.0)):
        return torch.zeros(1)
    return differences(one, other).masked_fill(~early, 0.0)


def _through_gradients(bench: Bench, case: Case) -> Finding | None:
    inputs, cuts = bench.draw(case), cuts_of(case)
    grads = _of_the_past(bench, case, inputs, cuts)
    again: list[list[Tensor | None]] = []
    loosest = 1e-5 if case.dtype is F32 else 1e-10
    for index, (name, grad) in enumerate(zip(bench.contract.inputs, grads, strict=True)):
        if grad is None:
            continue
        early, sizes = before(cuts, grad), grad.double().abs().nan_to_num(nan=float("inf"))
        late = sizes.masked_fill(early, 0.0)
        typical = float(sizes.masked_select(early.expand_as(sizes)).median())
        faint = 64 * torch.finfo(case.dtype).eps * typical
        leaks = late > loosest * largest(grad)
        if not leaks.any() and (late > faint).any():  # rounding, or a leak that one large gradient hides?
            again = again or [
                _of_the_past(bench, case, perturbed(inputs, torch.finfo(case.dtype).eps, seed), cuts) for seed in (1, 2)
            ]
            trials = [trial[index] for trial in again]
            spread = torch.stack([differences(grad, x) for x in trials if x is not None]).amin(0)
            leaks = (late > faint) & (late > SLACK * spread)
        if leaks.any():
            row, position = _first(late == late[leaks].max())
            message = f"the gradient of outputs before {int(cuts[row])} reaches {name} at position {position}"
            evidence = {"cut": int(cuts[row]), "position": position, "max_abs": float(late.max()), "input": name}
            return failed("causality", f"{message} ({float(late.max()):.2g})", case.evidence() | evidence)
    return None


def _of_the_past(bench: Bench, case: Case, inputs: tuple[Tensor, ...], cuts: Tensor) -> list[Tensor | None]:
    """Gradients of the outputs before the cuts, each weighted at random."""
    reply = bench.forward(inputs, grad=True)
    weights = torch.randn(reply.o.shape, generator=torch.Generator().manual_seed(case.seed), dtype=case.dtype)
    grads = bench.client.backward(reply.call, {"o": weights.masked_fill(~before(cuts, reply.o), 0.0)}, inputs)
    bench.client.release(reply.call)
    return grads


def _first(mask: Tensor) -> tuple[int, int]:
    """Row and position of the first entry that is set."""
    row, _, position, *_ = mask.nonzero()[0].tolist()
    return row, position
