"""Form and manners of a kernel: what it returns, for which inputs, and that it leaves no trace in them or in itself."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from evaluator.checks.bench import Bench, Case, beyond
from evaluator.checks.findings import failed, message_and_evidence, one_line, passed, warned
from evaluator.checks.inputs import Shape, TaskShape
from evaluator.checks.precision import Precision
from evaluator.checks.suspects import OUTGROWN
from evaluator.outcomes import Finding
from evaluator.sandbox import VariantFailed
from variants.contract import CHUNK_SIZE

F32, F64 = torch.float32, torch.float64
REQUIRED = (
    Case((2, 2, 64, 16, 16), seed=61),
    Case((1, 1, 96, 8, 8), dtype=F64, seed=61),
    Case((3, 2, 32, 32, 32), seed=61),
)
"""What every kernel does, float64 where it computes in that."""
LENGTHS = (1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 100, 127, 128, 256, 517)


def check_shapes(bench: Bench, measured: Precision) -> Finding:
    """Shapes and dtypes of o and S as the contract has them, in float32; what else a kernel cannot do is a warning."""
    for case in map(bench.suited, REQUIRED):
        reply = bench.raw(bench.draw(case))
        if problem := misshapen(reply.o, reply.S, case.shape, case.dtype):
            return failed("shapes", problem, case.evidence())
    limits = {"float64": (measured.limit, measured.evidence)} if measured.limit else {}
    limits |= _limit(bench, "bfloat16", Case((1, 2, 64, 16, 16), dtype=torch.bfloat16, seed=63))
    limits |= _limit(bench, "Dv other than Dk", Case((2, 1, 64, 16, 24), seed=62))
    limits |= _other_devices(bench)
    if limits:
        message = "; ".join(f"{what}: {said}" for what, (said, _) in limits.items())
        evidence = {what: evidence for what, (_, evidence) in limits.items()}
        return warned("shapes", f"right in float32, which is all that is needed; not fit for {message}", evidence)
    return passed("shapes", "o and S have the right shapes and dtypes")


Limits = dict[str, tuple[str, Mapping[str, object]]]
"""What a kernel cannot do that no task needs: what is wrong, and evidence."""


def _limit(bench: Bench, what: str, case: Case) -> Limits:
    try:
        reply = bench.raw(bench.draw(case))
    except VariantFailed as error:
        if error.failure.kind != "crash":
            raise
        return {what: (one_line(error), message_and_evidence(error)[1])}
    problem = misshapen(reply.o, reply.S, case.shape, case.dtype)
    return {what: (problem, case.evidence())} if problem else {}


def _other_devices(bench: Bench) -> Limits:
    """What keeps the kernel on the CPU: a tensor that it makes there, whatever device its inputs are on."""
    case = Case((1, 2, 128, 16, 16), seed=64)
    line, problem = bench.client.locate("device", bench.draw(case), chunk_size=case.chunk_size)
    where = f" (line {line} of the variant)" if line else ""
    return {"other devices than the CPU": (f"{problem}{where}", {"line": line})} if problem else {}


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
    """Any length works, if need be with padding; other chunk sizes should."""
    fed: dict[int, int] = {}
    for length in LENGTHS:
        case = Case((2, 2, length, 8, 8), seed=71)
        try:
            reply = bench.raw(bench.draw(case))
        except VariantFailed as error:
            if error.failure.kind != "crash":
                raise
            message, evidence = message_and_evidence(error)
            return failed("lengths", f"fails at length {length}: {message}", case.evidence() | evidence)
        if problem := misshapen(reply.o, reply.S, case.shape, case.dtype):
            return failed("lengths", f"at length {length}, {problem}", case.evidence())
        if reply.fed:
            fed[length] = reply.fed
    limits = []
    if fed:
        example = f"{min(fed)} as {fed[min(fed)]}"
        limits.append(
            f"takes whole chunks only: called with padding (beta and g 0) and cropped at {len(fed)} of {len(LENGTHS)} "
            f"lengths ({example}), in training and scoring too"
        )
    if refused:
        message = "; ".join(f"chunk size {size}: {said}" for size, said in refused.items())
        limits.append(f"protocols with other chunk sizes cannot train this: {message}")
    if limits:
        evidence = {"padded": {str(length): n for length, n in fed.items()}} if fed else {}
        return warned("lengths", "; ".join(limits), evidence)
    return passed("lengths", f"works at {len(LENGTHS)} lengths from {LENGTHS[0]} to {LENGTHS[-1]}")


LARGE = 1e15
"""A number on its way to outgrow float32; nothing honest is as large."""


def check_finite(bench: Bench) -> Finding:
    """Finite outputs and gradients for everything that a mixer delivers."""
    for index, regime in enumerate(("unit", "training", "loud", "repeats")):
        case = Case((2, 2, 256, 16, 16), regime, F32, 81 + index)
        inputs = bench.draw(case)
        reply = bench.forward(inputs, grad=True)
        grads = bench.backward(reply, {"o": torch.ones_like(reply.o)}, inputs)
        named = zip(bench.contract.inputs, grads, strict=True)
        for name, x in (
            ("o", reply.o),
            ("S", reply.S),
            *((f"the gradient of {n}", g) for n, g in named if g is not None),
        ):
            if not x.isfinite().all():
                return failed("finite", f"{name} {_not_finite(x, name)}", case.evidence())
    return passed("finite", "outputs and gradients are finite")


def _not_finite(x: torch.Tensor, name: str) -> str:
    """How much of `x` is not finite and, of outputs `[B, H, L, Dv]`, from where on."""
    bad = ~x.isfinite()
    told = f"has {int(bad.sum())} of {x.numel()} entries that are not finite"
    told += f" ({OUTGROWN})" if x.isinf().any() or bool((x.nan_to_num().abs() > LARGE).any()) else " (NaN)"
    return told + (f", the first at position {int(bad.any(0).any(0).any(-1).nonzero()[0])}" if name == "o" else "")


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
                    return failed("mutation", *_changed(bench, case, name))
            if reply.random:
                message = "the kernel draws from the global random generator"
                return failed("determinism", message, case.evidence())
    return passed("mutation", "inputs are left as they were")


def _changed(bench: Bench, case: Case, name: str) -> tuple[str, dict[str, object]]:
    """That a kernel changes an input, and where."""
    line, operation = bench.client.locate("change", bench.draw(case), chunk_size=case.chunk_size)
    where = f" in line {line} ({operation})" if line else ""
    evidence = case.evidence() | {"input": name, "line": line or None, "device": bench.client.device}
    return f"the kernel changes its input {name}{where}; work on a copy, as in {name} = {name} * 2", evidence


def check_determinism(bench: Bench, fresh: Bench) -> Finding:
    """The same inputs give the same outputs, whatever was computed before, in this process and in a fresh one."""
    cases = [
        Case((2, 2, 100, 16, 16), "unit", F32, 101),
        Case((1, 1, 64, 16, 16), "unit", F64, 102),
        Case((4, 1, 127, 8, 8), "training", F32, 103),
    ]
    cases = [bench.suited(case) for case in cases]
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
