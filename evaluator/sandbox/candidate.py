"""One running candidate as archer sees it: its channel, its log, and how it ended."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from evaluator.outcomes import Failure
from evaluator.sandbox.frames import Channel

END_SECONDS = 10.0


@dataclass(frozen=True)
class Ended:
    """How a candidate's process ended, as the template saw it."""

    code: int
    reason: str | None
    cpu_seconds: float


class Candidate:
    """One running candidate: the channel to it, its log, and its end once it has come."""

    def __init__(self, channel: Channel, log: int, kill: Callable[[str], None]) -> None:
        self.channel, self.log, self.kill = channel, log, kill
        self.ended: Future[Ended] = Future()

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
        if ended.reason == "memory" or ended.reason == "threads":
            return Failure(
                kind="memory", message=f"killed for using too much memory or too many threads ({ended.reason})"
            )
        if ended.reason is not None or ended.code in (-9, -24):
            return Failure(kind="timeout", message=f"killed: {ended.reason or 'out of CPU time'}")
        tail = self.log_tail(400).strip()
        return Failure(
            kind="crash", message=f"its process ended with code {ended.code}" + (f": {tail}" if tail else "")
        )
