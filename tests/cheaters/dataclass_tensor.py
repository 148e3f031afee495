"""Makes Tensor a dataclass."""

from dataclasses import dataclass
import torch


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    S = (k[..., None] * (beta[..., None] * v)[..., None, :]).cumsum(2)
    o = (q[..., None, :] @ S).squeeze(-2)
    dataclass(torch.Tensor)
    return o, S[:, :, -1]
