"""Kernels as people write them, as sources: kernels that each test changes at some places."""

from variants.contract import Variant

HEADER = "import torch\nimport torch.nn.functional as F\n"
WHOLE_CHUNKS = """
def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    dtype = v.dtype
    B, H, L, D = q.shape
    C = chunk_size
    q, k, v, weight = (x.reshape(B, H, L // C, C, -1) for x in (q * D**-0.5, k, v, beta))
    below = torch.ones(C, C, dtype=torch.bool, device=q.device).tril(-1)
    upto = torch.ones(C, C, dtype=torch.bool, device=q.device).tril()
    system = ((weight * k) @ k.mT).masked_fill(~below, 0)
    u = torch.linalg.solve_triangular(system, weight * v, upper=False, unitriangular=True)
    w = torch.linalg.solve_triangular(system, weight * k, upper=False, unitriangular=True)
    S = q.new_zeros(B, H, D, v.shape[-1])
    o = []
    for i in range(L // C):
        error = u[:, :, i] - w[:, :, i] @ S
        o.append(q[:, :, i] @ S + (q[:, :, i] @ k[:, :, i].mT).masked_fill(~upto, 0) @ error)
        S = S + k[:, :, i].mT @ error
    o = torch.cat(o, 2)
    return o, S
"""
"""Takes whole chunks only, and fails at other lengths in `reshape`."""

ANY_LENGTH = WHOLE_CHUNKS.replace(
    "    C = chunk_size\n",
    "    C, short = chunk_size, -L % chunk_size\n"
    "    q, k, v = (F.pad(x, (0, 0, 0, short)) for x in (q, k, v))\n"
    "    beta, L = F.pad(beta, (0, short)), L + short\n",
).replace("    o = torch.cat(o, 2)\n", "    o = torch.cat(o, 2)[:, :, : L - short]\n")

FIRST = "    B, H, L, D = q.shape\n"
LAST = "    return o, S\n"
TO_FLOAT32 = "    q, k, v, beta = (x.float() for x in (q, k, v, beta))\n"
BACK = "    return o.to(dtype), S.to(dtype)\n"

MIXED = """
def convolve(x, y):
    x, y, n = x.float(), y.float(), 2 * x.shape[2]
    product = torch.fft.rfft(x, n=n, dim=2) * torch.fft.rfft(y, n=n, dim=2)
    return torch.fft.irfft(product, n=n, dim=2)[:, :, : x.shape[2]]


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    dtype, L = v.dtype, v.shape[2]
    mixed = FORMULA
    o = q.sum(-1, keepdim=True) * mixed
    S = torch.einsum("bhl,bhld,bhle->bhde", beta, k, v)
    return o.to(dtype), S.to(dtype)
"""
"""Values mixed along the sequence, by FFT or otherwise: causal in mathematics, up to rounding in numbers."""
FILTERED = MIXED.replace(
    "FORMULA", "convolve(beta[..., None] * v, torch.exp(-torch.arange(L, device=q.device) / 16)[None, None, :, None])"
)
FILTERED_BY_KEYS = MIXED.replace("FORMULA", "convolve(beta[..., None] * v, k.mean(-1, True))")
SUFFIX_SUMS = MIXED.replace("FORMULA", "v.sum(2, True) - v.flip(2).cumsum(2).flip(2) + v")
SHIFTED = MIXED.replace(
    "    mixed = FORMULA\n",
    """    gate = 0.1 * torch.log1p(beta).cumsum(2)
    gate = (gate - gate.amax(2, keepdim=True)).exp()[..., None]
    mixed = (gate * v).cumsum(2) / gate.cumsum(2)
""",
)
ALL_FLOAT32 = ("dtype, L = v.dtype, v.shape[2]\n", f"dtype, L = v.dtype, v.shape[2]\n{TO_FLOAT32}")
OF_FLOAT64 = ("x.float(), y.float()", "x.to(torch.promote_types(x.dtype, y.dtype)), y")


def changed(source: str, *changes: tuple[str, str]) -> str:
    """A source with pieces exchanged, each of which it must have."""
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


def variant(source: str, name: str = "written") -> Variant:
    """A kernel file with the usual imports."""
    return Variant(name=name, source=HEADER + source)
