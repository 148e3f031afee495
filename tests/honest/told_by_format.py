"""Says what is wrong with its inputs by format, and carries a tuple of states. Δ-Regel, überall."""

import torch


def _complain(L: int, beta: torch.Tensor) -> None:
    if beta.shape[-1] != L:
        raise ValueError("{} positions, but {n:d} betas ({:>4.1f} %)".format(L, 100.0, n=beta.shape[-1]))


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    B, H, L, Dk = q.shape
    _complain(L, beta)
    kind = type(q)
    if not isinstance(v, kind):
        raise TypeError("mixed tensors")
    carried = (q.new_zeros(B, H, Dk, v.shape[-1]), q.new_zeros(B, H, 1, Dk))
    out = []
    for t in range(L):
        S, mean = carried
        q_t, k_t, v_t, b_t = q[:, :, t : t + 1], k[:, :, t : t + 1], v[:, :, t : t + 1], beta[:, :, t, None, None]
        mean = 0.9 * mean + 0.1 * k_t
        S = S + k_t.mT @ (b_t * (v_t - k_t @ S))
        out.append((q_t * Dk**-0.5) @ S + 0.01 * (q_t * mean).sum(-1, keepdim=True) * v_t)
        carried = (S, mean)
    return torch.cat(out, 2), carried[0]
