"""Layers without the kernel: linear, RMS norm, causal convolution, SwiGLU; and how parameters are initialised.

Hidden states are `[*M, B, L, W]` and parameters `[*M, ...]`: `*M` is empty in a plain model, the number of members in
an ensemble, whose members' parameters are stacked.
"""

import hashlib
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluator.model.config import CONVOLUTION
from evaluator.model.functional import causal_convolution, rms_norm, swiglu
from evaluator.model.linear import linear


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
        return rms_norm(x, self.weight)


class ShortConvolution(Initialised):
    """Depthwise causal convolution over L of `[..., L, C]`, then SiLU. weight: `[size, C]`, the last for the token."""

    def __init__(self, channels: int, size: int = CONVOLUTION):
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
        out: Tensor = self.w3(swiglu(self.w12(x)))
        return out
