"""Frames between archer and a candidate: a length and strict JSON on a socket, tensors in two sealed memory files.

Never pickle: whatever arrives is numbers. A frame says dtypes and shapes; where each tensor lies follows from them.
"""

import json
import math
import os
import select
import struct
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from evaluator.sandbox.memory_files import Extent, Memory, extents, offsets

HEADER_CAP = 2**20
TENSORS_CAP = 4096
LONGEST_POLL = 3_600_000
"""Milliseconds. The system takes less than 25 days at once, and a training may be given more."""
DTYPES: dict[str, torch.dtype] = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8,
        torch.uint8, torch.bool, torch.complex64, torch.complex128,
    )
}  # fmt: skip


class FrameError(Exception):
    """What arrived is no frame of this protocol."""


class PeerGone(Exception):  # noqa: N818
    """The other end closed the channel."""


class DeadlinePassed(Exception):  # noqa: N818
    """The other end did not answer in time."""


class Channel:
    """One end: a stream socket, a memory file to write tensors to and one to read them from.

    Without a deadline it blocks; with one the descriptor must be non-blocking. Questions and answers take turns, so
    that each file holds one frame's tensors at a time.
    """

    def __init__(self, fd: int, outbox: Memory, inbox: Memory) -> None:
        self.fd, self.outbox, self.inbox = fd, outbox, inbox

    def send(
        self, body: Mapping[str, Any], tensors: Mapping[str, Tensor], deadline: float | None = None, *, start: int = 0
    ) -> None:
        """Send one frame. Tensors may lie on any device and in any memory order; they arrive contiguous on the CPU.

        start: bytes at the front of the outbox to leave alone. Raises PeerGone, DoesNotFit, and DeadlinePassed when
        `deadline` (of time.monotonic) passes first.
        """
        stored = {name: x.detach() for name, x in tensors.items()}
        table = [[name, str(x.dtype).removeprefix("torch."), list(x.shape)] for name, x in stored.items()]
        header = json.dumps({"body": body, "tensors": table}, allow_nan=True).encode()
        if len(header) > HEADER_CAP:
            raise FrameError(f"a header of {len(header)} bytes")
        for offset, tensor in zip(offsets(extents(stored.values()), start), stored.values(), strict=False):
            self.outbox.window(offset, (tensor.dtype, list(tensor.shape))).copy_(tensor)
        self._write(memoryview(struct.pack("<I", len(header)) + header), deadline)

    def receive(
        self, cap: int, deadline: float | None = None, *, start: int = 0, copy: bool = True
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Receive one frame with at most `cap` bytes of tensors, which lie from `start` on in the inbox.

        copy: else the tensors are the inbox itself, and change with the next frame. Raises FrameError for anything
        malformed or larger, PeerGone, and DeadlinePassed.
        """
        (size,) = struct.unpack("<I", self._read(4, deadline))
        if size > HEADER_CAP:
            raise FrameError(f"a header of {size} bytes")
        body, table = _parse(bytes(self._read(size, deadline)))
        *places, end = offsets(table.values(), start)
        total = sum(math.prod(shape) * dtype.itemsize for dtype, shape in table.values())
        if total > cap or end > self.inbox.size:
            raise FrameError(f"{total} bytes of tensors where at most {min(cap, self.inbox.size)} were expected")
        get = self.inbox.take if copy else self.inbox.window
        return body, {name: get(offset, extent) for offset, (name, extent) in zip(places, table.items(), strict=True)}

    def answers_within(self, seconds: float) -> bool:
        """Whether something arrives, an end of the stream included, before so many seconds have passed."""
        try:
            self._wait(select.POLLIN, time.monotonic() + seconds)
        except DeadlinePassed:
            return False
        return True

    def _read(self, size: int, deadline: float | None) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        while view:
            self._wait(select.POLLIN, deadline)
            try:
                count = os.readv(self.fd, [view])
            except BlockingIOError:
                continue
            except OSError as error:
                raise PeerGone(str(error)) from error
            if count == 0:
                raise PeerGone("end of stream")
            view = view[count:]
        return buffer

    def _write(self, view: memoryview, deadline: float | None) -> None:
        while view:
            self._wait(select.POLLOUT, deadline)
            try:
                view = view[os.write(self.fd, view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise PeerGone(str(error)) from error

    def _wait(self, event: int, deadline: float | None) -> None:
        if deadline is None:
            return
        poll = select.poll()
        poll.register(self.fd, event)
        while (left := deadline - time.monotonic()) > 0:
            if poll.poll(min(math.ceil(left * 1000), LONGEST_POLL)):
                return
        raise DeadlinePassed


def _parse(header: bytes) -> tuple[dict[str, Any], dict[str, Extent]]:
    try:
        document = json.loads(header)
        body, table = document["body"], document["tensors"]
        entries = [_entry(row) for row in table]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FrameError(f"malformed header: {error}") from error
    if not isinstance(body, dict) or len(entries) > TENSORS_CAP or len(dict(entries)) != len(entries):
        raise FrameError("malformed header")
    return body, dict(entries)


def _entry(row: Any) -> tuple[str, Extent]:
    name, dtype, shape = row
    if not (isinstance(name, str) and isinstance(shape, list) and len(shape) <= 16):
        raise ValueError("tensor entry")
    if not all(type(n) is int and 0 <= n < 2**40 for n in shape):
        raise ValueError("tensor shape")
    return name, (DTYPES[dtype], shape)
