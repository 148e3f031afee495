"""Independence: no sequence depends on others in its batch, and no head on other heads."""

import torch

from evaluator.checks.bench import Bench, Case, beyond, largest
from evaluator.checks.findings import failed, passed
from evaluator.outcomes import Finding

F32, F64 = torch.float32, torch.float64
STRAY = 1e-10
"""Of a gradient: what may be rounding where there should be none, and mostly is none."""


def check_batch(bench: Bench) -> Finding:
    """No sequence depends on others in its batch, nor on its place among them."""
    for case in (Case((4, 2, 64, 16, 16), "unit", F64, 111), Case((8, 1, 100, 16, 16), "training", F32, 112)):
        case = bench.suited(case)
        inputs, others = bench.draw(case), bench.draw(case, offset=1)
        o = bench.o(inputs)
        B = case.shape[0]
        order = torch.randperm(B, generator=torch.Generator().manual_seed(case.seed))
        half = torch.arange(B) < B // 2
        mixed = tuple(
            torch.where(half.view(-1, *[1] * (x.dim() - 1)), x, y) for x, y in zip(inputs, others, strict=True)
        )
        trials = {
            "other sequences in its batch": (bench.o(mixed)[half], half),
            "its place in the batch": (bench.o(tuple(x[order] for x in inputs)), order),
            "the size of the batch": (bench.o(tuple(x[:1] for x in inputs)), torch.arange(1)),
        }
        for what, (got, rows) in trials.items():
            gap = 0.0 if torch.equal(got, o[rows]) else beyond(got, o[rows], bench.tolerance(inputs, o)[rows])
            if gap:
                return failed(
                    "batch", f"a sequence's output depends on {what} ({gap:.2g})", case.evidence() | {"max_abs": gap}
                )
    return passed("batch", "sequences of a batch do not affect each other")


def check_heads(bench: Bench) -> Finding:
    """No head depends on another head's inputs, nor does its gradient reach them."""
    for case in (Case((2, 4, 64, 32, 32), "unit", F64, 121), Case((2, 8, 100, 16, 16), "training", F32, 122)):
        case = bench.suited(case)
        inputs, others = bench.draw(case), bench.draw(case, offset=1)
        o = bench.o(inputs)
        for kept in range(case.shape[1]):
            one = torch.arange(case.shape[1]) == kept
            mixed = tuple(
                torch.where(one.view(1, -1, *[1] * (x.dim() - 2)), x, y) for x, y in zip(inputs, others, strict=True)
            )
            got = bench.o(mixed)
            if torch.equal(got[:, kept], o[:, kept]):
                continue
            if gap := beyond(got[:, kept], o[:, kept], bench.tolerance(inputs, o)[:, kept]):
                message = f"the output of head {kept} depends on the inputs of other heads ({gap:.2g})"
                return failed("heads", message, case.evidence() | {"head": kept, "max_abs": gap})
    return _head_gradients(bench, bench.suited(Case((2, 3, 50, 16, 16), "unit", F64, 123))) or passed(
        "heads", "heads do not affect each other"
    )


def _head_gradients(bench: Bench, case: Case) -> Finding | None:
    inputs = bench.draw(case)
    reply = bench.forward(inputs, grad=True)
    only = torch.zeros_like(reply.o)
    only[:, 0] = 1.0
    grads = bench.backward(reply, {"o": only}, inputs)
    for name, grad in zip(bench.contract.inputs, grads, strict=True):
        if grad is not None and (astray := largest(grad[:, 1:])) > STRAY * largest(grad):
            message = f"the gradient of head 0 reaches {name} of other heads ({astray:.2g})"
            return failed("heads", message, case.evidence() | {"input": name, "max_abs": astray})
    return None
