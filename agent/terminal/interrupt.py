"""Ctrl-C: the first asks for an orderly end, the second ends at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(stop: Callable[[], None], announce: Callable[[str], None]) -> Iterator[threading.Event]:
    """Call `stop` at the first SIGINT or SIGTERM, and set the event yielded; raise KeyboardInterrupt at the second."""
    interrupted = threading.Event()

    def handle(_signal: int, _frame: object) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        stop()
        announce(
            "stopping: what is finished is kept, what is under way is archived as INTERRUPTED; Ctrl-C again to quit now"
        )

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
