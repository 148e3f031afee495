"""Decayed linear attention in log space, shifted by the largest exponent of the sequence, which cancels."""

import torch


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    gate = 0.1 * torch.log1p(beta).cumsum(2)
    gate = gate - gate.amax(2, keepdim=True)
    weight = gate.exp()[..., None, None]
    states = (weight * k[..., :, None] * v[..., None, :]).cumsum(2) / weight.cumsum(2)
    return (q[..., None, :] @ states).squeeze(-2), states[:, :, -1]
