"""Frames: what goes in comes out, and nothing malformed gets further than an error."""

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.sandbox import frames
from evaluator.sandbox.client import failure_of
from evaluator.sandbox.frames import DTYPES, HEADER_CAP, Channel, DeadlinePassed, FrameError, PeerGone
from evaluator.sandbox.memory_files import Memory
from tests.waiting import PATIENCE


@contextmanager
def ends(size: int = 2**20) -> Iterator[tuple[Channel, Channel, socket.socket]]:
    """archer's end, the candidate's, and the candidate's bare."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    questions, answers = Memory.for_questions(size), Memory.for_answers(size)
    other = Channel(theirs.fileno(), Memory(answers.fd, writable=True), Memory(questions.fd, writable=False))
    with ours, theirs:
        yield Channel(ours.fileno(), questions, answers), other, theirs
    questions.close()
    answers.close()


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    with ends() as (channel, _, theirs):
        yield channel, theirs


def frame(header: bytes, payload: bytes = b"") -> bytes:
    return struct.pack("<I", len(header)) + header + payload


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
@pytest.mark.parametrize("start", [0, 4096])
def test_round_trip(name: str, shape: tuple[int, ...], start: int) -> None:
    with ends() as (ours, theirs, _):
        sent = torch.randint(0, 2, shape).to(DTYPES[name])
        turned = sent.transpose(0, -1) if shape else sent
        for sender, receiver in ((ours, theirs), (theirs, ours)):
            sender.send({"a": 1}, {"x": sent, "t": turned}, start=start)
            body, got = receiver.receive(2**20, time.monotonic() + PATIENCE, start=start)
            assert body == {"a": 1}
            assert torch.equal(got["x"], sent)
            assert got["x"].dtype == sent.dtype
            assert torch.equal(got["t"], turned)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<I", HEADER_CAP + 1),
        frame(b"not json"),
        frame(b"[]"),
        frame(b"{}"),
        frame(b"[" * 100_000),
        frame(b'{"body": [], "tensors": []}'),
        frame(b'{"body": {}, "tensors": 3}'),
        frame(b'{"body": {}, "tensors": [["x", "object", [1]]]}'),
        frame(b'{"body": {}, "tensors": [["x", "float32", [-1]]]}'),
        frame(b'{"body": {}, "tensors": [["x", "float32", [1.5]]]}'),
        frame(b'{"body": {}, "tensors": [["x", "float32", [1099511627775, 1099511627775]]]}'),
        frame(b'{"body": {}, "tensors": [["x", "float32", [1]], ["x", "float32", [1]]]}', b"\0" * 8),
        frame(b'{"body": {}, "tensors": [["x", ["float32"], [1]]]}'),
        frame(b"\xff\xfe"),
    ],
)
def test_malformed_frame_is_refused(pair: tuple[Channel, socket.socket], data: bytes) -> None:
    channel, theirs = pair
    theirs.sendall(data)
    with pytest.raises(FrameError):
        channel.receive(2**20, time.monotonic() + PATIENCE)


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_noise_gives_an_error_of_ours(noise: bytes) -> None:
    with ends() as (channel, _, theirs):
        theirs.sendall(frame(noise))
        theirs.close()
        with pytest.raises((FrameError, PeerGone)):
            channel.receive(2**20, time.monotonic() + PATIENCE)


def test_too_many_bytes_are_refused_unread(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    theirs.sendall(frame(b'{"body": {}, "tensors": [["x", "float32", [1000]]]}'))
    with pytest.raises(FrameError, match="at most 100"):
        channel.receive(100, time.monotonic() + PATIENCE)


def test_silence_ends_at_the_deadline(pair: tuple[Channel, socket.socket]) -> None:
    channel, _ = pair
    began = time.monotonic()
    with pytest.raises(DeadlinePassed):
        channel.receive(100, began + 0.2)
    with pytest.raises(DeadlinePassed):  # the other end does not read either
        channel.send({"x": "x" * 900_000}, {}, time.monotonic() + 0.2)
    assert time.monotonic() - began < PATIENCE


def test_an_end_is_told_from_silence(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    os.close(theirs.detach())
    with pytest.raises(PeerGone):
        channel.receive(100, time.monotonic() + PATIENCE)


NO_ERRORS = (
    None, [], "x", {}, {"kind": "fine", "message": "x"}, {"kind": "crash", "message": 3},
    {"kind": ["crash"], "message": "x"},
    {"kind": "crash", "message": "x", "extra": 1},
)  # fmt: skip


@pytest.mark.parametrize("told", NO_ERRORS)
def test_a_malformed_error_is_garbage(told: object) -> None:
    assert failure_of(told).kind == "garbage"


def test_a_deadline_may_be_further_away_than_the_system_waits_at_once(
    pair: tuple[Channel, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, theirs = pair
    monkeypatch.setattr(frames, "LONGEST_POLL", 1)
    answer = threading.Timer(0.05, theirs.send, [frame(b'{"body": {}, "tensors": []}')])
    answer.start()
    assert channel.receive(100, time.monotonic() + 1e8) == ({}, {})
    with pytest.raises(DeadlinePassed):
        channel.receive(100, time.monotonic() + 0.05)
    monkeypatch.undo()
    theirs.send(frame(b'{"body": {}, "tensors": []}'))
    assert channel.receive(100, time.monotonic() + 1e8) == ({}, {})
