"""Attacks that our own code makes from inside a candidate's process, to see whether the layers hold."""

import ctypes
import os
import resource
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from evaluator.sandbox.lockdown import PR_SET_PDEATHSIG, prctl

PTRACE_SEIZE = 0x4206  # attaches without stopping


def attempt(names: list[str], decoy: str) -> dict[str, str]:
    """Make the named attacks. Gives for each the error that stopped it, or an empty text where it got through."""
    return {name: _stopped_by(ATTACKS[name], Path(decoy)) for name in names}


def _stopped_by(attack: Callable[[Path], object], decoy: Path) -> str:
    try:
        attack(decoy)
    except (OSError, ValueError) as error:  # setrlimit puts a refusal into a ValueError
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ""


def _read_environments(_: Path) -> None:
    """Another process's environment: archer's, or the template's."""
    others = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()]
    if not any((entry / "environ").read_bytes() for entry in others):
        raise PermissionError


def _fork(_: Path) -> None:
    if os.fork() == 0:
        os._exit(0)


def _trace_parent(_: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_SEIZE, os.getppid(), None, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _connect(_: Path) -> None:
    with socket.socket() as client:
        client.settimeout(1.0)
        try:
            client.connect(("127.0.0.1", 9))
        except ConnectionRefusedError:
            return  # nobody was at home, but the way there was open


ATTACKS: Mapping[str, Callable[[Path], object]] = {
    "read a file of the user's": lambda decoy: decoy.read_bytes(),
    "read another process's environment": _read_environments,
    "write a file": lambda decoy: decoy.with_name("written").write_bytes(b"x"),
    "write to its own folder": lambda _: Path("written").write_bytes(b"x"),
    "change a file's mode": lambda decoy: decoy.chmod(0o644),
    "open a network connection": _connect,
    "open a local socket": lambda _: socket.socket(socket.AF_UNIX).close(),
    "signal its parent": lambda _: os.kill(os.getppid(), 0),
    "trace its parent": _trace_parent,
    "start a process": _fork,
    "run a program": lambda _: os.posix_spawn("/bin/sh", ["sh", "-c", ":"], {}),
    "outlive archer": lambda _: prctl(PR_SET_PDEATHSIG, 0),
    "lift a resource limit": lambda _: resource.setrlimit(resource.RLIMIT_CPU, (1 << 20, 1 << 20)),
}

ONLY_BY_LANDLOCK = frozenset({"read a file of the user's", "read another process's environment"})
"""What the system-call filter alone leaves open."""
