"""Ctrl-C: the first asks for an orderly end, the second ends at once. A closed terminal is no worse than Ctrl-C."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible(stop: Callable[[], None], announce: Callable[[str], None]) -> Iterator[threading.Event]:
    """Call `stop` at the first of SIGNALS, and set the event yielded; raise KeyboardInterrupt at the second.

    A signal that is ignored, as `nohup` has it, stays ignored. A second SIGHUP is none: a terminal that closes may send
    it to archer, and then the shell does.
    """
    interrupted = threading.Event()
    terminals = [number for number in _outputs() if os.isatty(number)]

    def handle(number: int, _frame: object) -> None:
        if number == signal.SIGHUP:
            _silence(terminals)
            if interrupted.is_set():
                return
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        stop()
        announce(
            "stopping: what is finished is kept, what is under way is archived as INTERRUPTED; Ctrl-C again to quit now"
        )

    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _outputs() -> Iterator[int]:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # it is closed, or no file
            yield stream.fileno()


def _silence(terminals: Iterable[int]) -> None:
    """Send what goes to terminals that are gone to nowhere: to write to them would be an error."""
    for number in terminals:
        if not os.isatty(number):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
