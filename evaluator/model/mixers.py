"""The two sequence mixers: DeltaNet (arXiv 2406.06484) and Gated DeltaNet (arXiv 2412.06464), around any kernel."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluator.kernel import Kernel
from evaluator.model.functional import along, unit_heads
from evaluator.model.layers import Initialised, Linear, RMSNorm, ShortConvolution
from variants.contract import CHUNK_SIZE, Layer


class DeltaNet(nn.Module):
    """`[*M, B, L, W]` -> the same: projections, short convolutions, L2-normed q and k, kernel, head norm, projection.

    q, k, v are one matrix and one convolution, in this order; heads are of W / H each. The kernel has no parameters
    and always computes in float32.
    """

    def __init__(self, width: int, heads: int, kernel: Kernel, std: float | None = None, chunk_size: int = CHUNK_SIZE):
        super().__init__()
        self.heads = heads
        self.kernel = kernel
        self.chunk_size = chunk_size
        self.qkv = Linear(width, 3 * width, std)
        self.convolution = ShortConvolution(3 * width)
        self.beta = Linear(width, heads, std)
        self.norm = RMSNorm(width // heads)
        self.out = Linear(width, width, std)

    def forward(self, x: Tensor) -> Tensor:
        """Mix along L."""
        projected: Tensor = self.convolution(self.qkv(x))
        heads = projected.view(*x.shape[:-1], 3, self.heads, -1)
        q, k, v = unit_heads(heads.float().movedim(-3, 0).transpose(-3, -2))
        lead = v.shape[:-3]  # (batch,), or (members, batch): the kernel gets both as one
        folded = [each.float().reshape(-1, *each.shape[len(lead) :]).contiguous() for each in (q, k, v, *self.gates(x))]
        with torch.autocast(x.device.type, enabled=False):
            o, _ = self.kernel(*folded, chunk_size=self.chunk_size)
        normed = self.norm(o.reshape(*lead, *o.shape[1:]).transpose(-3, -2)).flatten(-2)
        out: Tensor = self.out(self.finish(x, normed))
        return out

    def gates(self, x: Tensor) -> tuple[Tensor, ...]:
        """The kernel's per-token inputs, each `[*M, B, H, L]`: beta."""
        return (torch.sigmoid(self.beta(x)).transpose(-1, -2),)

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """What happens to the normed heads before the output projection: nothing."""
        return mixed


class Decay(Initialised):
    """g = -exp(A) softplus(w x + dt), the log of a head's decay (Mamba-2's, as in arXiv 2412.06464)."""

    def __init__(self, width: int, heads: int, std: float | None = None):
        super().__init__()
        self.projection = Linear(width, heads, std)
        self.log_a = nn.Parameter(torch.empty(heads))
        self.dt_bias = nn.Parameter(torch.empty(heads))

    def reset(self, generator: torch.Generator) -> None:
        """A is 1; dt log-uniform in 0.001..0.1, stored as the inverse of softplus.

        Where there are many heads, A is usually drawn from 0..16. With one head that is a lottery: some seeds would
        start with a layer that forgets all within three tokens.
        """
        nn.init.zeros_(self.log_a)
        with torch.no_grad():
            dt = self.dt_bias.uniform_(math.log(1e-3), math.log(1e-1), generator=generator).exp_()
            self.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))

    def forward(self, x: Tensor) -> Tensor:
        """`[*M, B, L, W]` -> `[*M, B, L, H]`, negative."""
        return -along(self.log_a, x).exp() * F.softplus(self.projection(x).float() + along(self.dt_bias, x))


class OutputGate(Initialised):
    """silu(w x + bias): what a mixer's output is multiplied by.

    The bias, which arXiv 2412.06464 lacks, starts the gate open. Without it the mixer starts at a tenth of its power
    and in random signs, and recall takes several times the steps to appear.
    """

    def __init__(self, width: int, std: float | None = None):
        super().__init__()
        self.projection = Linear(width, width, std)
        self.bias = nn.Parameter(torch.empty(width))

    def reset(self, generator: torch.Generator) -> None:
        """Set the bias to 1."""
        nn.init.ones_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., W]` -> `[..., W]`."""
        return F.silu(self.projection(x) + along(self.bias, x))


class GatedDeltaNet(DeltaNet):
    """DeltaNet with a data-dependent decay per head and an output gate."""

    def __init__(self, width: int, heads: int, kernel: Kernel, std: float | None = None, chunk_size: int = CHUNK_SIZE):
        super().__init__(width, heads, kernel, std, chunk_size)
        self.decay = Decay(width, heads, std)
        self.gate = OutputGate(width, std)

    def gates(self, x: Tensor) -> tuple[Tensor, ...]:
        """The kernel's per-token inputs, each `[*M, B, H, L]`: beta and g."""
        return (*super().gates(x), self.decay(x).transpose(-1, -2))

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """Gate the normed heads."""
        gated: Tensor = mixed * self.gate(x)
        return gated


MIXERS: dict[Layer, type[DeltaNet]] = {Layer.DELTA_NET: DeltaNet, Layer.GATED_DELTA_NET: GatedDeltaNet}
