"""What a kernel computes, as a few numbers: outputs and gradients on fixed probes, equal for rewritings of one formula.

The probes have the shapes of the protocols that a search is judged by: for each chunk size the shortest and the longest
sequence that any of them feeds, at the width of its heads. By the check of prefixes, what a kernel does at lengths
between follows. Of the very long there is one only, at the largest magnitudes: a kernel that loops over positions takes
seconds for it.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluator.checks.inert import felt
from evaluator.checks.inputs import REGIMES, Shape, draw
from evaluator.kernel import Kernel
from evaluator.protocols.built_in import JUDGING
from evaluator.tasks.registry import fed_length, longest_fed
from variants.contract import CHUNK_SIZE, KernelContract

Fingerprint = tuple[float, ...]
Prints = NDArray[np.float64]
"""`[N, WIDTH]`: the number of inputs; then, for each probe, projections of o and of the gradients."""

PROJECTIONS = 6
TOLERANCE = 2e-5
"""Of outputs, relative to a probe's largest: above what float32 inside a kernel costs, below what any idea changes."""
GRADIENT_TOLERANCE = 1e-3
"""Of gradients, which float32 costs more of. They tell apart what outputs do not: where a gradient is stopped."""
FLOOR = 1e-4
"""A gradient this much smaller than the outputs is a zero that rounding moved."""
DIGITS = 9
GRADIENT_LENGTH = 128
"""Gradients are probed up to this length: a kernel that loops over positions keeps a state for each."""


class Twin(NamedTuple):
    """A known variant that computes the same, or the same up to a positive scale of the output, its `multiple`."""

    name: str
    multiple: float | None = None


class Probe(NamedTuple):
    """Inputs that every kernel is shown."""

    regime: str
    shape: Shape
    chunk_size: int


def probes() -> tuple[Probe, ...]:
    """Of each chunk size of those protocols: the shortest sequence, and the longest at small and large magnitudes.

    What is longer than `LONG` is cut to it at all magnitudes but one.
    """
    met: dict[int, set[tuple[int, int]]] = {}
    for protocol in JUDGING:
        for plan in protocol.tasks.values():
            head, fed = protocol.width // protocol.heads, (fed_length, longest_fed)
            lengths = {(length(setting), head) for setting in plan.settings for length in fed}
            met.setdefault(plan.chunk_size, set()).update(lengths)
    found = []
    for chunk_size, lengths in sorted(met.items()):
        (short, narrow), (long, wide) = min(lengths), max(lengths)
        found.append(Probe("unit", (1, 2, short, narrow, narrow), chunk_size))
        lengths_of = {regime: long if regime == LOUDEST else min(long, LONG) for regime in LOUDNESS}
        found += [Probe(regime, (1, 1, length, wide, wide), chunk_size) for regime, length in lengths_of.items()]
    return tuple(found)


LOUDNESS = ("unit", "training", "loud", "repeats")
"""Small and large states: a clip that never clips on one probe does on another."""
LOUDEST = "loud"
LONG = 256
PROBES = probes()
PROBES_HASH = hashlib.sha256(repr((PROBES, PROJECTIONS, GRADIENT_LENGTH, REGIMES)).encode()).hexdigest()[:16]
"""Prints of other probes, as of an older archer with other protocols, do not compare with those of these."""
KEY_PROBE = 1
"""The probe whose first output is what is looked for first: nearly all ideas move it, over several chunks."""


def fingerprint(
    kernel: Kernel, contract: KernelContract, refused: Collection[int] = (), dtype: torch.dtype = torch.float64
) -> Fingerprint:
    """Outputs on each probe, and gradients as a mixer lets them through, on fixed random directions.

    `refused`: chunk sizes that the kernel does not take; it is shown those probes in chunks of the default size, and is
    the twin of what depends on no chunk size if it does not either. `dtype`: float32 where a kernel knows no other;
    prints compare all the same. Empty for a kernel that overflows: it has no print. Raises VariantFailed when the
    kernel does.
    """
    numbers: list[float] = [len(contract.inputs)]
    for index, probe in enumerate(PROBES):
        leaves = draw(contract, probe.shape, REGIMES[probe.regime], seed=20_000 + index, dtype=torch.float64)
        steep = probe.shape[2] <= GRADIENT_LENGTH
        inputs = [x.to(dtype).requires_grad_(steep) for x in leaves]
        o, _ = kernel(*inputs, chunk_size=CHUNK_SIZE if probe.chunk_size in refused else probe.chunk_size)
        numbers += _projected([o.detach()], index)
        numbers += _projected(_gradients(contract, inputs, o, index), index) if steep else [0.0] * PROJECTIONS
    return tuple(float(f"{x:.{DIGITS}g}") for x in numbers) if all(map(math.isfinite, numbers)) else ()


def _gradients(contract: KernelContract, inputs: Sequence[Tensor], o: Tensor, seed: int) -> list[Tensor]:
    """Of the output weighted at random, as they pass through the mixer's normalisation; zero where none arrives."""
    if not o.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    weights = torch.randn(o.shape, generator=torch.Generator().manual_seed(500 + seed), dtype=torch.float64)
    grads = torch.autograd.grad((o * weights.to(o.dtype)).sum(), list(inputs), allow_unused=True)
    passed = felt(contract, [x.detach() for x in inputs], grads)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, passed, strict=True)]


def _projected(tensors: Sequence[Tensor], seed: int) -> list[float]:
    """Sums over all tensors, each weighted by random numbers: the product of one for a row and one for a column."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(PROJECTIONS, dtype=torch.float64)
    for x in tensors:
        flat = x.detach().double().reshape(-1, x.shape[-1])
        rows, columns = (torch.randn(PROJECTIONS, n, generator=generator, dtype=flat.dtype) for n in flat.shape)
        total += ((rows @ flat) * columns).sum(1) / flat.numel() ** 0.5
    return [float(x) for x in total]


def agree(prints: Prints, one: Prints) -> NDArray[np.bool_]:
    """Which rows of `prints` `[N, D]` are of kernels that compute what that of `one` `[D]` does, up to rounding."""
    same_inputs = prints[:, 0] == one[0]
    a, b = (x.reshape(-1, len(PROBES), 2, PROJECTIONS) for x in (prints[:, 1:], one[1:]))
    scale = np.maximum(np.abs(a).max(3), np.abs(b).max(3))  # [N, probes, 2]
    scale[..., 1] = np.maximum(scale[..., 1], FLOOR * scale[..., 0])
    allowed = scale * np.array([TOLERANCE, GRADIENT_TOLERANCE])
    found: NDArray[np.bool_] = same_inputs & (np.abs(a - b) <= allowed[..., None]).all((1, 2, 3))
    return found


def same(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two fingerprints are of kernels that compute the same, up to rounding."""
    if len(one) != len(other) or len(one) != WIDTH:
        return False
    return bool(agree(np.array([one]), np.array(other))[0])


def unscaled(prints: Prints) -> Prints:
    """`prints` `[N, WIDTH]` with each probe's numbers over the root mean square of its outputs: of no scale."""
    parts = prints[:, 1:].reshape(-1, len(PROBES), 2, PROJECTIONS)
    scale = np.sqrt((parts[:, :, 0] ** 2).mean(2))  # [N, probes]
    parts = parts / np.where(scale == 0, 1.0, scale)[..., None, None]
    return np.concatenate([prints[:, :1], parts.reshape(len(prints), -1)], axis=1)


def multiple(one: Sequence[float], other: Sequence[float]) -> float | None:
    """By which positive number the outputs of `one` are those of `other`; None if by none within `MULTIPLES`.

    A scale may follow from the shape, as sqrt(Dk) does, so that probes differ in it; it is that of the key probe. The
    mixer divides its heads' output by sqrt(mean square + epsilon), so a positive scale is lost but for epsilon.
    """
    if len(one) != len(other) or len(one) != WIDTH:
        return None
    prints = np.array([one, other])
    both = unscaled(prints)
    if not agree(both[:1], both[1])[0]:
        return None
    outputs = prints[:, 1:].reshape(2, len(PROBES), 2, PROJECTIONS)[:, :, 0]
    sizes = np.sqrt((outputs**2).mean(2))  # [2, probes]
    ratios = np.divide(sizes[0], sizes[1], out=np.ones(len(PROBES)), where=sizes[1] > 0)
    low, high = MULTIPLES
    return float(ratios[KEY_PROBE]) if low <= ratios.min() and ratios.max() <= high else None


MULTIPLES = (0.5, 32.0)
"""Scales of an output that count as none. Much smaller, and epsilon would decide what the mixer's norm lets through."""
WIDTH = 1 + 2 * PROJECTIONS * len(PROBES)


SOME = 10_000
"""So many fingerprints are brought into another form at a time, for the memory that it takes."""


class FingerprintTable:
    """Fingerprints by name, the oldest first.

    Those near in one number are found by bisection; of these, those near in one number of each probe are compared
    whole. The windows are as wide as `agree` allows at most, so nothing is lost at the border of a bucket.
    """

    def __init__(self, names: Sequence[str], prints: Prints, form: Callable[[Prints], Prints] = np.asarray) -> None:
        """`prints`: `[N, WIDTH]`, a row a name. form: in which they are compared, row by row."""
        self.names, self.prints, self._form = list(names), prints.reshape(-1, WIDTH), form
        parts = [self.prints[start : start + SOME] for start in range(0, max(1, len(self.prints)), SOME)]
        firsts = np.concatenate([form(part)[:, 1 :: 2 * PROJECTIONS] for part in parts])
        self._order = np.argsort(firsts[:, KEY_PROBE], kind="stable")
        self._firsts = firsts[self._order]  # [N, probes], by rising key
        self._keys = np.ascontiguousarray(self._firsts[:, KEY_PROBE])

    def find(self, one: Sequence[float], but: str | None = None) -> str | None:
        """Name of the oldest that computes the same, other than `but`; None for a print of other probes."""
        if len(one) != WIDTH:
            return None
        wanted = np.array(one)
        outputs = wanted[1:].reshape(len(PROBES), 2, PROJECTIONS)[:, 0]
        reach = TOLERANCE * (1 + 2 * TOLERANCE) * np.abs(outputs).max(1)  # [probes]
        firsts = outputs[:, 0]
        low = np.searchsorted(self._keys, firsts[KEY_PROBE] - reach[KEY_PROBE], "left")
        high = np.searchsorted(self._keys, firsts[KEY_PROBE] + reach[KEY_PROBE], "right")
        near = (np.abs(self._firsts[low:high] - firsts) <= reach).all(1).nonzero()[0] + low
        rows = np.sort(self._order[near])
        matches = rows[agree(self._form(self.prints[rows]), wanted)] if rows.size else rows
        return next((self.names[i] for i in matches if self.names[i] != but), None)
