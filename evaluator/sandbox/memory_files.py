"""Sealed memory files: tensors pass between archer and a candidate without a byte of them going through a socket.

archer makes a file and seals its size before anybody else has it: one that the other side could shrink would kill the
reader with SIGBUS. The file for questions is sealed against writing too, but for archer's own mapping of it. Reading
copies: whatever is looked at lies where the other side cannot change it any more. Source: memfd_create(2), fcntl(2).
"""

import fcntl
import math
import mmap
import os
from collections.abc import Iterable, Iterator
from typing import Self

import torch
from torch import Tensor

ALIGNMENT = 64
SIZE_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
FUTURE_WRITE = 0x10
"""F_SEAL_FUTURE_WRITE, which Python names from 3.13 on."""

Extent = tuple[torch.dtype, list[int]]
"""dtype and shape of a tensor that lies in a file."""


class DoesNotFit(Exception):  # noqa: N818
    """More bytes of tensors than a memory file holds."""


class Memory:
    """A mapped memory file. Pages that nobody touched cost nothing, so its size is a bound and no price.

    Raises ValueError for a file whose size is not sealed.
    """

    def __init__(self, fd: int, *, writable: bool) -> None:
        if fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SIZE_SEALS != SIZE_SEALS:
            raise ValueError("a memory file that can change its size")
        self.fd, self.size = fd, os.fstat(fd).st_size
        access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        self._map = mmap.mmap(fd, self.size, mmap.MAP_SHARED, access)
        self._bytes = memoryview(self._map)

    @classmethod
    def for_questions(cls, size: int) -> Self:
        """A new file that archer writes and everybody else can only read."""
        fd = _sealed(size)
        memory = cls(fd, writable=True)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, FUTURE_WRITE | fcntl.F_SEAL_SEAL)
        return memory

    @classmethod
    def for_answers(cls, size: int) -> Self:
        """A new file that archer only reads."""
        fd = _sealed(size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
        return cls(fd, writable=False)

    def close(self) -> None:
        """Let go of the file; tensors that are windows into it keep it mapped."""
        self._bytes.release()
        del self._map
        os.close(self.fd)

    def take(self, offset: int, extent: Extent) -> Tensor:
        """A private copy of what lies at `offset`."""
        dtype, shape = extent
        tensor = torch.empty(shape, dtype=dtype)
        if tensor.numel():
            private = memoryview(tensor.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
            private[:] = self._bytes[offset : offset + len(private)]
        return tensor

    def window(self, offset: int, extent: Extent) -> Tensor:
        """The memory at `offset` itself as a tensor. Raises DoesNotFit."""
        dtype, shape = extent
        count = math.prod(shape)
        if offset + count * dtype.itemsize > self.size:
            raise DoesNotFit(f"{offset + count * dtype.itemsize} bytes of tensors; there is room for {self.size}")
        if not count:
            return torch.empty(shape, dtype=dtype)
        return torch.frombuffer(self._map, dtype=dtype, count=count, offset=offset).view(shape)


def _sealed(size: int) -> int:
    fd = os.memfd_create("tensors", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SIZE_SEALS)
    return fd


def extents(tensors: Iterable[Tensor]) -> list[Extent]:
    """dtype and shape of each."""
    return [(x.dtype, list(x.shape)) for x in tensors]


def offsets(found: Iterable[Extent], start: int = 0) -> Iterator[int]:
    """Where tensors lie that follow one another from `start` on, and last of all where the next would."""
    for dtype, shape in found:
        yield start
        start += -(-math.prod(shape) * dtype.itemsize // ALIGNMENT) * ALIGNMENT
    yield start
