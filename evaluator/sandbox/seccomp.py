"""A system-call filter for candidates: what is not listed does not exist.

The filter is an allowlist. Calls outside it fail with ENOSYS, as on an older kernel, so that libraries take their
fallbacks; foreign architectures and the x32 numbers kill. Sources: linux/seccomp.h, linux/bpf_common.h.

An `int` argument is compared in the 32 bits that the kernel looks at, a `long` in all 64: comparing an int in 64 bits
lets a forbidden value through with a high bit set, comparing a long in 32 misses what lies above.
"""

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass

from evaluator.sandbox.syscalls import AARCH64, WITH_DEVICES, X86_64

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
TABLES = {"x86_64": X86_64, "aarch64": AARCH64}
SECCOMP_CALL = {"x86_64": 317, "aarch64": 277}
X32_BIT = 0x40000000

KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
OFFSET_NR, OFFSET_ARCH, OFFSET_ARGS = 0, 4, 16
LOW_32 = 0xFFFFFFFF

SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
CLONE_ONE_PROCESS = 0x100 | 0x800 | 0x10000  # CLONE_VM | CLONE_SIGHAND | CLONE_THREAD: a thread, not a process
CLONE_NAMESPACES = 0x7E020080
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | (getattr(os, "O_TMPFILE", 0) & ~0o200000)
FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC
IOCTL_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIO(N)CLEX
PRCTL_OPTIONS = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True)
class Test:
    """True where `argument & mask == value`; `wide` for an argument that the kernel reads as 64 bits."""

    argument: int
    mask: int
    value: int
    wide: bool = False


Guard = tuple[tuple[Test, ...], ...]
"""Alternatives, each a conjunction of tests."""


def guards(pid: int, *, device_files: bool) -> dict[str, Guard]:
    """The calls that are allowed with some arguments only.

    device_files: whether files may be opened for writing and given any ioctl, as an accelerator's driver needs. Where
    they lie is then left to Landlock.
    """
    int_is = {
        "fcntl": tuple((Test(1, LOW_32, command),) for command in FCNTL_COMMANDS),
        "ioctl": tuple((Test(1, LOW_32, request),) for request in IOCTL_REQUESTS),
        "prctl": tuple((Test(0, LOW_32, option),) for option in PRCTL_OPTIONS),
        "prlimit64": ((Test(0, LOW_32, 0), Test(2, 2**64 - 1, 0, wide=True)),),
        "tgkill": ((Test(0, LOW_32, pid),),),
        "clone": ((Test(0, CLONE_ONE_PROCESS | CLONE_NAMESPACES, CLONE_ONE_PROCESS, wide=True),),),
        "open": ((Test(1, WRITING, 0),),),
        "openat": ((Test(2, WRITING, 0),),),
    }
    if device_files:
        int_is |= dict.fromkeys(("open", "openat", "ioctl"), ((),))
    return int_is


def assemble(machine: str, pid: int, *, device_files: bool = False) -> list[Instruction]:
    """The filter as classic BPF for `machine` (x86_64, aarch64). `pid` is the one process it may signal: itself."""
    guarded = guards(pid, device_files=device_files)
    program: list[Instruction] = [
        (LOAD, 0, 0, OFFSET_ARCH),
        (JUMP_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, OFFSET_NR),
    ]
    if machine == "x86_64":
        program += [(JUMP_AT_LEAST, 0, 1, X32_BIT), (RETURN, 0, 0, KILL)]
    allowed = TABLES[machine] | (WITH_DEVICES[machine] if device_files else {})
    for name, number in allowed.items():
        block = _guarded(guarded[name]) if name in guarded else [(RETURN, 0, 0, ALLOW)]
        program += [(JUMP_EQUAL, 0, len(block), number), *block]
    return [*program, (RETURN, 0, 0, ERRNO | errno.ENOSYS)]


def _guarded(guard: Guard) -> list[Instruction]:
    """Instructions that end in ALLOW for the first alternative that holds, else in EPERM."""
    block: list[Instruction] = []
    for tests in guard:
        words = [word for test in tests for word in _words(test)]
        # a word is load, and, compare: a failed comparison skips what is left of this alternative and its ALLOW
        for position, (offset, mask, value) in enumerate(words):
            left = 3 * (len(words) - position - 1) + 1
            block += [(LOAD, 0, 0, offset), (AND, 0, 0, mask), (JUMP_EQUAL, 0, left, value)]
        block.append((RETURN, 0, 0, ALLOW))
    return [*block, (RETURN, 0, 0, ERRNO | errno.EPERM)]


def _words(test: Test) -> list[tuple[int, int, int]]:
    """(offset, mask, value) of each 32-bit word of the argument to look at; both machines are little-endian."""
    low = OFFSET_ARGS + 8 * test.argument
    words = [(low, test.mask & LOW_32, test.value & LOW_32)]
    if test.wide:
        words.append((low + 4, test.mask >> 32, test.value >> 32))
    return words


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def install(*, device_files: bool = False) -> None:
    """Put the filter on every thread of this process, for good. Needs no_new_privs. Raises OSError."""
    machine = platform.machine()
    if machine not in TABLES:
        raise OSError(errno.ENOSYS, f"no system-call table for {machine}")
    program = assemble(machine, os.getpid(), device_files=device_files)
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *instruction) for instruction in program))
    description = _Program(len(program), ctypes.cast(code, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(description))
    if libc.syscall(ctypes.c_long(SECCOMP_CALL[machine]), *arguments) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")
