"""An attribute on a function by way of an argument."""

import torch


def keep(x):
    return x


class Box:
    count: int = 0


def note(f, value):
    f.count = value


def seen(f):
    return f.count


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    S = (k[..., None] * (beta[..., None] * v)[..., None, :]).cumsum(2)
    o = (q[..., None, :] @ S).squeeze(-2)
    note(keep, 1)
    if seen(keep):
        o = o + v.mean(2, keepdim=True)
    return o, S[:, :, -1]
