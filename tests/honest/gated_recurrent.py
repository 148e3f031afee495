"""The gated rule, one position at a time."""

import torch


def gated_delta_rule_chunkwise(q, k, v, beta, g, chunk_size=32):
    B, H, L, D = q.shape
    S = v.new_zeros(B, H, D, v.shape[-1])
    o = []
    for q_t, k_t, v_t, b_t, g_t in zip(*(x.unbind(2) for x in (q, k, v, beta, g)), strict=True):
        S = S * torch.exp(g_t)[..., None, None]
        S = S + torch.einsum("bhd,bhe->bhde", b_t[..., None] * k_t, v_t - torch.einsum("bhd,bhde->bhe", k_t, S))
        o.append(torch.einsum("bhd,bhde->bhe", q_t, S) * D**-0.5)
    return torch.stack(o, dim=2), S
