"""Other ways to make the same training step, and its parts one by one."""

from collections.abc import Callable
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.speed.steps import Subject, subject
from benchmarks.speed.timing import interleaved
from evaluator.model.functional import causal_convolution, rms_norm, swiglu, unit_heads
from evaluator.model.linear import linear
from evaluator.tasks.names import TaskName
from evaluator.training import jobs

TASKS: tuple[TaskName, ...] = ("Context Recall", "Selective Copy", "Memorize")
Step = Callable[[], object]


def ways(rounds: int, heads: list[int]) -> None:
    """CPU-seconds of a step as archer trains, and with one choice made otherwise, in turns."""
    names = ("as archer trains", "whole batch at once", "layers in bfloat16", "kernel's products by oneDNN")
    print("| task | heads | " + " | ".join(names) + " |\n|---|---:|" + "---:|" * len(names))
    for task in TASKS:
        for count in heads:
            each = subject(task, count)
            found = interleaved(dict(zip(names, _other(each), strict=True)), rounds)
            print(f"| {task} | {count} | {' | '.join(f'{found[name]:.3f}' for name in names)} |", flush=True)
    print()


def _other(each: Subject) -> tuple[Step, ...]:
    def whole() -> None:
        with mock.patch.object(jobs, "PART_TOKENS", 2**40):
            each.ours()

    def by_onednn() -> None:
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        try:
            each.ours()
        finally:
            torch.backends.mkldnn.matmul.fp32_precision = "ieee"

    return each.ours, whole, each.half, by_onednn


def parts(rounds: int, tokens: int = 8192, length: int = 128, heads: int = 8, width: int = 128) -> None:
    """Milliseconds, forward and backward, of each part of a step that takes `tokens` at once, one by one."""
    batch, inner = tokens // length, 352
    x = (batch, length, width)
    of_heads, chunks = (batch, heads, length, width // heads), (batch, heads, length // 32, 32, width // heads)
    rows: list[tuple[str, Callable[..., Tensor], tuple[tuple[int, ...], ...], float]] = [
        ("projection to q, k, v", linear, ((tokens, width), (3 * width, width)), 6 * tokens * 3 * width**2),
        ("output projection", linear, ((tokens, width), (width, width)), 6 * tokens * width**2),
        ("SwiGLU, in", linear, ((tokens, width), (2 * inner, width)), 12 * tokens * inner * width),
        ("SwiGLU, out", linear, ((tokens, inner), (width, inner)), 6 * tokens * inner * width),
        ("SwiGLU, gate", swiglu, ((tokens, 2 * inner),), 0),
        ("RMS norm", rms_norm, (x, (width,)), 0),
        ("short convolution, SiLU", _convolved, ((batch, length, 3 * width), (4, 3 * width)), 0),
        ("heads, q and k to length 1", lambda h: torch.cat(_unit(h, heads)), ((batch, length, 3 * width),), 0),
        ("norm of heads", lambda o, w: rms_norm(o.transpose(1, 2), w).flatten(2), (of_heads, (width // heads,)), 0),
        ("kernel: scores of a chunk", _scores, (chunks, chunks), 6 * tokens * 32 * width),
        ("kernel: solve", _solved, ((*chunks[:-1], 32), (*chunks[:-1], 2 * width // heads)), 0),
    ]
    print(f"| part, {tokens} tokens, {heads} heads | ms | GFLOP/s |\n|---|---:|---:|")
    for name, way, shapes, flop in rows:
        inputs = [torch.randn(shape).div_(8).requires_grad_() for shape in shapes]
        grad = torch.randn_like(way(*inputs))
        best = interleaved({name: _both_ways(way, inputs, grad)}, 5 * rounds)[name]
        print(f"| {name} | {1e3 * best:.2f} | {f'{flop / best / 1e9:.0f}' if flop else ''} |", flush=True)
    print()


def _both_ways(way: Callable[..., Tensor], inputs: list[Tensor], grad: Tensor) -> Step:
    return lambda: torch.autograd.grad(way(*inputs), inputs, grad)


def _convolved(x: Tensor, weight: Tensor) -> Tensor:
    return F.silu(causal_convolution(x, weight))


def _unit(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    return unit_heads(qkv.view(*qkv.shape[:2], 3, heads, -1).movedim(-3, 0).transpose(-3, -2))


def _scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.mT


def _solved(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(a.tril(-1), b, upper=False, unitriangular=True)
