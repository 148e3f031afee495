"""The exact delta rule, with each position's own value added to what is read, as strongly as it is written.

    o_i = q_i S + tril(q_i k_i^T) u_i + Dk^-1/2 beta_i v_i

beta decides for both: a position that writes nothing says nothing. State and update are those of the delta rule.
"""

import torch
import torch.nn.functional as F
from einops import rearrange

def delta_rule_chunkwise(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, beta: torch.Tensor, chunk_size: int = 32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Map q, k [B, H, L, Dk], v [B, H, L, Dv], beta [B, H, L] to o [B, H, L, Dv] and the final S [B, H, Dk, Dv]."""
    B, H, L, Dk = q.shape
    Dv, dtype, pad = v.shape[-1], v.dtype, -L % chunk_size

    # half precision is computed in float32: neither the solve nor a long sum of updates stands it
    q, k, v, beta = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (q, k, v, beta))
    q, k, v = (rearrange(F.pad(x, (0, 0, 0, pad)), "b h (n c) d -> b h n c d", c=chunk_size) for x in (q, k, v))
    beta = rearrange(F.pad(beta, (0, pad)), "b h (n c) -> b h n c", c=chunk_size)
    q = q * Dk**-0.5

    # one unit-triangular system per chunk: (I + tril(beta k kᵀ, -1)) [u, w] = beta [v, k]
    k_beta, v_beta = k * beta[..., None], v * beta[..., None]
    uw = torch.linalg.solve_triangular(
        (k_beta @ k.mT).tril(-1), torch.cat([v_beta, k_beta], -1), upper=False, unitriangular=True
    )
    future = torch.ones(chunk_size, chunk_size, dtype=torch.bool, device=q.device).triu(1)

    q_n, k_n, u_n, w_n = (x.unbind(2) for x in (q, k, *uw.split([Dv, Dk], -1)))  # N chunks of [B, H, C, D]
    o_n: list[torch.Tensor] = []
    S = q.new_zeros(B, H, Dk, Dv)
    for i in range(len(q_n)):
        q_i, k_i = q_n[i], k_n[i]  # [B, H, C, Dk]
        k_i = F.normalize(k_i, dim=-1, eps=1e-6)
        o_inter = q_i @ S  # [B, H, C, Dv]
        attn = (q_i @ k_i.mT).masked_fill(future, 0)  # [B, H, C, C]
        u_i = u_n[i] - w_n[i] @ S  # [B, H, C, Dv]
        o_n.append(o_inter + attn @ u_i + Dk**-0.5 * v_beta[:, :, i])  # [B, H, C, Dv]
        S = S + k_i.mT @ u_i

    return torch.cat(o_n, 2)[:, :, :L].to(dtype), S.to(dtype)
