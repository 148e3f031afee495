"""The template process: imports torch once, then forks a locked-down child for each candidate and watches over it.

Runs inside bubblewrap where there is one. It is our code and touches no variant: it forks before a variant is read.
It must stay single-threaded, since a forked child has the forking thread only.
"""

import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluator.sandbox import worker
from evaluator.sandbox.frames import Channel
from evaluator.sandbox.limits import OUT_OF_MEMORY, Limits
from evaluator.sandbox.lockdown import Layers, die_with_parent, hide_this_process, lock_down
from evaluator.sandbox.memory_files import Memory

MESSAGE_CAP = 2**16
TICK_MS = 50
CPUCLOCK_SCHED = 2
"""With a process id, makes the number of its CPU clock; source: MAKE_PROCESS_CPUCLOCK in linux/posix-timers_types.h."""


@dataclass
class ForkedProcess:
    """A running child: its bounds and, once we had to end it, why."""

    pid: int
    pidfd: int
    limits: Limits
    reason: str | None = None


class Template:
    """Serves one control socket: spawn and kill requests in, started and ended events out."""

    def __init__(self, control: socket.socket, layers: Layers, device: str) -> None:
        self.control, self.layers, self.device = control, layers, device
        self.candidates: dict[str, ForkedProcess] = {}

    def serve(self) -> None:
        """Run until archer closes the socket, then take every candidate along."""
        self._tell(event="ready")
        while self._turn():
            self._watch()
        for candidate in self.candidates.values():
            os.kill(candidate.pid, signal.SIGKILL)

    def _turn(self) -> bool:
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        for candidate in self.candidates.values():
            poll.register(candidate.pidfd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(TICK_MS if self.candidates else None)}
        for name, candidate in list(self.candidates.items()):
            if candidate.pidfd in ready:
                self._bury(name, candidate)
        return self.control.fileno() not in ready or self._obey()

    def _obey(self) -> bool:
        message, fds, _, _ = socket.recv_fds(self.control, MESSAGE_CAP, 4)
        if not message:
            return False
        order = json.loads(message)
        if order["op"] == "warm up":
            worker.warm_up()
        elif order["op"] == "spawn":
            self._spawn(order, fds)
        elif order["name"] in self.candidates:
            candidate = self.candidates[order["name"]]
            if order["op"] == "kill":
                self._kill(candidate, order["reason"])
            else:
                self._tell(event="cpu", name=order["name"], cpu_seconds=_cpu_seconds(candidate.pid))
        return True

    def _spawn(self, order: dict[str, Any], fds: list[int]) -> None:
        if order["mode"] == "train":
            importlib.import_module("evaluator.training.ensemble")
        limits = Limits(**order["limits"])
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(order["mode"], parent, limits, *fds)
        for fd in fds:
            os.close(fd)
        self.candidates[order["name"]] = ForkedProcess(pid, os.pidfd_open(pid), limits)
        self._tell(event="begun", name=order["name"], pid=pid)

    def _become(
        self, mode: str, parent: int, limits: Limits, socket_: int, log: int, questions: int, answers: int
    ) -> None:
        """The child: never returns."""
        try:
            die_with_parent(parent)
            os.setsid()
            for candidate in self.candidates.values():
                os.close(candidate.pidfd)
            self.control.close()
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.close(log)
            channel = Channel(socket_, Memory(answers, writable=True), Memory(questions, writable=False))
            lock_down(limits, self.layers)
            worker.serve(mode, channel, self.device, limits.gpu_bytes)
            sys.stdout.flush()
        except BaseException as error:  # noqa: BLE001 - whatever it is must not unwind into the template's loop
            try:
                os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace")[-4096:])
            finally:  # even if it cannot be told
                os._exit(OUT_OF_MEMORY if isinstance(error, MemoryError) else 70)
        os._exit(0)

    def _watch(self) -> None:
        for candidate in self.candidates.values():
            rss, threads = _usage(candidate.pid)
            if rss > candidate.limits.memory_bytes + self.baseline:
                self._kill(candidate, "memory")
            elif threads > candidate.limits.threads:
                self._kill(candidate, "threads")

    @property
    def baseline(self) -> int:
        """Resident bytes that every child starts with: its share of this process."""
        return _usage(os.getpid())[0]

    def _kill(self, candidate: ForkedProcess, reason: str) -> None:
        candidate.reason = candidate.reason or reason
        os.kill(candidate.pid, signal.SIGKILL)

    def _bury(self, name: str, candidate: ForkedProcess) -> None:
        _, status, usage = os.wait4(candidate.pid, 0)
        os.close(candidate.pidfd)
        del self.candidates[name]
        code = os.waitstatus_to_exitcode(status)
        cpu_seconds = usage.ru_utime + usage.ru_stime
        self._tell(event="ended", name=name, code=code, reason=candidate.reason, cpu_seconds=cpu_seconds)

    def _tell(self, **event: Any) -> None:
        self.control.send(json.dumps(event).encode())


def _usage(pid: int) -> tuple[int, int]:
    """(resident bytes, threads) of a child not yet waited for."""
    rss = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    threads = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[17])
    return rss, threads


def _cpu_seconds(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)


def main(control_fd: int, parent: int | None, layers: str, device: str) -> None:
    """Start as the template. `parent`: its process id, unless a namespace hides it."""
    if parent is not None:
        die_with_parent(parent)
    Path("/proc/self/oom_score_adj").write_text("1000")
    worker.prepare()
    gc.freeze()  # else a collection in a child copies every page it touches
    gc.enable()  # which it was not while all that stays was imported
    hide_this_process()
    Template(socket.socket(fileno=control_fd), Layers(**json.loads(layers)), device).serve()
    os._exit(0)  # nothing is left to do, and Python takes a tenth of a second to take all that is imported apart
