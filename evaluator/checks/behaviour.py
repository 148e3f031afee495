"""Form and manners of a kernel: what it returns, for which inputs, and that it leaves no trace in them or in itself."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from evaluator.checks.bench import Bench, Case, beyond
from evaluator.checks.findings import failed, passed, warned
from evaluator.checks.inputs import Shape, TaskShape
from evaluator.outcomes import Finding
from evaluator.sandbox import VariantFailed
from variants.contract import CHUNK_SIZE

F32, F64 = torch.float32, torch.float64
LENGTHS = (1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 100, 127, 128, 256, 517)


def check_shapes(bench: Bench) -> Finding:
    """Shapes and dtypes of o and S as the contract has them."""
    for shape, dtype in (((2, 2, 64, 16, 16), F32), ((1, 1, 96, 8, 8), F64), ((3, 2, 32, 32, 32), F32)):
        case = Case(shape, dtype=dtype, seed=61)
        reply = bench.raw(bench.draw(case))
        if problem := misshapen(reply.o, reply.S, shape, dtype):
            return failed("shapes", problem, case.evidence())
    unequal = Case((2, 1, 64, 16, 24), seed=62)
    return _optional(bench, unequal, "shapes", "Dk = Dv only") or _half_precision(bench)


def misshapen(o: Tensor, S: Tensor, shape: Shape, dtype: torch.dtype) -> str:
    """What is wrong with the form of an output; empty if nothing is."""
    B, H, L, Dk, Dv = shape
    if tuple(o.shape) != (B, H, L, Dv):
        return f"o has shape {tuple(o.shape)}, not [B, H, L, Dv] = {(B, H, L, Dv)}"
    if tuple(S.shape) != (B, H, Dk, Dv):
        return f"S has shape {tuple(S.shape)}, not [B, H, Dk, Dv] = {(B, H, Dk, Dv)}"
    if o.dtype != dtype:
        return f"o has dtype {o.dtype} for inputs of {dtype}"
    return "" if S.dtype.is_floating_point else f"S has dtype {S.dtype}"


def _half_precision(bench: Bench) -> Finding:
    case = Case((1, 2, 64, 16, 16), dtype=torch.bfloat16, seed=63)
    return _optional(bench, case, "shapes", "float32 and float64 only") or passed(
        "shapes", "o and S have the right shapes and dtypes"
    )


def _optional(bench: Bench, case: Case, check: str, limit: str) -> Finding | None:
    """A warning where the kernel fails on something that no task needs."""
    try:
        reply = bench.raw(bench.draw(case))
    except VariantFailed as error:
        if error.failure.kind != "crash":
            raise
        return warned("shapes", f"works for {limit}: {error.failure.message}", case.evidence())
    problem = misshapen(reply.o, reply.S, case.shape, case.dtype)
    return warned("shapes", f"works for {limit}: {problem}", case.evidence()) if problem else None


def refused_sizes(bench: Bench, sizes: Iterable[int]) -> dict[int, str]:
    """Chunk sizes other than the default at which the kernel crashes, with what it says."""
    refused = {}
    for size in sorted(set(sizes) - {CHUNK_SIZE}):
        case = Case((1, 1, 3 * size, 8, 8), seed=72, chunk_size=size)
        try:
            bench.sized(case).raw(bench.draw(case))
        except VariantFailed as error:
            if error.failure.kind != "crash":
                raise
            refused[size] = error.failure.message
    return refused


def check_lengths(bench: Bench, refused: Mapping[int, str]) -> Finding:
    """Any length works; other chunk sizes should."""
    for length in LENGTHS:
        case = Case((2, 2, length, 8, 8), seed=71)
        try:
            reply = bench.raw(bench.draw(case))
        except VariantFailed as error:
            if error.failure.kind != "crash":
                raise
            return failed("lengths", f"fails at length {length}: {error.failure.message}", case.evidence())
        if problem := misshapen(reply.o, reply.S, case.shape, case.dtype):
            return failed("lengths", f"at length {length}, {problem}", case.evidence())
    if refused:
        message = "; ".join(f"chunk size {size}: {said}" for size, said in refused.items())
        return warned("lengths", f"protocols with other chunk sizes cannot train this: {message}", {})
    return passed("lengths", f"works at {len(LENGTHS)} lengths from {LENGTHS[0]} to {LENGTHS[-1]}")


def check_finite(bench: Bench) -> Finding:
    """Finite outputs and gradients for everything that a mixer delivers."""
    for index, regime in enumerate(("unit", "training", "loud", "repeats")):
        case = Case((2, 2, 256, 16, 16), regime, F32, 81 + index)
        inputs = bench.draw(case)
        reply = bench.forward(inputs, grad=True)
        grads = bench.client.backward(reply.call, {"o": torch.ones_like(reply.o)}, inputs)
        bench.client.release(reply.call)
        named = zip(bench.contract.inputs, grads, strict=True)
        for name, x in (
            ("o", reply.o),
            ("S", reply.S),
            *((f"the gradient of {n}", g) for n, g in named if g is not None),
        ):
            if not x.isfinite().all():
                bad = int((~x.isfinite()).sum())
                return failed("finite", f"{name} has {bad} of {x.numel()} entries that are not finite", case.evidence())
    return passed("finite", "outputs and gradients are finite")


def check_mutation(bench: Bench, shapes: Iterable[TaskShape] = ()) -> Finding:
    """The inputs come back as they went in, with and without gradients. shapes: of the tasks to be trained."""
    shapes = (TaskShape((2, 2, 64, 16, 16), CHUNK_SIZE), TaskShape((2, 1, 100, 16, 16), CHUNK_SIZE), *shapes)
    for grad in (False, True):
        for shape, chunk_size in shapes:
            case = Case(shape, seed=91, chunk_size=chunk_size)
            inputs = bench.draw(case)
            reply = bench.sized(case).forward(inputs, grad=grad, echo=True)
            bench.client.release(reply.call)
            for name, sent, left in zip(bench.contract.inputs, inputs, reply.inputs, strict=True):
                if sent.shape != left.shape or not torch.equal(sent, left):
                    return failed("mutation", f"the kernel changes its input {name}", case.evidence() | {"input": name})
            if reply.random:
                message = "the kernel draws from the global random generator"
                return failed("determinism", message, case.evidence())
    return passed("mutation", "inputs are left as they were")


def check_determinism(bench: Bench, fresh: Bench) -> Finding:
    """The same inputs give the same outputs, whatever was computed before, in this process and in a fresh one."""
    cases = [
        Case((2, 2, 100, 16, 16), "unit", F32, 101),
        Case((1, 1, 64, 16, 16), "unit", F64, 102),
        Case((4, 1, 127, 8, 8), "training", F32, 103),
    ]
    drawn = [bench.draw(case) for case in cases]
    first = [bench.forward(inputs) for inputs in drawn]
    for again, client in ((1, bench.client), (2, bench.client), (3, fresh.client), (4, bench.client)):
        order = list(zip(cases, drawn, first, strict=True))
        for case, inputs, reply in reversed(order) if again % 2 else order:
            repeat = client.forward(inputs, grad=again == 2)
            client.release(repeat.call)
            if torch.equal(repeat.o, reply.o) and torch.equal(repeat.S, reply.S):
                continue
            gap = beyond(repeat.o, reply.o, bench.tolerance(inputs, reply.o))
            gap = max(gap, beyond(repeat.S, reply.S, bench.tolerance_of_state(inputs, reply.S)))
            if gap:
                where = "a fresh process" if client is fresh.client else "a repeated call"
                evidence = case.evidence() | {"max_abs": gap}
                return failed("determinism", f"{where} gives another output for the same inputs ({gap:.2g})", evidence)
    return passed("determinism", "same inputs, same outputs, call after call and in a fresh process")
