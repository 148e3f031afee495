"""A control: the mixer outputs nothing, so that the feed-forward layers work alone. o_t = 0."""

import torch


def delta_rule_chunkwise(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, beta: torch.Tensor, chunk_size: int = 32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Map q, k [B, H, L, Dk], v [B, H, L, Dv], beta [B, H, L] to o = 0 and an empty state [B, H, Dk, Dv]."""
    B, H, _, Dk = q.shape
    return torch.zeros_like(v), v.new_zeros(B, H, Dk, v.shape[-1])
