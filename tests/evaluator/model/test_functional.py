"""Written-out gradients against PyTorch's own, in a plain model and with a dimension of members."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluator.model.functional import NORM_EPS, causal_convolution, rms_norm, swiglu, unit_heads
from evaluator.model.linear import linear

Operation = Callable[..., Tensor]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), requires_grad=True)


def same(ours: Tensor, theirs: Tensor, *inputs: Tensor) -> None:
    """Equal outputs, and equal gradients of a weighted sum of them."""
    torch.testing.assert_close(ours, theirs)
    weights = torch.linspace(-1, 1, ours.numel()).view(ours.shape)
    first, second = (torch.autograd.grad((out * weights).sum(), inputs) for out in (ours, theirs))
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 8), (2, 7, 64), (2, 7, 3, 16)])
def test_rms_norm_is_pytorch_s(shape: tuple[int, ...]) -> None:
    x, weight = draw(*shape), draw(shape[-1], seed=1)
    same(rms_norm(x, weight), F.rms_norm(x, weight.shape, weight, NORM_EPS), x, weight)


@pytest.mark.parametrize("shape", [(3, 8), (2, 5, 48)])
def test_swiglu_is_a_product_of_the_halves(shape: tuple[int, ...]) -> None:
    both = draw(*shape)
    gate, value = both.chunk(2, -1)
    same(swiglu(both), F.silu(gate) * value, both)


def test_q_and_k_have_length_one_and_v_stays() -> None:
    qkv = draw(2, 9, 3, 4, 8).movedim(2, 0)  # not contiguous, as a mixer has it
    theirs = torch.stack([F.normalize(qkv[0], dim=-1), F.normalize(qkv[1], dim=-1), qkv[2]])
    assert all(each.is_contiguous() for each in unit_heads(qkv))
    same(torch.stack(unit_heads(qkv)), theirs, qkv)


def test_a_zero_key_stays_zero() -> None:
    assert not torch.stack(unit_heads(torch.zeros(3, 2, 4))).any()


OPERATIONS: dict[str, tuple[Operation, tuple[int, ...]]] = {
    "rms_norm": (rms_norm, (8,)),
    "linear": (linear, (5, 8)),
    "convolution": (causal_convolution, (4, 8)),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("device_path", ["fast", "general"])
def test_members_are_computed_each_by_its_own_parameter(name: str, device_path: str) -> None:
    operation, shape = OPERATIONS[name]
    dtype = torch.float32 if device_path == "fast" else torch.float64  # float64 has no fast path
    x, weight = draw(3, 2, 9, 8), draw(3, *shape, seed=1)
    cast, cast_weight = x.to(dtype), weight.to(dtype)
    apart = torch.stack([operation(cast[m], cast_weight[m]) for m in range(3)])
    same(operation(cast, cast_weight).float(), apart.float(), x, weight)
