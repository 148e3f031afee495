"""Attributes and traces: what a variant leaves behind by ways that no reading of its source shows."""

import pytest
import torch
from torch import Tensor

from evaluator.sandbox.loading import load_kernel
from evaluator.sandbox.state_guard import Trace

TOP = """
import torch
from torch import nn
from enum import Enum
from functools import partial
from types import SimpleNamespace


class Box:
    count: int = 0

    def put(self):
        self.count = self.count + 1


class Phase(Enum):
    ONE = 1


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y=2):
        ctx.save_for_backward(x)
        ctx.y = y
        return y * x

    @staticmethod
    def backward(ctx, grad):
        return ctx.y * grad, None


class Layer(nn.Module):
    pass


HALF = partial(max, 1)


def put(x):
    x.count = 1


def plain(x):
    return x


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    {body}
    return v, k
"""


def run(body: str) -> tuple[Tensor, Tensor]:
    kernel = load_kernel("held", TOP.replace("{body}", body), "delta_rule_chunkwise")
    x = torch.ones(1, 1, 3, 2, requires_grad=True)
    return kernel(x, x, x, x[..., 0])


@pytest.mark.parametrize(
    "body",
    [
        "put(plain)",
        "put(Box)",
        "Box.put(Box)",
        "put(Phase.ONE)",
        "put(HALF)",
        "put(torch.Tensor)",
        "put(torch.nn.functional.softmax)",
        "put(nn.Linear)",
        "put(v)",
        "for Box.count in (1, 2): pass",
        "x, Box.count = 1, 2",
        "Box.count += 1",
        "del Box.count",
        "Twice.forward(Box, v)",
        "Twice.forward(plain, v)",
        "[M.mark_dirty(plain, v) for M in (torch.autograd.Function,)]",
        "try: [M.train(nn.functional.softmax, True) for M in (nn.Module,)]\n    except AttributeError: pass",
        "try: Layer.train(plain, True)\n    except AttributeError: pass",
    ],
)
def test_nothing_can_be_left_behind(body: str) -> None:
    with pytest.raises(Trace):
        run(body)


@pytest.mark.parametrize(
    "body",
    [
        "box = Box(); box.put(); put(box)",
        "put(SimpleNamespace(a=1))",
        "put(nn.Identity())",
        "v = Twice.apply(v); v.sum()",
    ],
)
def test_what_ends_with_the_call_may_change(body: str) -> None:
    run(body)[0].sum().backward()
