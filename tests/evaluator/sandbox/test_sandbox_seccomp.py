"""The system-call filter as a program: run here, instruction by instruction, on calls that no test could make."""

import errno
import struct

import pytest

from evaluator.sandbox.seccomp import (
    ALLOW,
    AND,
    AUDIT_ARCH,
    CLONE_ONE_PROCESS,
    ERRNO,
    JUMP_AT_LEAST,
    JUMP_EQUAL,
    KILL,
    LOAD,
    RETURN,
    TABLES,
    WITH_DEVICES,
    assemble,
)

PID = 4711
MACHINES = sorted(TABLES)
REFUSED, UNKNOWN = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
HIGH = 1 << 32


def run(machine: str, number: int, *arguments: int, arch: int | None = None, device_files: bool = False) -> int:
    """What the filter returns for a call."""
    arguments = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("<IIQ6Q", number, AUDIT_ARCH[machine] if arch is None else arch, 0, *arguments)
    accumulator, at = 0, 0
    program = assemble(machine, PID, device_files=device_files)
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        if code == LOAD:
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif code == AND:
            accumulator &= k
        elif code == RETURN:
            return k
        else:
            holds = {JUMP_EQUAL: accumulator == k, JUMP_AT_LEAST: accumulator >= k}[code]
            at += if_true if holds else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_program_is_valid_bpf(machine: str) -> None:
    program = assemble(machine, PID)
    assert len(program) <= 4096
    for position, (code, if_true, if_false, _) in enumerate(program):
        assert 0 <= if_true < 256
        assert 0 <= if_false < 256
        if code in (JUMP_EQUAL, JUMP_AT_LEAST):
            assert position + 1 + max(if_true, if_false) < len(program)
    assert program[-1][0] == RETURN


@pytest.mark.parametrize("machine", MACHINES)
def test_plain_calls_pass_and_unlisted_ones_do_not_exist(machine: str) -> None:
    table = TABLES[machine]
    assert run(machine, table["read"]) == ALLOW
    assert run(machine, table["mmap"]) == ALLOW
    assert run(machine, 435) == UNKNOWN  # clone3
    assert run(machine, 437) == UNKNOWN  # openat2
    assert run(machine, 425) == UNKNOWN  # io_uring_setup


@pytest.mark.parametrize("machine", MACHINES)
def test_foreign_architectures_kill(machine: str) -> None:
    others = [0x40000003, 0x40000028, *(arch for name, arch in AUDIT_ARCH.items() if name != machine)]
    assert {run(machine, 0, arch=arch) for arch in others} == {KILL}


def test_x32_numbers_kill() -> None:
    assert run("x86_64", 0x40000000) == KILL
    assert run("x86_64", 0x40000000 | TABLES["x86_64"]["read"]) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_high_bits_do_not_get_an_int_past_the_filter(machine: str) -> None:
    """The kernel reads 32 bits of these arguments: whatever stands above must change nothing."""
    table = TABLES[machine]
    for high in (0, HIGH, 0xFFFFFFFF << 32):
        assert run(machine, table["openat"], 0, 0, high | 0) == ALLOW
        for flags in (0o1, 0o2, 0o100, 0o1000, 0o2000, 0o20200000):
            assert run(machine, table["openat"], 0, 0, high | flags) == REFUSED
        assert run(machine, table["fcntl"], 3, high | 8) == REFUSED  # F_SETOWN
        assert run(machine, table["prctl"], high | 1) == REFUSED  # PR_SET_PDEATHSIG
        assert run(machine, table["tgkill"], high | PID) == ALLOW
        assert run(machine, table["tgkill"], high | 1) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
def test_long_arguments_are_compared_in_full(machine: str) -> None:
    table = TABLES[machine]
    assert run(machine, table["clone"], CLONE_ONE_PROCESS | 0x3D0F00) == ALLOW
    assert run(machine, table["clone"], 17) == REFUSED
    assert run(machine, table["clone"], CLONE_ONE_PROCESS | 0x10000000) == REFUSED  # CLONE_NEWUSER
    assert run(machine, table["prlimit64"], 0, 7, 0) == ALLOW
    assert run(machine, table["prlimit64"], 0, 7, HIGH) == REFUSED  # a pointer whose low half is 0
    assert run(machine, table["prlimit64"], 1, 7, 0) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_dangerous_is_listed(machine: str) -> None:
    dangerous = (
        "socket connect execve execveat fork vfork kill ptrace chmod fchmodat unlink rename mount keyctl bpf setrlimit"
    )
    assert not set(dangerous.split()) & {*TABLES[machine], *WITH_DEVICES[machine]}


@pytest.mark.parametrize("machine", MACHINES)
def test_what_a_driver_asks_for_exists_only_where_there_are_device_files(machine: str) -> None:
    for number in WITH_DEVICES[machine].values():
        assert run(machine, number) == UNKNOWN
        assert run(machine, number, device_files=True) == ALLOW
    assert run(machine, TABLES[machine]["clone"], 17, device_files=True) == REFUSED
