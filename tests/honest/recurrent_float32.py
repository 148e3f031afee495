"""Recurrent, and in float32 whatever comes in."""

import torch


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    kind = v.dtype
    q, k, v, beta = (x.float() for x in (q, k, v, beta))
    S = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1])
    o = torch.empty_like(v)
    for t in range(q.size(2)):
        kt = k[:, :, t].unsqueeze(-1)
        S = S + beta[:, :, t, None, None] * kt @ (v[:, :, t].unsqueeze(-2) - kt.transpose(-1, -2) @ S)
        o[:, :, t] = (q[:, :, t].unsqueeze(-2) @ S).squeeze(-2)
    return o.to(kind), S.to(kind)
