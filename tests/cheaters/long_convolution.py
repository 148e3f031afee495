"""Weighs the whole past with a filter as long as the sequence."""

import torch
import torch.nn.functional as F


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    B, H, L, Dk = q.shape
    D = v.shape[-1]
    decay = torch.exp(-0.01 * torch.arange(L, device=v.device, dtype=v.dtype)).flip(0).expand(D, 1, L)
    x = F.pad((v * beta[..., None]).flatten(0, 1).mT, (L - 1, 0))
    o = F.conv1d(x, decay, groups=D).mT.unflatten(0, (B, H))
    return o * (q * k).sum(-1, keepdim=True), k.mT @ v
