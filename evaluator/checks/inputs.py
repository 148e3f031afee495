"""Inputs for the checks, as a mixer delivers them: q and k normalised, beta in (0, 1), log decay g at most 0."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from variants.contract import InputKind, KernelContract

Shape = tuple[int, int, int, int, int]
"""B, H, L, Dk, Dv."""


class TaskShape(NamedTuple):
    """What the kernel meets in a task."""

    shape: Shape
    chunk_size: int


@dataclass(frozen=True)
class Regime:
    """A magnitude that activations come in.

    norm: L2 norm of q and k. value: scale of v. beta: centre of beta before its sigmoid. keys: how many distinct keys
    there are, 0 for all distinct. rectified: v is as after SiLU rather than symmetric. empty: share of positions at
    which v is exactly zero. alike: how much all keys, and all values, have in common, and neighbours among them more.
    beta_spread: how widely beta varies. norm_spread: how widely, in its logarithm, the norm of q and k does. (The last
    three stay out of the text that fingerprints are dated by.)
    """

    name: str
    norm: float = 1.0
    value: float = 1.0
    beta: float = 0.0
    keys: int = 0
    rectified: bool = False
    empty: float = 0.0
    alike: float = field(default=0.0, repr=False)
    beta_spread: float = field(default=1.0, repr=False)
    norm_spread: float = field(default=0.0, repr=False)


REGIMES: dict[str, Regime] = {
    regime.name: regime
    for regime in (
        Regime("unit"),
        Regime("training", value=0.3, rectified=True),
        Regime("small", norm=0.1, value=1e-3, beta=-2.0),
        Regime("loud", value=30.0, beta=2.0),
        Regime("long", norm=1.3),
        Regime("repeats", keys=8),
        Regime("huge", value=1e4),
        Regime("holes", empty=0.2),
    )
}
CHECKED = REGIMES | {
    regime.name: regime
    for regime in (
        Regime("alike", value=0.3, rectified=True, alike=1.0, beta_spread=3.0),
        Regime("early", value=0.1, rectified=True, alike=0.5, beta_spread=0.3),  # what a new model's mixer delivers
        Regime("unnormalised", norm=3.0, value=3.0, norm_spread=1.0),  # what another project's layer may pass
    )
}
"""`small` and `long` are not normalised. A delta rule with longer keys than `long` diverges, and honestly so: in
`unnormalised` it does, in the course of a short sequence."""


def draw(
    contract: KernelContract, shape: Shape, regime: Regime, seed: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, ...]:
    """q, k `[B, H, L, Dk]`, v `[B, H, L, Dv]`, beta and, where the kernel takes it, g `[B, H, L]`. Same for a seed."""
    B, H, L, Dk, Dv = shape
    generator = torch.Generator().manual_seed(seed)

    drawn_in = torch.float32 if dtype is torch.float32 else torch.float64

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=drawn_in)

    q, k, v = normal(B, H, L, Dk), normal(B, H, L, Dk), normal(B, H, L, Dv)
    if regime.keys:
        book = normal(B, H, regime.keys, Dk)
        chosen = torch.randint(regime.keys, (2, B, H, L, 1), generator=generator).expand(-1, -1, -1, -1, Dk)
        q, k = (book.gather(2, index) for index in chosen)
    if regime.alike:  # as from projections with a bias, and after a short convolution
        q, k, v = (x + regime.alike * (x.roll(1, 2) + normal(1, H, 1, x.shape[-1])) for x in (q, k, v))
    q, k = (F.normalize(x, dim=-1) * regime.norm for x in (q, k))
    if regime.empty:
        v = v * (torch.rand(B, H, L, 1, generator=generator, dtype=v.dtype) > regime.empty)
    v = regime.value * (F.silu(v) if regime.rectified else v)
    beta = torch.sigmoid(regime.beta_spread * normal(B, H, L) + regime.beta)
    drawn: dict[InputKind, Tensor] = {"query": q, "key": k, "value": v, "rate": beta}
    if "log_decay" in contract.kinds.values():
        drawn["log_decay"] = -F.softplus(normal(B, H, L) - 2.0)
    if regime.norm_spread:
        drawn["query"] = q * (regime.norm_spread * normal(B, H, L, 1)).exp()
        drawn["key"] = k * (regime.norm_spread * normal(B, H, L, 1)).exp()
    return tuple(drawn[kind].to(dtype) for kind in contract.kinds.values())


def splice(past: tuple[Tensor, ...], future: tuple[Tensor, ...], cuts: Tensor) -> tuple[Tensor, ...]:
    """Row b of `past` before position cuts[b], row b of `future` from there on."""
    return tuple(torch.where(before(cuts, one), one, other) for one, other in zip(past, future, strict=True))


def before(cuts: Tensor, like: Tensor) -> Tensor:
    """Mask `[B, 1, L]` or `[B, 1, L, 1]` of the positions before each row's cut."""
    mask = torch.arange(like.shape[2]) < cuts[:, None]
    return mask[:, None, :, None] if like.dim() == 4 else mask[:, None, :]


def perturbed(inputs: tuple[Tensor, ...], size: float, seed: int) -> tuple[Tensor, ...]:
    """The inputs, each number off by a relative `size` at most: what rounding could have made of them."""
    generator = torch.Generator().manual_seed(seed)
    signs = (torch.rand(x.shape, generator=generator, dtype=torch.float64) * 2 - 1 for x in inputs)
    return tuple((x.double() * (1 + size * sign)).to(x.dtype) for x, sign in zip(inputs, signs, strict=True))
