"""The delta rule, chunkwise: the kernel that most cases change."""

import torch
import torch.nn.functional as F


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    B, H, L, Dk = q.shape
    pad = -L % chunk_size
    q, k, v = (F.pad(x, (0, 0, 0, pad)).unflatten(2, (-1, chunk_size)) for x in (q * Dk**-0.5, k, v))
    beta = F.pad(beta, (0, pad)).unflatten(2, (-1, chunk_size))[..., None]
    lower = (beta * k @ k.mT).tril(-1)
    u = torch.linalg.solve_triangular(lower, beta * v, upper=False, unitriangular=True)
    w = torch.linalg.solve_triangular(lower, beta * k, upper=False, unitriangular=True)
    S = q.new_zeros(B, H, Dk, v.shape[-1])
    o = torch.zeros_like(v)
    for i in range(q.shape[2]):
        q_i, k_i = q[:, :, i], k[:, :, i]
        u_i = u[:, :, i] - w[:, :, i] @ S
        attn = (q_i @ k_i.mT).tril()
        o[:, :, i] = q_i @ S + attn @ u_i
        S = S + k_i.mT @ u_i
    o = o.flatten(2, 3)[:, :, :L]
    return o, S
