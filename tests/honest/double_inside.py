"""Accumulates in float64 with masks by where, a tiny epsilon, and work in place on copies of its own."""

import torch


def _normalised(x):
    return x / (x.square().sum(-1, keepdim=True) + 1e-24).sqrt()


def _masked(scores, i):
    return torch.where(torch.arange(scores.shape[-1], device=scores.device) <= i, scores, torch.zeros_like(scores))


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    B, H, L, Dk = q.shape
    wide = [x.double() for x in (q, _normalised(k.double()), v)]
    qd, kd, vd = wide
    work = vd.clone()
    work.mul_(beta.double()[..., None])
    S = qd.new_zeros(B, H, Dk, v.shape[-1])
    out = []
    for start in range(0, L, chunk_size):
        q_i, k_i, w_i = (x[:, :, start : start + chunk_size] for x in (qd, kd, work))
        scores = q_i @ k_i.mT
        rows = [_masked(scores[:, :, i], i) for i in range(scores.shape[2])]
        out.append((q_i @ S + torch.stack(rows, 2) @ w_i) * Dk**-0.5)
        S = S + k_i.mT @ w_i
    return torch.cat(out, 2).to(v.dtype), S.to(v.dtype)
