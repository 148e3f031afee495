"""Frames between archer and a candidate: a length, strict JSON, then raw tensors of declared dtype and shape.

Never pickle: whatever arrives is numbers. Plain socket writes rather than shared memory, so that the sender cannot
change or shrink what the receiver is reading.
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

HEADER_CAP = 2**20
TENSORS_CAP = 4096
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
    """One end of a stream socket. Without a deadline it blocks; with one the descriptor must be non-blocking."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def send(self, body: Mapping[str, Any], tensors: Mapping[str, Tensor], deadline: float | None = None) -> None:
        """Send one frame. Tensors may lie on any device and in any memory order; they arrive contiguous on the CPU.

        Raises PeerGone, and DeadlinePassed when `deadline` (of time.monotonic) passes first.
        """
        stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        table = [[name, str(x.dtype).removeprefix("torch."), list(x.shape)] for name, x in stored.items()]
        header = json.dumps({"body": body, "tensors": table}, allow_nan=True).encode()
        if len(header) > HEADER_CAP:
            raise FrameError(f"a header of {len(header)} bytes")
        self._write(memoryview(struct.pack("<I", len(header)) + header), deadline)
        for tensor in stored.values():
            self._write(_bytes_of(tensor), deadline)

    def receive(self, cap: int, deadline: float | None = None) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Receive one frame with at most `cap` bytes of tensors.

        Raises FrameError for anything malformed or larger, PeerGone, and DeadlinePassed.
        """
        (size,) = struct.unpack("<I", self._read(4, deadline))
        if size > HEADER_CAP:
            raise FrameError(f"a header of {size} bytes")
        body, table = _parse(bytes(self._read(size, deadline)))
        if (total := sum(math.prod(shape) * dtype.itemsize for _, dtype, shape in table)) > cap:
            raise FrameError(f"{total} bytes of tensors where at most {cap} were expected")
        tensors = {}
        for name, dtype, shape in table:
            tensor = torch.empty(shape, dtype=dtype)
            self._fill(_bytes_of(tensor), deadline)
            tensors[name] = tensor
        return body, tensors

    def _read(self, size: int, deadline: float | None) -> bytearray:
        buffer = bytearray(size)
        self._fill(memoryview(buffer), deadline)
        return buffer

    def _fill(self, view: memoryview, deadline: float | None) -> None:
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
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(math.ceil(left * 1000)):
            raise DeadlinePassed


def _bytes_of(tensor: Tensor) -> memoryview:
    if tensor.numel() == 0:
        return memoryview(b"")
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


Entry = tuple[str, torch.dtype, list[int]]


def _parse(header: bytes) -> tuple[dict[str, Any], list[Entry]]:
    try:
        document = json.loads(header)
        body, table = document["body"], document["tensors"]
        entries = [_entry(row) for row in table]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FrameError(f"malformed header: {error}") from error
    if not isinstance(body, dict) or len(entries) > TENSORS_CAP or len({entry[0] for entry in entries}) != len(entries):
        raise FrameError("malformed header")
    return body, entries


def _entry(row: Any) -> Entry:
    name, dtype, shape = row
    if not (isinstance(name, str) and isinstance(shape, list) and len(shape) <= 16):
        raise ValueError("tensor entry")
    if not all(type(n) is int and 0 <= n < 2**40 for n in shape):
        raise ValueError("tensor shape")
    return name, DTYPES[dtype], shape
