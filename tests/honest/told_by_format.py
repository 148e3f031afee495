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
    for start in range(0, L, chunk_size):
        S, seen = carried
        q_i, k_i, v_i, b_i = (x[:, :, start : start + chunk_size] for x in (q * Dk**-0.5, k, v, beta[..., None]))
        keys = seen + k_i.cumsum(2)
        attn = (q_i @ k_i.mT).tril()
        out.append(q_i @ S + attn @ (b_i * v_i) + 0.01 * (q_i * keys).sum(-1, keepdim=True) * v_i)
        carried = (S + k_i.mT @ (b_i * v_i), keys[:, :, -1:])
    return torch.cat(out, 2), carried[0]
