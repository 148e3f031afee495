"""Memory files: neither side can shrink them, only one can write each, and a copy stays what it was."""

import ctypes
import mmap
import os
import socket
import textwrap
from collections.abc import Iterator

import pytest
import torch

from evaluator.sandbox import Sandbox, VariantFailed
from evaluator.sandbox.frames import Channel, FrameError
from evaluator.sandbox.memory_files import DoesNotFit, Memory
from variants.contract import Variant

SIZE = 2**16
F32 = torch.float32
HEAD = "import torch\n\nos = torch.os\n\n\ndef delta_rule_chunkwise(q, k, v, beta, chunk_size=32):\n"


@pytest.fixture(params=["questions", "answers"])
def memory(request: pytest.FixtureRequest) -> Iterator[Memory]:
    made = Memory.for_questions(SIZE) if request.param == "questions" else Memory.for_answers(SIZE)
    yield made
    os.close(made.fd)


@pytest.mark.parametrize("size", [0, SIZE // 2, 2 * SIZE])
def test_nobody_changes_the_size(memory: Memory, size: int) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(memory.fd, size)
    assert memory.take(SIZE - 4, (F32, [1])).tolist() == [0.0]


def test_a_file_that_could_shrink_is_refused() -> None:
    fd = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, SIZE)
    with pytest.raises(ValueError, match="change its size"):
        Memory(fd, writable=False)
    os.close(fd)


def test_questions_are_read_only_but_for_archer() -> None:
    questions = Memory.for_questions(SIZE)
    questions.window(0, (F32, [2])).copy_(torch.tensor([1.0, 2.0]))
    with pytest.raises(PermissionError):
        Memory(questions.fd, writable=True)
    with pytest.raises(PermissionError):
        os.pwrite(questions.fd, b"x", 0)
    assert Memory(questions.fd, writable=False).take(0, (F32, [2])).tolist() == [1.0, 2.0]
    os.close(questions.fd)


def test_a_copy_does_not_follow_what_the_other_side_writes_later() -> None:
    answers = Memory.for_answers(SIZE)
    theirs = Memory(answers.fd, writable=True)
    theirs.window(0, (F32, [3])).fill_(1.0)
    copy = answers.take(0, (F32, [3]))
    theirs.window(0, (F32, [3])).fill_(float("nan"))
    assert copy.tolist() == [1.0, 1.0, 1.0]
    os.close(answers.fd)


def test_a_hole_punched_by_the_other_side_reads_as_zeros() -> None:
    answers = Memory.for_answers(SIZE)
    theirs = mmap.mmap(answers.fd, SIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    theirs[:4] = b"abcd"
    address = ctypes.addressof(ctypes.c_char.from_buffer(theirs))
    madv_remove = 9
    assert ctypes.CDLL(None).madvise(ctypes.c_void_p(address), ctypes.c_size_t(SIZE), madv_remove) == 0
    assert answers.take(0, (F32, [1])).tolist() == [0.0]
    os.close(answers.fd)


def test_what_does_not_fit_is_refused_by_either_side() -> None:
    ours, theirs = socket.socketpair()
    answers = Memory.for_answers(SIZE)
    with ours, theirs:
        channel = Channel(ours.fileno(), Memory(answers.fd, writable=True), answers)
        with pytest.raises(DoesNotFit):
            channel.send({}, {"x": torch.zeros(SIZE)})
        channel.send({}, {"x": torch.zeros(8)})
        with pytest.raises(FrameError, match="expected"):
            Channel(theirs.fileno(), answers, answers).receive(2**30, start=SIZE)
    os.close(answers.fd)


SHRINK = """
def size(fd):
    try:
        return os.fstat(fd).st_size
    except os.error:
        return None

before = [size(fd) for fd in range(3, 64)]
for fd in range(3, 64):
    for attack in (lambda: os.ftruncate(fd, 0), lambda: os.ftruncate(fd, 2**31), lambda: os.pwrite(fd, b"x", 2**31)):
        try:
            attack()
        except os.error:
            pass
after = [size(fd) for fd in range(3, 64)]
raise ValueError("as before" if before == after and any(before) else repr([before, after]))
"""


def test_a_variant_cannot_shrink_them_and_archer_lives(sandbox: Sandbox) -> None:
    """It reaches os, past the fence, and tries every descriptor; the size of what it holds stays what it was."""
    attacker = Variant(name="shrink", source=HEAD + textwrap.indent(SHRINK, "    "))
    q = torch.ones(1, 1, 2, 2)
    with sandbox.kernel(attacker) as kernel:
        with pytest.raises(VariantFailed, match="ValueError: as before"):
            kernel(q, q, q, q[..., 0])
        inbox = kernel._candidate.channel.inbox
        assert inbox.take(inbox.size - 4, (F32, [1])).tolist() == [0.0]
