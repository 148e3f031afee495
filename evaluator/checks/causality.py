"""Causality: what comes after a cut, resampled, changes nothing before it, neither forward nor through gradients."""

import math
from collections.abc import Collection

import torch
from torch import Tensor

from evaluator.checks.bench import Bench, Case, differences, largest, loosest_of, resolution_of, taken, worst
from evaluator.checks.findings import failed, message_and_evidence, passed, warned
from evaluator.checks.inputs import CHECKED, TaskShape, before, perturbed, splice
from evaluator.outcomes import Finding
from evaluator.sandbox import VariantFailed

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

ROUNDINGS = 16.0
"""How many times the rounding that was measured still counts as rounding: an FFT's is met 5 times at most."""
OBVIOUS = {torch.float64: 1e-10, torch.float32: 1e-5}
"""From what share of the largest gradient on one is no rounding, whatever rounding is."""
FAINT = 1e-3
"""Of the rounding of a typical gradient: what is less is none."""

UNNORMALISED = (
    Case((63, 1, 64, 8, 8), "unnormalised", F64, 26),
    Case((39, 1, 40, 8, 8), "unnormalised", F32, 27),
)
"""Short, since a delta rule grows with each position there."""

BATCHES = (16, 64)
CHEAP = 2**19
"""Numbers in one input."""

CHUNK_SIZES = {case.chunk_size for case in (*CASES, *GRADIENT_CASES)}


def check_causality(bench: Bench, shapes: tuple[TaskShape, ...] = (), refused: Collection[int] = ()) -> Finding:
    """Outputs before a cut do not move when everything after it is drawn anew. shapes: of the tasks to be trained.

    refused: chunk sizes that the kernel does not take.
    """
    for case in taken(refused, *CASES, *map(_task_case, range(len(shapes)), shapes)):
        if finding := _forward(bench.sized(case), bench.suited(case)):
            return finding
    for case in taken(refused, *GRADIENT_CASES):
        if finding := _through_gradients(bench.sized(case), bench.suited(case)):
            return finding
    return _unnormalised(bench) or passed("causality", "no output before a cut depends on what comes after it")


def _unnormalised(bench: Bench) -> Finding | None:
    """A warning where a kernel leaks for long keys and queries only, which no mixer of archer's delivers."""
    for case in map(bench.suited, UNNORMALISED):
        try:
            if not bench.o(bench.draw(case)).isfinite().all():
                continue  # what grows out of all bounds shows nothing
            finding = _forward(bench, case)
            if finding and math.isinf(finding.evidence["max_abs"]):
                continue  # the other future did
        except VariantFailed as error:
            if error.failure.kind not in ("crash", "diverged"):
                raise
            message, evidence = message_and_evidence(error)
            return warned("causality", f"fails for keys and queries that are not of length 1: {message}", evidence)
        if finding:
            message = f"for keys and queries that are not of length 1, {finding.message}: here they always are"
            return warned("causality", message, finding.evidence)
    return None


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
    tolerance: Tensor | None = None
    for grad in (False, True):
        o, other = (_output(bench, inputs, grad=grad) for inputs in (past, resampled))
        moved = _moved(o, other, cuts)
        if not moved.any():
            continue
        tolerance = rounding(bench, past, o, cuts) if tolerance is None else tolerance
        if not (moved > tolerance).any():
            continue
        row, position, at, allowed = worst(moved, tolerance)
        message = f"output at position {position} changes when what comes from position {int(cuts[row])} on does"
        evidence = {"cut": int(cuts[row]), "position": position, "max_abs": at, "tolerance": allowed, "grad": grad}
        return failed("causality", f"{message} (max |Δ| {at:.2g})", case.evidence() | evidence)
    return None


def rounding(bench: Bench, inputs: tuple[Tensor, ...], o: Tensor, cuts: Tensor) -> Tensor:
    """How far outputs before the cuts may move by rounding alone, `[B, H, L, 1]`, whatever comes after the cuts.

    Measured at each position, with the future rounded differently, and with all of it: the first moves what is mixed
    and cancels again, as in an FFT, the second what is scaled by something that the whole sequence shares.
    """
    resolution = resolution_of(o)
    nudged = [perturbed(inputs, resolution, seed) for seed in (1, 2)]
    whole = [_apart(bench, each, o) for each in nudged]
    future = [_apart(bench, splice(inputs, each, cuts), o) for each in nudged]
    # the smaller of two where the past is rounded too: a tie that flips in a top-k excuses no leak
    spread = torch.maximum(torch.stack(whole).amin(0), torch.stack(future).amax(0))
    scale = o.double().abs().nan_to_num(0.0, 0.0, 0.0).amax(-1, keepdim=True)
    loosest = loosest_of(resolution) * scale.clamp(min=float(scale.median()))
    return torch.minimum(ROUNDINGS * (spread + resolution * scale), loosest)


def _apart(bench: Bench, inputs: tuple[Tensor, ...], o: Tensor) -> Tensor:
    return differences(bench.o(inputs), o).amax(-1, keepdim=True)


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
    weights = torch.randn(inputs[2].shape, generator=torch.Generator().manual_seed(case.seed), dtype=case.dtype)
    grads = _of_the_past(bench, inputs, weights, cuts)
    again: list[list[Tensor | None]] = []
    resolution = torch.finfo(case.dtype).eps
    for index, (name, grad) in enumerate(zip(bench.contract.inputs, grads, strict=True)):
        if grad is None:
            continue
        early, sizes = before(cuts, grad), grad.double().abs().nan_to_num(nan=float("inf"))
        late = sizes.masked_fill(early, 0.0)
        if not late.any():
            continue
        leaks = late > OBVIOUS[case.dtype] * largest(grad)
        if not leaks.any():  # rounding, or a leak that one large gradient hides?
            again = again or [_of_the_past(bench, *_rounded(inputs, weights, seed), cuts) for seed in (1, 2, 3)]
            spread = torch.stack([differences(grad, x) for trial in again if (x := trial[index]) is not None]).amax(0)
            typical = float(sizes.masked_select(early.expand_as(sizes)).median())
            leaks = late > ROUNDINGS * _spread_late(spread, early) + FAINT * resolution * typical
        if leaks.any():
            row, position = _first(late == late[leaks].max())
            message = f"the gradient of outputs before {int(cuts[row])} reaches {name} at position {position}"
            evidence = {"cut": int(cuts[row]), "position": position, "max_abs": float(late.max()), "input": name}
            return failed("causality", f"{message} ({float(late.max()):.2g})", case.evidence() | evidence)
    return None


def _rounded(inputs: tuple[Tensor, ...], weights: Tensor, seed: int) -> tuple[tuple[Tensor, ...], Tensor]:
    """Inputs and weights of a gradient as another rounding could have made them."""
    *others, weight = perturbed((*inputs, weights), torch.finfo(weights.dtype).eps, seed)
    return tuple(others), weight


def _spread_late(spread: Tensor, early: Tensor) -> Tensor:
    """The largest spread of a gradient `[B, H, L]` or `[B, H, L, D]` at each position after the cut.

    Nowhere less than what is typical there: few numbers at a position may agree by chance.
    """
    if spread.dim() == 3:
        return _spread_late(spread[..., None], early[..., None])[..., 0]
    widest = spread.amax(-1, keepdim=True)
    typical = widest.masked_fill(early, float("nan")).nanmedian(2, keepdim=True).values
    return torch.maximum(widest, typical.nan_to_num(0.0))


def _of_the_past(bench: Bench, inputs: tuple[Tensor, ...], weights: Tensor, cuts: Tensor) -> list[Tensor | None]:
    """Gradients of the outputs before the cuts, each weighted at random."""
    reply = bench.forward(inputs, grad=True)
    return bench.backward(reply, {"o": weights.masked_fill(~before(cuts, reply.o), 0.0)}, inputs)


def _first(mask: Tensor) -> tuple[int, int]:
    """Row and position of the first entry that is set."""
    row, _, position, *_ = mask.nonzero()[0].tolist()
    return row, position
