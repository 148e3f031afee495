"""A control: each position outputs its own value, and no position reads another. o_t = v_t."""

import torch


def delta_rule_chunkwise(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, beta: torch.Tensor, chunk_size: int = 32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Map q, k [B, H, L, Dk], v [B, H, L, Dv], beta [B, H, L] to o = v and an empty state [B, H, Dk, Dv]."""
    B, H, _, Dk = q.shape
    return v.clone(), v.new_zeros(B, H, Dk, v.shape[-1])
