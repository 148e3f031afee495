"""Matrix products: of all that training does the most, so by the fastest library that PyTorch has for it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluator.model.functional import is_plain


class _OneDNNLinear(torch.autograd.Function):
    """Matrix product by oneDNN: twice the speed of MKL on CPUs that are not Intel's, where MKL uses AVX2 only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous()
        outputs, inputs = weight.shape
        # oneDNN is fast where the second of two transposed matrices is the larger
        larger_last = outputs >= inputs
        grad_weight = _product(x.t(), grad.t()).t() if larger_last else _product(grad.t(), x.t())
        return _product(grad, weight.t()), grad_weight


def _product(a: Tensor, b: Tensor) -> Tensor:
    """a `[n, k]`, b `[m, k]` -> a @ b.T."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    return out


def _has_onednn_linear() -> bool:
    # The operator is private to PyTorch, so a version may lack it; F.linear gives the same numbers up to rounding.
    return torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")


_ONEDNN = _has_onednn_linear()


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x `[*M, ..., in]`, weight `[*M, out, in]` -> `[*M, ..., out]`, by the fastest product there is."""
    by_onednn = _ONEDNN and is_plain(x) and x.numel() > 0  # which refuses a product of nothing
    if weight.dim() == 2:
        if not by_onednn:
            return F.linear(x, weight)
        out: Tensor = _OneDNNLinear.apply(x.reshape(-1, x.shape[-1]), weight)  # type: ignore[no-untyped-call]
        return out.view(*x.shape[:-1], weight.shape[0])
    if by_onednn:
        return torch.stack([linear(each, own) for each, own in zip(x, weight, strict=True)])
    return torch.bmm(x.flatten(1, -2), weight.mT).view(*x.shape[:-1], weight.shape[1])
