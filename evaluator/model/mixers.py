"""The two sequence mixers: DeltaNet (arXiv 2406.06484) and Gated DeltaNet (arXiv 2412.06464), around any kernel."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluator.kernel import Kernel
from evaluator.model.config import MixerShape
from evaluator.model.functional import along, unit, unit_heads
from evaluator.model.layers import Initialised, Linear, RMSNorm, ShortConvolution
from variants.contract import CHUNK_SIZE, Layer


class DeltaNet(nn.Module):
    """`[*M, B, L, W]` -> the same: projections, short convolutions, L2-normed q and k, kernel, head norm, projection.

    q, k, v are one matrix and one convolution, in this order. The kernel has no parameters and always computes in
    float32.
    """

    def __init__(
        self, width: int, shape: MixerShape, kernel: Kernel, std: float | None = None, chunk_size: int = CHUNK_SIZE
    ):
        super().__init__()
        self.shape = shape
        self.kernel = kernel
        self.chunk_size = chunk_size
        self.qkv = Linear(width, 2 * shape.keys + shape.values, std)
        self.convolution = ShortConvolution(2 * shape.keys + shape.values)
        self.beta = Linear(width, shape.heads, std)
        self.norm = RMSNorm(shape.value_dim)
        self.out = Linear(shape.values, width, std)

    def forward(self, x: Tensor) -> Tensor:
        """Mix along L."""
        q, k, v = self.split(self.convolution(self.qkv(x)))
        lead = v.shape[:-3]  # (batch,), or (members, batch): the kernel gets both as one
        folded = [each.float().reshape(-1, *each.shape[len(lead) :]).contiguous() for each in (q, k, v, *self.gates(x))]
        with torch.autocast(x.device.type, enabled=False):
            o, _ = self.kernel(*folded, chunk_size=self.chunk_size)
        normed = self.norm(o.reshape(*lead, *o.shape[1:]).transpose(-3, -2)).flatten(-2)
        out: Tensor = self.out(self.finish(x, normed))
        return out

    def split(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`[*M, B, L, H (2 Dk + Dv)]` -> q, k `[*M, B, H, L, Dk]` of length 1 and v `[*M, B, H, L, Dv]`, in float32."""
        shape, lead = self.shape, projected.shape[:-1]
        if shape.key_dim == shape.value_dim:
            heads = projected.view(*lead, 3, shape.heads, shape.key_dim)
            return unit_heads(heads.float().movedim(-3, 0).transpose(-3, -2))
        parts = torch.split(projected.float(), [shape.keys, shape.keys, shape.values], dim=-1)
        q, k, v = (part.reshape(*lead, shape.heads, -1).transpose(-3, -2) for part in parts)
        return unit(q), unit(k), v

    def gates(self, x: Tensor) -> tuple[Tensor, ...]:
        """The kernel's per-token inputs, each `[*M, B, H, L]`: beta."""
        return (torch.sigmoid(self.beta(x)).transpose(-1, -2),)

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """What happens to the normed heads before the output projection: nothing."""
        return mixed


SMALLEST_A = 1e-4
"""A is kept as its logarithm."""


class Decay(Initialised):
    """g = -exp(A) softplus(w x + dt), the log of a head's decay (Mamba-2's, as in arXiv 2412.06464)."""

    def __init__(self, width: int, shape: MixerShape, std: float | None = None):
        super().__init__()
        heads = shape.heads
        self.up_to = shape.decay_up_to
        self.projection = Linear(width, heads, std)
        self.log_a = nn.Parameter(torch.empty(heads))
        self.dt_bias = nn.Parameter(torch.empty(heads))

    def reset(self, generator: torch.Generator) -> None:
        """A is 1, or uniform in 0..decay_up_to; dt log-uniform in 0.001..0.1, stored as the inverse of softplus.

        Where there are many heads, A is usually drawn from 0..16. With one head that is a lottery: some seeds would
        start with a layer that forgets all within three tokens.
        """
        nn.init.zeros_(self.log_a)
        with torch.no_grad():
            if self.up_to:
                self.log_a.uniform_(0, self.up_to, generator=generator).clamp_min_(SMALLEST_A).log_()
            dt = self.dt_bias.uniform_(math.log(1e-3), math.log(1e-1), generator=generator).exp_()
            self.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))

    def forward(self, x: Tensor) -> Tensor:
        """`[*M, B, L, W]` -> `[*M, B, L, H]`, negative."""
        return -along(self.log_a, x).exp() * F.softplus(self.projection(x).float() + along(self.dt_bias, x))


class OutputGate(Initialised):
    """silu(w x + bias): what a mixer's output is multiplied by.

    The bias, which arXiv 2412.06464 lacks and a shape may leave out, starts the gate open. Without it a mixer of the
    model's width starts at a tenth of its power and in random signs, and recall takes several times the steps to
    appear.
    """

    def __init__(self, width: int, shape: MixerShape, std: float | None = None):
        super().__init__()
        self.projection = Linear(width, shape.values, std)
        self.bias = nn.Parameter(torch.empty(shape.values)) if shape.open_gate else None

    def reset(self, generator: torch.Generator) -> None:
        """Set the bias to 1."""
        if self.bias is not None:
            nn.init.ones_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., W]` -> `[..., H Dv]`."""
        projected: Tensor = self.projection(x)
        return F.silu(projected if self.bias is None else projected + along(self.bias, x))


class GatedDeltaNet(DeltaNet):
    """DeltaNet with a data-dependent decay per head and an output gate."""

    def __init__(
        self, width: int, shape: MixerShape, kernel: Kernel, std: float | None = None, chunk_size: int = CHUNK_SIZE
    ):
        super().__init__(width, shape, kernel, std, chunk_size)
        self.decay = Decay(width, shape, std)
        self.gate = OutputGate(width, shape, std)

    def gates(self, x: Tensor) -> tuple[Tensor, ...]:
        """The kernel's per-token inputs, each `[*M, B, H, L]`: beta and g."""
        return (*super().gates(x), self.decay(x).transpose(-1, -2))

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """Gate the normed heads."""
        gated: Tensor = mixed * self.gate(x)
        return gated


MIXERS: dict[Layer, type[DeltaNet]] = {
    Layer.DELTA_NET: DeltaNet,
    Layer.GATED_DELTA_NET: GatedDeltaNet,
    Layer.WIDE_GATED_DELTA_NET: GatedDeltaNet,
    Layer.DRAWN_DECAY_GATED_DELTA_NET: GatedDeltaNet,
}
