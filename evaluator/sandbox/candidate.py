"""One running candidate as archer sees it: its channel, its log, and how it ended."""

import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from evaluator.outcomes import Failure
from evaluator.sandbox.frames import Channel, DeadlinePassed, FrameError, PeerGone
from evaluator.sandbox.limits import OUT_OF_MEMORY, Limits, SandboxUnavailable
from evaluator.sandbox.memory_files import Memory

START_SECONDS = 60.0
END_SECONDS = 10.0
NEARLY, TICKS = 0.9, 1.0
"""The share of its CPU time, less some seconds, from which on the system may have killed a candidate for that.

The system holds a process to its limit by counting ticks, which on a busy machine are not its true CPU time.
"""


@dataclass(frozen=True)
class Ended:
    """How a candidate's process ended, as the template saw it."""

    code: int
    reason: str | None
    cpu_seconds: float


class SandboxedProcess:
    """One candidate: the channel to it, its log, and its end once it has come. `kill` needs a reason."""

    def __init__(self, limits: Limits, kill: Callable[[str], None], ask_for_cpu: Callable[[], None]) -> None:
        self.limits, self.kill, self._ask_for_cpu = limits, kill, ask_for_cpu
        self.cpu: SimpleQueue[float] = SimpleQueue()
        self.ended: Future[Ended] = Future()
        self.log = os.memfd_create("log")
        self._socket, self._theirs = socket.socketpair()
        self._socket.setblocking(False)
        questions, answers = Memory.for_questions(limits.exchange_bytes), Memory.for_answers(limits.exchange_bytes)
        self.channel = Channel(self._socket.fileno(), questions, answers)

    def hand_over(self, order: Callable[[list[int]], None]) -> None:
        """Have the process started with its ends: of the channel, its log, and the two memory files."""
        with self._theirs:
            order([self._theirs.fileno(), self.log, self.channel.outbox.fd, self.channel.inbox.fd])

    def await_start(self) -> None:
        """Wait until it is locked down: on a busy machine that takes a while, which no variant shall be blamed for.

        Raises SandboxUnavailable.
        """
        try:
            self.channel.receive(0, time.monotonic() + START_SECONDS)
        except (PeerGone, DeadlinePassed, FrameError) as error:
            raise SandboxUnavailable(f"a candidate did not start: {self.log_tail(400).strip() or error}") from error

    def end(self) -> None:
        """Close the channel, at which an honest worker exits at once; a candidate that lingers is killed."""
        self.channel.fd = -1  # the number may name another file soon
        self._theirs.close()
        self._socket.close()
        with suppress(SandboxUnavailable):
            try:
                self.ended.result(0.2)
            except TimeoutError:
                self.kill("closed")
                with suppress(TimeoutError):
                    self.ended.result(END_SECONDS)
        os.close(self.log)
        self.channel.outbox.close()
        self.channel.inbox.close()

    def cpu_seconds(self) -> float:
        """CPU time used so far, as the template reads it from the system. Raises SandboxUnavailable."""
        self._ask_for_cpu()
        try:
            return self.cpu.get(timeout=END_SECONDS)
        except Empty:
            raise SandboxUnavailable("the sandbox's template process does not answer") from None

    def log_tail(self, size: int = 4096) -> str:
        """The last `size` bytes that the candidate printed."""
        end = os.fstat(self.log).st_size
        return os.pread(self.log, size, max(0, end - size)).decode(errors="replace")

    def failure(self) -> Failure:
        """Why the candidate closed its channel. Raises SandboxUnavailable where the fault is ours."""
        try:
            ended = self.ended.result(END_SECONDS)
        except TimeoutError:
            return Failure(kind="garbage", message="closed its channel and went on running")
        if ended.reason in ("memory", "threads", "GPU memory"):
            return Failure(
                kind="memory", message=f"killed for using too much memory or too many threads ({ended.reason})"
            )
        nearly_all = NEARLY * self.limits.cpu_seconds - TICKS
        if ended.reason is None and ended.code == -9 and ended.cpu_seconds < nearly_all:
            return Failure(kind="memory", message="killed by the system, as where the machine has no memory left")
        if ended.reason is not None or ended.code in (-9, -24):
            return Failure(kind="timeout", message=f"killed: {ended.reason or 'out of CPU time'}")
        if ended.code == OUT_OF_MEMORY:
            return Failure(kind="memory", message="ran out of memory, so far that it could not say where")
        tail = self.log_tail(400).strip()
        return Failure(
            kind="crash", message=f"its process ended with code {ended.code}" + (f": {tail}" if tail else "")
        )
