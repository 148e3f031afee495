"""Kernels that take whole chunks only: called with padding at other lengths, and cropped, wherever a kernel is called.

Such a kernel is told by what it does: it takes no length inside of a chunk, and takes the length that ends it. One that
fails at a single length is not of this kind, and fails.
"""

import math
from typing import Any

import torch
from torch import Tensor

from evaluator.kernel import Kernel
from evaluator.sandbox.state_guard import Trace

FIXED_CHUNKS = (64, 128)
"""Sizes that kernels fix for themselves, whatever `chunk_size` says."""
ENDS_THE_CALL = (MemoryError, torch.OutOfMemoryError, FloatingPointError, Trace)
"""What another length cannot mend, or must not."""


class AnyLength:
    """A kernel for any length; `fed_lengths` says where it was fed another one, by length and chunk size.

    Where the kernel takes a length, its result there is the kernel's own, bit for bit.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.fed_lengths: dict[tuple[int, int], int] = {}

    def __call__(self, *inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        """Run the kernel. Raises what it raises at the length of the inputs, where no padding helps."""
        length = inputs[0].shape[2]
        if fed := self.fed_lengths.get((length, chunk_size)):
            return _cropped(self.kernel(*resized(inputs, fed), chunk_size=chunk_size), length)
        versions = [x._version for x in inputs]
        try:
            result = self.kernel(*inputs, chunk_size=chunk_size)
            failure: Exception | None = None
        except ENDS_THE_CALL:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a variant raises
            result, failure = None, error
        if failure is None and _length(result) in (length, None):
            return result  # type: ignore[return-value]
        if [x._version for x in inputs] == versions:  # else the inputs are no longer what they were
            for fed in _whole_lengths(length, chunk_size):
                attempt = self._at(inputs, chunk_size, fed)
                if _length(attempt) == fed and not self._takes_another_before(fed, inputs, chunk_size):
                    self.fed_lengths[length, chunk_size] = fed
                    return _cropped(attempt, length)
                if self.fed_lengths and isinstance(attempt, Exception):
                    failure = attempt  # that it needs padding is known: what padding does not mend is told
        if failure is not None:
            raise failure
        return result  # type: ignore[return-value]

    def _at(self, inputs: tuple[Tensor, ...], chunk_size: int, length: int) -> Any:
        """What the kernel returns, or raises, at another length."""
        try:
            return self.kernel(*resized(inputs, length), chunk_size=chunk_size)
        except Exception as error:  # noqa: BLE001 - whatever a variant raises
            return error

    @torch.no_grad()
    def _takes_another_before(self, whole: int, inputs: tuple[Tensor, ...], chunk_size: int) -> bool:
        """Whether the kernel takes a length just before `whole`, other than that of the inputs."""
        near = whole - 1 if whole - 1 != inputs[0].shape[2] else whole - 2
        return near < 1 or _length(self._at(inputs, chunk_size, near)) == near


def _whole_lengths(length: int, chunk_size: int) -> list[int]:
    """Longer lengths that may be whole to a kernel, the shortest first."""
    sizes = {chunk_size, *(math.lcm(chunk_size, fixed) for fixed in FIXED_CHUNKS)}
    power_of_two = 1 << (max(length, chunk_size) - 1).bit_length()
    return sorted({power_of_two, *(length + -length % size for size in sizes)} - {length})


def resized(inputs: tuple[Tensor, ...], length: int) -> tuple[Tensor, ...]:
    """q, k, v `[B, H, L, D]` and the gates `[B, H, L]` at another length: cropped, or padded so that no state changes.

    There v, beta and g (the log of a decay) are 0; q and k are unit vectors, as a kernel may divide by their norms.
    """
    missing = length - inputs[0].shape[2]
    if missing <= 0:
        return tuple(x[:, :, :length] for x in inputs)
    ends = [torch.zeros_like(x[:, :, :1]).detach() for x in inputs]
    for unit in ends[:2]:
        unit[..., 0] = 1.0
    pairs = zip(inputs, ends, strict=True)
    return tuple(torch.cat([x, end.expand(-1, -1, missing, *x.shape[3:])], 2) for x, end in pairs)


def _cropped(result: Any, length: int) -> tuple[Tensor, Tensor]:
    """The result without the padded positions of o; what is no pair (o, S) as it is."""
    if _length(result) is None:
        return result  # type: ignore[no-any-return]
    o, S = result
    return o[:, :, :length], S


def _length(result: Any) -> int | None:
    """Positions of o in a result (o, S); None where there is none."""
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        return None
    o = result[0]
    return o.shape[2] if isinstance(o, Tensor) and o.dim() == 4 else None
