"""What the layers compute, with gradients written out where PyTorch's own take several times the passes over memory.

Tensors are `[*M, ..., C]` and parameters `[*M, C]` (or `[*M, rows, C]`), with or without a dimension M for the members
of an ensemble.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

NORM_EPS = 1e-5
UNIT_EPS = 1e-12


def along(parameter: Tensor, x: Tensor) -> Tensor:
    """A parameter `[*M, C]` in the shape that broadcasts with x `[*M, ..., C]`."""
    return parameter.view(*parameter.shape[:-1], *[1] * (x.dim() - parameter.dim()), parameter.shape[-1])


def _summed(x: Tensor, parameter: Tensor) -> Tensor:
    """x `[*M, ..., C]` summed to a parameter's `[*M, C]`."""
    return x.sum(tuple(range(parameter.dim() - 1, x.dim() - 1)))


def is_plain(x: Tensor) -> bool:
    """Whether x is float32 on a CPU outside of autocast, which the written-out gradients are made for.

    A compiler does better with PyTorch's own operations.
    """
    if torch.compiler.is_compiling():
        return False
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = norm.square_().div_(x.shape[-1]).add_(NORM_EPS).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        out: Tensor = (x * scale).mul_(along(weight, x))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, weight, scale = ctx.saved_tensors
        normed = x * scale
        weighted = grads[0] * normed
        grad_weight = _summed(weighted, weight)
        mean = weighted.mul_(along(weight, x)).mean(-1, keepdim=True)
        grad_x = (grads[0] * along(weight, x)).addcmul_(normed, mean, value=-1)
        return grad_x.mul_(scale), grad_weight


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """x / sqrt(mean(x²) + NORM_EPS) * weight, over the last dimension."""
    if is_plain(x):
        out: Tensor = _RMSNorm.apply(x, weight)  # type: ignore[no-untyped-call]
    else:
        out = F.rms_norm(x, x.shape[-1:], None, NORM_EPS) * along(weight, x)
    return out


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        gate, value = both.chunk(2, dim=-1)
        return F.silu(gate).mul_(value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (both,) = ctx.saved_tensors
        gate, value = both.chunk(2, dim=-1)
        grad = torch.empty_like(both)
        grad_gate, grad_value = grad.chunk(2, dim=-1)
        torch.mul(grads[0], F.silu(gate), out=grad_value)
        torch.ops.aten.silu_backward.grad_input(grads[0] * value, gate, grad_input=grad_gate)
        return grad


def swiglu(both: Tensor) -> Tensor:
    """`[..., 2 I]` -> `[..., I]`: silu of the first half times the second."""
    out: Tensor = _SwiGLU.apply(both)  # type: ignore[no-untyped-call]
    return out


class _UnitHeads(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor) -> tuple[Tensor, ...]:
        split = qkv.clone(memory_format=torch.contiguous_format)
        units = split[:2]
        scale = torch.linalg.vector_norm(units, dim=-1, keepdim=True).clamp_min_(UNIT_EPS).reciprocal_()
        units.mul_(scale)
        ctx.save_for_backward(units, scale)
        q, k, v = split.unbind(0)
        return q, k, v

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        units, scale = ctx.saved_tensors
        grad = torch.stack(grads)
        along_unit = (grad[:2] * units).sum(-1, keepdim=True)
        grad[:2].addcmul_(units, along_unit, value=-1).mul_(scale)
        return grad


def unit_heads(qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`[3, ..., D]`, q, k and v -> three contiguous `[..., D]`; q and k of length 1."""
    q, k, v = _UnitHeads.apply(qkv)  # type: ignore[no-untyped-call]
    return q, k, v


def unit(x: Tensor) -> Tensor:
    """`[..., D]` at length 1, as `unit_heads` does it."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x * norm.clamp_min(UNIT_EPS).reciprocal()


class _CausalConvolution(torch.autograd.Function):
    """Shifted sums: on a CPU a sixth of the time of conv1d with one group per channel, most of it in the backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        taps = [along(tap, x) for tap in weight.unbind(-2)]
        y = x * taps[-1]
        for shift in range(1, len(taps)):
            y[..., shift:, :].addcmul_(x[..., :-shift, :], taps[-1 - shift])
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        (grad,) = grads
        taps = weight.unbind(-2)
        grad_x, grad_weight = grad * along(taps[-1], x), torch.empty_like(weight)
        grad_weight[..., -1, :] = _summed(grad * x, taps[-1])
        for shift in range(1, len(taps)):
            later, earlier = grad[..., shift:, :], x[..., :-shift, :]
            grad_x[..., :-shift, :].addcmul_(later, along(taps[-1 - shift], x))
            grad_weight[..., -1 - shift, :] = _summed(later * earlier, taps[-1])
        return grad_x, grad_weight


def causal_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """x `[..., L, C]`, weight `[size, C]` -> y[t] = sum over s of weight[size - 1 - s] * x[t - s]."""
    out: Tensor = _CausalConvolution.apply(x, weight.to(x.dtype))  # type: ignore[no-untyped-call]
    return out
