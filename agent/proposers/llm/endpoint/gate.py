"""One wait for all: an endpoint that is busy for one ask is busy for the others, too."""

import random
import threading
import time
from collections.abc import Callable

LONGEST_WAIT = 30.0
"""Seconds of the longest pause between two looks at an endpoint that does not say how long it is busy."""
SPREAD = 0.1
"""Share of a pause by which the asks that waited together start apart."""

Clock = Callable[[], float]


class StillShutError(Exception):
    """The gate opens too late for this ask. `reason`: what the endpoint said; `seconds`: until it opens."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds


class Gate:
    """Every request passes; a request that finds the endpoint busy shuts it for all. Thread-safe.

    Pauses grow while nothing but "busy" comes back. Requests that were under way together count as one look.
    """

    def __init__(
        self, cancelled: threading.Event, clock: Clock = time.monotonic, wait: Callable[[float], bool] | None = None
    ) -> None:
        """`cancelled` ends every wait. `wait(seconds)` is true if it was cancelled meanwhile."""
        self._clock = clock
        self._wait = wait or cancelled.wait
        self._lock = threading.Lock()
        self._opens_at = 0.0
        self._look = 0
        self._pauses = 0
        self._reason = ""

    def enter(self, until: float, tell: Callable[[float, str], None]) -> int | None:
        """Wait until the gate is open; a ticket for `shut` and `passed`, None if cancelled.

        `tell` is given the seconds and the reason of each wait before it. Raises StillShutError where the gate opens
        after `until`.
        """
        while True:
            with self._lock:
                left, opens_at = self._opens_at - self._clock(), self._opens_at
                look, reason = self._look, self._reason
            if left <= 0:
                return look
            if opens_at >= until:
                raise StillShutError(reason, left)
            tell(left, reason)
            if self._wait(left * random.uniform(1, 1 + SPREAD)):
                return None

    def shut(self, ticket: int, first: float, stated: float | None, reason: str) -> None:
        """The endpoint was busy for the request with this ticket, and asked to wait `stated` seconds if it said so.

        The pause is never shorter than stated. It doubles from look to look, beginning with `first` seconds.
        """
        with self._lock:
            pause = stated or 0.0
            if ticket == self._look:  # else others have met the same, and the pause is theirs
                self._look += 1
                self._pauses += 1
                grown = min(first * 2.0 ** min(self._pauses - 1, 16), LONGEST_WAIT)
                pause = max(pause, grown * random.uniform(1, 1.5))
            self._opens_at = max(self._opens_at, self._clock() + pause)
            self._reason = reason

    def passed(self, ticket: int) -> None:
        """A request got through: the next pause is short again."""
        with self._lock:
            if ticket == self._look:
                self._pauses = 0

    def opens_in(self) -> float:
        """Seconds until it opens; 0 if it is open."""
        with self._lock:
            return max(0.0, self._opens_at - self._clock())
