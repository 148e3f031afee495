"""Fully recurrent: one position at a time, no chunks at all."""

import torch


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    B, H, L, Dk = q.shape
    S = torch.zeros(B, H, Dk, v.shape[-1], dtype=v.dtype, device=v.device)
    outputs = []
    for t in range(L):
        error = v[:, :, t] - torch.einsum("bhd,bhde->bhe", k[:, :, t], S)
        S = S + beta[:, :, t, None, None] * k[:, :, t, :, None] * error[:, :, None, :]
        outputs.append(torch.einsum("bhd,bhde->bhe", q[:, :, t] * Dk**-0.5, S))
    return torch.stack(outputs, 2), S
