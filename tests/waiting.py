"""Waiting for the very thing that a test asks about, however busy the machine is."""

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 300.0
"""Seconds. What happens at all happens sooner, even where other programs have nearly all of the processors."""


def wait_until(happened: Callable[[], object], what: str) -> None:
    """Return once `happened()` is true. Raises AssertionError that names `what` after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
