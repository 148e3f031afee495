"""The gated delta rule, chunkwise: the reference to beat, with a data-dependent decay of the state.

    S_t = α_t (I - β_t k_t k_tᵀ) S_{t-1} + β_t k_t v_tᵀ,    α_t = exp(g_t),    o_t = S_tᵀ q_t / √Dk

Source: Gated DeltaNet, arXiv 2412.06464. With G the running sum of g inside a chunk, exp(G_t - G_j) is what is left at
t of a write at j. It belongs to a layer of its own, which supplies g.
"""

import torch
import torch.nn.functional as F
from einops import rearrange


def gated_delta_rule_chunkwise(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, beta: torch.Tensor, g: torch.Tensor, chunk_size: int = 32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Map q, k [B, H, L, Dk], v [B, H, L, Dv], beta and log decay g [B, H, L] to o and the final S [B, H, Dk, Dv]."""
    B, H, L, Dk = q.shape
    Dv, dtype, pad = v.shape[-1], v.dtype, -L % chunk_size

    # half precision is computed in float32: neither the solve nor a long sum of updates stands it
    q, k, v, beta, g = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (q, k, v, beta, g))
    q, k, v = (rearrange(F.pad(x, (0, 0, 0, pad)), "b h (n c) d -> b h n c d", c=chunk_size) for x in (q, k, v))
    beta, g = (rearrange(F.pad(x, (0, pad)), "b h (n c) -> b h n c", c=chunk_size) for x in (beta, g))
    q = q * Dk**-0.5

    future = torch.ones(chunk_size, chunk_size, dtype=torch.bool, device=q.device).triu(1)
    G = g.cumsum(-1)
    # masked before exp: the decay "from the future" would overflow, and its gradient with it
    left = (G[..., :, None] - G[..., None, :]).masked_fill(future, float("-inf")).exp()  # [B, H, N, C, C]
    since_start, until_end = G.exp()[..., None], (G[..., -1:] - G).exp()[..., None]  # [B, H, N, C, 1]

    # one unit-triangular system per chunk: (I + tril(beta k kᵀ left, -1)) [u, w] = beta [v, exp(G) k]
    k_beta, v_beta = k * beta[..., None], v * beta[..., None]
    uw = torch.linalg.solve_triangular(
        (k_beta @ k.mT * left).tril(-1), torch.cat([v_beta, k_beta * since_start], -1), upper=False, unitriangular=True
    )

    chunks = (q * since_start, k * until_end, *uw.split([Dv, Dk], -1), (q @ k.mT).masked_fill(future, 0) * left)
    q_n, k_n, u_n, w_n, attn_n = (x.unbind(2) for x in chunks)  # N chunks of [B, H, C, D]
    decay_n = G[..., -1].exp()[..., None, None].unbind(2)  # N times [B, H, 1, 1]
    o_n: list[torch.Tensor] = []
    S = q.new_zeros(B, H, Dk, Dv)
    for i in range(len(q_n)):
        o_inter = q_n[i] @ S  # [B, H, C, Dv]
        u_i = u_n[i] - w_n[i] @ S
        o_n.append(o_inter + attn_n[i] @ u_i)
        S = decay_n[i] * S + k_n[i].mT @ u_i

    return torch.cat(o_n, 2)[:, :, :L].to(dtype), S.to(dtype)
