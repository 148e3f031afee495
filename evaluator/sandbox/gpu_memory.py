"""A GPU's memory: each candidate's share, set inside of it by PyTorch and watched from outside by NVML."""

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.5
CONTEXT_BYTES = 2**30
"""What CUDA and its libraries may take beside PyTorch's tensors, which alone the bound inside counts."""

Usage = Callable[[], Mapping[int, int]]
"""Bytes of GPU memory by process, numbered as this process sees them."""


def bound_here(limit: int) -> None:
    """Let PyTorch in this process hold at most so many bytes of tensors on the GPU. Starts CUDA."""
    import torch

    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total))


def nvml() -> Usage | None:
    """What NVML says of all GPUs of this machine; None without the package `nvidia-ml-py` or without its driver."""
    try:
        library: Any = importlib.import_module("pynvml")
        library.nvmlInit()
    except Exception:  # noqa: BLE001 - ImportError, or an error class of a module that may be missing
        return None

    def usage() -> Mapping[int, int]:
        found: dict[int, int] = {}
        with suppress(library.NVMLError):  # a GPU that cannot be asked now may be asked the next time
            for index in range(library.nvmlDeviceGetCount()):
                device = library.nvmlDeviceGetHandleByIndex(index)
                for process in library.nvmlDeviceGetComputeRunningProcesses(device):
                    # without a number where the driver does not say, as in some containers
                    found[process.pid] = found.get(process.pid, 0) + (process.usedGpuMemory or 0)
        return found

    return usage


class Watch:
    """Looks now and then at what each watched process holds, and tells who holds more than its limit.

    over: called with the name of a candidate. root: the process below which the candidates run.
    """

    def __init__(self, usage: Usage, root: int, over: Callable[[str], None]) -> None:
        self._usage, self._root, self._over = usage, root, over
        self._limits: dict[str, tuple[int, int]] = {}
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="gpu memory", daemon=True).start()

    def add(self, name: str, pid: int, limit: int) -> None:
        """Watch a candidate. pid: its number in its own namespace."""
        self._limits[name] = (pid, limit)

    def remove(self, name: str) -> None:
        """Watch it no more."""
        self._limits.pop(name, None)

    def stop(self) -> None:
        """End."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            if self._limits:
                for name in self._beyond():
                    self._over(name)

    def _beyond(self) -> list[str]:
        watched, held = dict(self._limits), self._usage()
        inner = {own: outer for outer, own in below(self._root)} if held else {}
        return [
            name
            for name, (pid, limit) in watched.items()
            if pid in inner and held.get(inner[pid], 0) > limit + CONTEXT_BYTES
        ]


def below(root: int) -> Iterator[tuple[int, int]]:
    """The number of each process below `root`, as this process sees it and in its own namespace. Source: proc(5)."""
    parents: dict[int, int] = {}
    own: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                lines = (folder / "status").read_text().splitlines()
            except OSError:  # it has ended
                continue
            facts = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
            parents[int(folder.name)] = int(facts["PPid"][0])
            own[int(folder.name)] = int(facts["NSpid"][-1])
    for pid in own:
        ancestor: int | None = parents[pid]
        while ancestor is not None and ancestor != root:
            ancestor = parents.get(ancestor)
        if ancestor == root or pid == root:
            yield pid, own[pid]
