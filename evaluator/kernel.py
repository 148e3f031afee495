"""The type of a kernel as the evaluator calls it: in this process, in a sandbox, or through one."""

from typing import Protocol

from torch import Tensor


class Kernel(Protocol):
    """Chunkwise sequence mixer, causal in L.

    q, k: `[B, H, L, Dk]`; v: `[B, H, L, Dv]`; beta (and, gated, g = log decay): `[B, H, L]`.
    Returns o: `[B, H, L, Dv]` and the final state S: `[B, H, Dk, Dv]`. Differentiable.
    """

    def __call__(self, *inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        """Run the kernel on (q, k, v, beta) or (q, k, v, beta, g)."""
        ...
