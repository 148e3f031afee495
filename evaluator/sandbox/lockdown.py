"""The layers a candidate puts on itself before a line of the variant runs; none of them can be taken off again."""

import ctypes
import os
import resource
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from landlockpy import AccessFS, Ruleset, Scope

from evaluator.sandbox import seccomp
from evaluator.sandbox.limits import Limits

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
SIGKILL = 9
READING = AccessFS.READ_FILE | AccessFS.READ_DIR | AccessFS.EXECUTE
DEVICE = AccessFS.READ_FILE | AccessFS.WRITE_FILE | AccessFS.IOCTL_DEV


@dataclass(frozen=True)
class Layers:
    """Which layers to apply, what may be read, and which device files may be written to."""

    landlock: bool
    seccomp: bool
    readable: tuple[str, ...]
    devices: tuple[str, ...] = ()


def prctl(option: int, value: int) -> None:
    """prctl(2). Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def hide_this_process() -> None:
    """Keep other processes of this user out of this one's memory and environment, and let no core be dumped."""
    if sys.platform == "linux":
        prctl(PR_SET_DUMPABLE, 0)


def die_with_parent(parent: int) -> None:
    """Be killed when the thread that started this process ends. Exits at once if it ended already."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def lock_down(limits: Limits, layers: Layers) -> None:
    """Apply resource limits, Landlock and the system-call filter to this process. Raises OSError: then do not go on."""
    bound(limits)
    if sys.platform == "linux":
        prctl(PR_SET_NO_NEW_PRIVS, 1)
    if layers.landlock:
        restrict_files(layers.readable, layers.devices)
    if layers.seccomp:
        seccomp.install(device_files=bool(layers.devices))


def bound(limits: Limits) -> None:
    """Set the resource limits, hard as soft. A file may grow to the log's size: the log is the only one open."""
    bounds = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_FSIZE: limits.log_bytes,
        resource.RLIMIT_NOFILE: 256,
    }
    if sys.platform == "linux":  # address space would refuse what an accelerator's driver reserves and never uses
        bounds[resource.RLIMIT_DATA] = _private_bytes() + limits.memory_bytes
    for which, value in bounds.items():
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))


def restrict_files(readable: Iterable[str], devices: Iterable[str]) -> None:
    """Landlock: read what is listed, write to nothing but the listed devices, no TCP, no signals to outside."""
    with Ruleset(scoped=Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET) as ruleset:
        for path in readable:
            if Path(path).exists():
                ruleset.allow_path(path, READING if Path(path).is_dir() else AccessFS.READ_FILE | AccessFS.EXECUTE)
        for path in devices:
            ruleset.allow_path(path, DEVICE)
        ruleset.restrict()


def _private_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    return pages * resource.getpagesize()
