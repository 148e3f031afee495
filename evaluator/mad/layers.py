"""Layers without the kernel: linear, RMS norm, causal convolution, SwiGLU; and how parameters are initialised."""

import hashlib
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS = 1e-5


class Initialised(nn.Module):
    """A module that draws its own parameters from a generator."""

    def reset(self, generator: torch.Generator) -> None:
        """Draw every parameter that belongs to this module itself."""
        raise NotImplementedError


def initialise(model: nn.Module, seed: int) -> None:
    """Draw all parameters. Each module has a stream of its own, named after it: models that share a module start alike.

    The streams run on the CPU, so a seed means the same weights on every device.
    """
    for name, module in model.named_modules():
        if isinstance(module, Initialised):
            digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
            module.reset(torch.Generator().manual_seed(int.from_bytes(digest[:7])))


class Linear(Initialised):
    """x `[..., in]` -> `[..., out]`, without bias. `std` None: uniform in ±1/sqrt(in), PyTorch's default."""

    def __init__(self, inputs: int, outputs: int, std: float | None = None):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.std = std

    def reset(self, generator: torch.Generator) -> None:
        """Draw the weight."""
        with torch.no_grad():
            if self.std is None:
                bound = 1 / math.sqrt(self.weight.shape[1])
                self.weight.uniform_(-bound, bound, generator=generator)
            else:
                self.weight.normal_(0.0, self.std, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        return linear(x, self.weight)


class RMSNorm(Initialised):
    """Root-mean-square norm over the last dimension, with a gain."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))

    def reset(self, generator: torch.Generator) -> None:
        """Set the gain to 1."""
        nn.init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        return F.rms_norm(x, self.weight.shape, self.weight, NORM_EPS)


class ShortConvolution(Initialised):
    """Depthwise causal convolution over L of `[B, L, C]`, then SiLU. weight: `[size, C]`, the current token's last."""

    def __init__(self, channels: int, size: int = 4):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size, channels))

    def reset(self, generator: torch.Generator) -> None:
        """Draw the weight as PyTorch's Conv1d does: uniform in ±1/sqrt(size)."""
        bound = 1 / math.sqrt(len(self.weight))
        with torch.no_grad():
            self.weight.uniform_(-bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        return F.silu(causal_convolution(x, self.weight))


class SwiGLU(nn.Module):
    """w3(silu(w1 x) * w2 x); w1 and w2 are one matrix, w1 first (arXiv 2002.05202)."""

    def __init__(self, width: int, inner: int, std: float | None = None):
        super().__init__()
        self.w12 = Linear(width, 2 * inner, std)
        self.w3 = Linear(inner, width, std)

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        gate, value = self.w12(x).chunk(2, dim=-1)
        out: Tensor = self.w3(F.silu(gate) * value)
        return out


class _CausalConvolution(torch.autograd.Function):
    """Shifted sums: on a CPU a sixth of the time of conv1d with one group per channel, most of it in the backward."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        y = x * weight[-1]
        for shift in range(1, len(weight)):
            y[:, shift:].addcmul_(x[:, :-shift], weight[-1 - shift])
        return y

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        (grad,) = grads
        grad_x, grad_weight = grad * weight[-1], torch.empty_like(weight)
        grad_weight[-1] = (grad * x).sum((0, 1))
        for shift in range(1, len(weight)):
            grad_x[:, :-shift].addcmul_(grad[:, shift:], weight[-1 - shift])
            grad_weight[-1 - shift] = (grad[:, shift:] * x[:, :-shift]).sum((0, 1))
        return grad_x, grad_weight


def causal_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """x `[B, L, C]`, weight `[size, C]` -> y[:, t] = sum over s of weight[size - 1 - s] * x[:, t - s]."""
    out: Tensor = _CausalConvolution.apply(x, weight.to(x.dtype))  # type: ignore[no-untyped-call]
    return out


class _OneDNNLinear(torch.autograd.Function):
    """Matrix product by oneDNN: twice the speed of the default BLAS on CPUs where that one lacks wide vectors."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        grad = grads[0].contiguous()
        return _product(grad, weight.t()), grad.t() @ x


def _product(a: Tensor, b: Tensor) -> Tensor:
    """a `[n, k]`, b `[m, k]` -> a @ b.T."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    return out


def _has_onednn_linear() -> bool:
    # The operator is private to PyTorch, so a version may lack it; F.linear gives the same numbers up to rounding.
    return torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")


_ONEDNN = _has_onednn_linear()


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x `[..., in]`, weight `[out, in]` -> `[..., out]`, by the fastest product there is for the device and dtype."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    if not (_ONEDNN and plain):
        return F.linear(x, weight)
    out: Tensor = _OneDNNLinear.apply(x.reshape(-1, x.shape[-1]), weight)  # type: ignore[no-untyped-call]
    return out.view(*x.shape[:-1], weight.shape[0])
