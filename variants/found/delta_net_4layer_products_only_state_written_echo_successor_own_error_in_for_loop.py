"""The exact delta rule under products of neighbouring channels alone, with own error, written echo and successor read.

    S_t = S_{t-1} + beta_t pair(k_t) (v_t - S_{t-1}^T pair(k_t))^T: as many rows as the delta rule has, none of them linear.
"""

import math

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
    z = q.new_zeros(B, H, 2 * (Dv // 4))  # echo of all earlier written values, turned to the frame of position 0
    N = q.new_zeros(B, H, Dk, Dv - 2 * (Dv // 4))  # successor memory: pair(k) of a position -> value of the next
    k_last = q.new_zeros(B, H, 1, Dk)  # pair(k) of the last position of the chunk before
    for i in range(len(q_n)):
        q_i, k_i = q_n[i], k_n[i]  # [B, H, C, Dk]
        pair = torch.stack([q_i * Dk**0.5, k_i])
        pair = pair * pair.roll(1, -1)
        q_f, k_f = pair * (pair.square().sum(-1, keepdim=True) + 1e-4).rsqrt()  # [B, H, C, Dk] each, products only
        q_f, kb_f = q_f * Dk**-0.5, k_f * beta[:, :, i, :, None]
        u_f, w_f = torch.linalg.solve_triangular(
            (kb_f @ k_f.mT).tril(-1), torch.cat([v_beta[:, :, i], kb_f], -1), upper=False, unitriangular=True
        ).split([Dv, Dk], -1)
        o_inter = q_f @ S  # [B, H, C, Dv]
        attn = (q_f @ k_f.mT).masked_fill(future, 0)  # [B, H, C, C]
        u_i = u_f - w_f @ S  # [B, H, C, Dv]
        pairs, fade = Dv // 4, 15 / 16
        # successor memory: the pairs (pair(k_{t-1}), v_t) on the channels without echo, a delta rule of its own
        calm = Dv - 2 * pairs
        p_f = torch.cat([k_last, k_f[:, :, :-1]], 2)  # [B, H, C, Dk], one position back, across the border
        pb_f = p_f * beta[:, :, i, :, None]
        y_f, r_f = torch.linalg.solve_triangular(
            (pb_f @ p_f.mT).tril(-1), torch.cat([v_beta[:, :, i, :, :calm], pb_f], -1), upper=False, unitriangular=True
        ).split([calm, Dk], -1)
        y_i = y_f - r_f @ N  # [B, H, C, calm]
        followed = k_f @ N + (k_f @ p_f.mT).tril(-1) @ y_i  # pairs strictly before t
        N = N + p_f.mT @ y_i
        k_last = k_f[:, :, -1:]
        step = torch.arange(chunk_size, device=q.device, dtype=q.dtype)
        rate = (torch.arange(pairs, device=q.device, dtype=q.dtype) + 0.5) * (math.pi / max(pairs, 1))
        angle = (i * chunk_size + step)[:, None] * rate  # [C, pairs]
        cos, sin = angle.cos(), angle.sin()
        x, y = v_beta[:, :, i, :, Dv - 2 * pairs :].split(pairs, -1)  # written values; v is the parent
        turned = torch.cat([x * cos - y * sin, x * sin + y * cos], -1)  # [B, H, C, 2 pairs]
        lag = (step[:, None] - step).clamp(min=0)
        z_i = (fade**lag).masked_fill(future, 0) @ turned + fade ** (step[:, None] + 1) * z[:, :, None]
        z = z_i[:, :, -1]
        x, y = ((1 - fade**2) ** 0.5 * z_i).split(pairs, -1)
        echo = torch.cat([x * cos + y * sin, y * cos - x * sin], -1)  # [B, H, C, 2 pairs], turned back
        beside = torch.cat([followed, echo], -1)  # [B, H, C, Dv]
        o_n.append(o_inter + attn @ u_i + Dk**-0.5 * (u_i + beside))
        S = 0.99 * S + k_f.mT @ u_i  # rows are products of neighbouring channels

    return torch.cat(o_n, 2)[:, :, :L].to(dtype), S.to(dtype)
