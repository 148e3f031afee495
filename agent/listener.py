"""Who watches an ask: the thread that asks says what it is at, without knowing who hears it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


def _nobody(_: str) -> None:
    """Hears nothing."""


@dataclass(frozen=True)
class Listener:
    """`detail` is given what goes on just now, `announce` a line that stays."""

    detail: Callable[[str], None] = _nobody
    announce: Callable[[str], None] = _nobody


_LISTENER: ContextVar[Listener] = ContextVar("listener", default=Listener())  # noqa: B039 - it is frozen


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Have this thread's words heard by `listener` until the block ends."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tell(text: str) -> None:
    """Say what goes on just now, in a few words."""
    _LISTENER.get().detail(text)


def announce(text: str) -> None:
    """Say something that is to stay on screen, as one line."""
    _LISTENER.get().announce(text)
