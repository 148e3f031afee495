"""The delta rule, spelled in einops from end to end."""

import torch
import torch.nn.functional as F
from einops import einsum, pack, rearrange, reduce, repeat, unpack


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    L = q.shape[2]
    kv, sizes = pack([k, v], "b h l *")
    k, v = unpack(kv, sizes, "b h l *")
    q, k, v = (F.pad(x, (0, 0, 0, -L % chunk_size)) for x in (q * q.shape[-1] ** -0.5, k, v))
    beta = repeat(F.pad(beta, (0, -L % chunk_size)), "b h l -> b h l one", one=1)
    q, k, v, beta = (rearrange(x, "b h (n c) d -> n b h c d", c=chunk_size) for x in (q, k, v, beta))
    lower = torch.tril(einsum(beta * k, k, "n b h i d, n b h j d -> n b h i j"), -1)
    u = torch.linalg.solve_triangular(lower, beta * v, upper=False, unitriangular=True)
    w = torch.linalg.solve_triangular(lower, beta * k, upper=False, unitriangular=True)
    S = k.new_zeros(*k.shape[1:3], k.shape[-1], v.shape[-1])
    out = []
    for q_i, k_i, u_i, w_i in zip(q, k, u, w, strict=True):
        u_i = u_i - einsum(w_i, S, "b h c d, b h d e -> b h c e")
        attn = torch.tril(einsum(q_i, k_i, "b h i d, b h j d -> b h i j"))
        terms = torch.stack([einsum(q_i, S, "b h c d, b h d e -> b h c e"), attn @ u_i])
        out.append(reduce(terms, "t b h c e -> b h c e", "sum"))
        S = S + einsum(k_i, u_i, "b h c d, b h c e -> b h d e")
    return rearrange(torch.stack(out), "n b h c d -> b h (n c) d")[:, :, :L], S
