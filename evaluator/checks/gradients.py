"""Gradients: that they reach the inputs, and that they are those of the output."""

import ast

import torch
from torch import Tensor

from evaluator.checks.bench import Bench, Case, beyond
from evaluator.checks.findings import failed, passed, warned
from evaluator.outcomes import Finding

F64 = torch.float64
DIRECTIONS = 5
TOLERANCE = 2e-2
"""Relative error of a directional derivative that is called wrong: finite differences are good to 1e-5 here."""


def check_gradients(bench: Bench, tree: ast.Module) -> Finding:
    """A gradient reaches every input that the output depends on, and agrees with finite differences."""
    case = bench.suited(Case((2, 2, 70, 16, 16), "training", F64, 131))
    inputs = bench.draw(case)
    reply = bench.forward(inputs, grad=True)
    weights = torch.randn(reply.o.shape, generator=torch.Generator().manual_seed(case.seed), dtype=F64)
    weights = weights.to(case.dtype)
    grads = bench.backward(reply, {"o": weights}, inputs)
    reached = {name: grad for name, grad in zip(bench.contract.inputs, grads, strict=True) if _is_some(grad)}
    unused = [name for name in bench.contract.inputs if name not in reached and not _matters(bench, case, name)]
    missing = [name for name in bench.contract.inputs if name not in reached and name not in unused]
    if missing:
        message = f"no gradient reaches {', '.join(missing)}, though the output depends on it"
        return failed("gradients", message, case.evidence() | {"inputs": missing})
    if (unused and "v" in unused) or len(unused) == len(inputs):
        return failed("gradients", "the output does not depend on v", case.evidence() | {"inputs": unused})
    if finding := _against_differences(bench, case, inputs, grads, weights, by_hand=_defines_backward(tree)):
        return finding
    if unused:
        return warned(
            "gradients", f"the output does not depend on {', '.join(unused)}", case.evidence() | {"inputs": unused}
        )
    return passed("gradients", f"gradients reach {', '.join(reached)} and agree with finite differences")


def _is_some(grad: Tensor | None) -> bool:
    return grad is not None and bool((grad != 0).any())


def _matters(bench: Bench, case: Case, name: str) -> bool:
    """Whether the output changes with this input."""
    inputs, others = bench.draw(case), bench.draw(case, offset=1)
    index = bench.contract.inputs.index(name)
    changed = (*inputs[:index], others[index], *inputs[index + 1 :])
    o = bench.o(inputs)
    return beyond(bench.o(changed), o, bench.tolerance(inputs, o)) > 0


def _against_differences(
    bench: Bench, case: Case, inputs: tuple[Tensor, ...], grads: list[Tensor | None], weights: Tensor, *, by_hand: bool
) -> Finding | None:
    """Compare per input, along random directions; the median counts, so that a kink in the way does no harm.

    A kernel that stops a gradient on purpose differs from its differences and is honest: that warns. One that spells
    out its backward pass by hand has no such excuse.
    """
    step = bench.step_size(inputs)
    for index, name in enumerate(bench.contract.inputs):
        errors = [_error(bench, inputs, grads, weights, index, step, seed) for seed in range(DIRECTIONS)]
        error = float(torch.tensor(errors).median())
        if error <= TOLERANCE:
            continue
        evidence = case.evidence() | {"input": name, "relative_error": error}
        message = f"the gradient of {name} is not that of the output (relative error {error:.2g})"
        if by_hand:
            return failed("gradients", message, evidence)
        return warned("gradients", f"{message}: something in the kernel stops or rounds it", evidence)
    return None


def _error(
    bench: Bench,
    inputs: tuple[Tensor, ...],
    grads: list[Tensor | None],
    weights: Tensor,
    index: int,
    step: float,
    seed: int,
) -> float:
    """Relative error of one directional derivative, against the size that it typically has."""
    x, grad = inputs[index], grads[index]
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=F64).to(x.dtype)
    ends = [bench.o((*inputs[:index], x + sign * step * direction, *inputs[index + 1 :])) for sign in (1, -1)]
    measured = float(((ends[0] - ends[1]).double() * weights).sum()) / (2 * step)
    told = float((grad * direction).sum()) if grad is not None else 0.0
    typical = float(grad.norm()) if grad is not None else 0.0
    return abs(measured - told) / max(typical, abs(measured), 1e-300)


def _defines_backward(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "backward" for node in ast.walk(tree))
