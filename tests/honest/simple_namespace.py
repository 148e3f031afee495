"""State in a namespace, inside a context that does nothing."""

from contextlib import nullcontext
from types import SimpleNamespace

import torch


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    st = SimpleNamespace(S=q.new_zeros(q.shape[0], q.shape[1], q.shape[3], v.shape[3]), n=0)
    out = []
    with nullcontext():
        for t in range(q.shape[2]):
            st.S = st.S + beta[:, :, t, None, None] * k[:, :, t, :, None] * v[:, :, t, None, :]
            st.n += 1
            out.append((q[:, :, t, None] @ st.S)[:, :, 0] / st.n)
    return torch.stack(out, 2), st.S
