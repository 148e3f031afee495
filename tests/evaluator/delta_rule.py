"""Kernels for the tests: the delta rule token by token (the specification), chunkwise, gated, and ones that cheat."""

import torch
import torch.nn.functional as F
from torch import Tensor


def recurrent(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
    """S <- exp(g) S; S <- S + k (beta (v - k S)); o = q S / sqrt(Dk), token by token. g is 0 if not given."""
    q, k, v, beta = inputs[:4]
    decay = inputs[4].exp() if len(inputs) == 5 else torch.ones_like(beta)
    state = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1])
    out = []
    for t in range(q.shape[2]):
        state = decay[:, :, t, None, None] * state
        error = v[:, :, t] - (k[:, :, t, None] @ state)[:, :, 0]
        state = state + k[:, :, t, :, None] * (beta[:, :, t, None] * error)[:, :, None]
        out.append((q[:, :, t, None] @ state)[:, :, 0] * q.shape[-1] ** -0.5)
    return torch.stack(out, 2), state


def chunkwise(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
    """The delta rule, one triangular system per chunk (arXiv 2406.06484)."""
    length, pad = q.shape[2], -q.shape[2] % chunk_size
    q, k, v = (F.pad(x, (0, 0, 0, pad)).unflatten(2, (-1, chunk_size)) for x in (q, k, v))
    beta = F.pad(beta, (0, pad)).unflatten(2, (-1, chunk_size))[..., None]
    q = q * q.shape[-1] ** -0.5
    system = (beta * k @ k.mT).tril(-1)
    u, w = (torch.linalg.solve_triangular(system, beta * x, upper=False, unitriangular=True) for x in (v, k))
    state = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1])
    out = []
    for i in range(q.shape[2]):
        error = u[:, :, i] - w[:, :, i] @ state
        out.append(q[:, :, i] @ state + (q[:, :, i] @ k[:, :, i].mT).tril() @ error)
        state = state + k[:, :, i].mT @ error
    return torch.cat(out, 2)[:, :, :length], state


def peeking(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
    """The delta rule plus what stands at the next position: the token that a language model is asked for."""
    o, state = chunkwise(q, k, v, beta, chunk_size=chunk_size)
    return o + F.pad(v[:, :, 1:], (0, 0, 0, 1)), state


def exploding(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
    """Infinite outputs."""
    return v * float("inf"), q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1])
