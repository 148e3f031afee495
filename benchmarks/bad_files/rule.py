"""The rule that everything keeps that reads what comes from outside, and one example of whether it is kept.

A reader reads it, finds something, or refuses it by an error that its command turns into one line. No other exception,
no more seconds than stated, and nothing on a terminal that a terminal would obey.
"""

import contextlib
import io
import os
import resource
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from hypothesis import strategies as st

from agent.cli import run
from agent.errors import BUG, DONE, NO, USAGE
from agent.terminal.console import clean
from benchmarks.bad_files.contents import Content, Special

READ, FINDING, REFUSED = "read", "finding", "refused"
LONGEST_LINE = 4_000
"""Characters of an error, as it is printed."""
CPU_SECONDS, WAIT_SECONDS = 1.0, 20.0
"""An example takes milliseconds. This is when it is too slow, and when it hangs."""


class RuleBrokenError(AssertionError):
    """What should not have happened."""


@dataclass
class Kind:
    """One kind of file or answer. `read`: takes a content, and says READ, FINDING or REFUSED."""

    name: str
    contents: st.SearchStrategy[Content]
    read: Callable[[Content], str]
    cpu_seconds: float = CPU_SECONDS
    share: float = 1.0
    """Of the examples that are asked for: what is slow has fewer."""
    met: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0

    def look(self, content: Content) -> None:
        """Read one content, in time. Raises RuleBrokenError, or whatever the reader should not have raised."""
        began = time.process_time()
        with in_time(self.cpu_seconds):
            outcome = self.read(content)
        self.slowest = max(self.slowest, time.process_time() - began)
        self.met[outcome] = self.met.get(outcome, 0) + 1


@contextlib.contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """Raise RuleBrokenError in whatever takes more of the processor, or waits for WAIT_SECONDS."""

    def ring(number: int, _: FrameType | None) -> None:
        raise RuleBrokenError("it hangs" if number == signal.SIGALRM else f"at work for {seconds:g} s of CPU")

    limits = ((signal.ITIMER_REAL, signal.SIGALRM, WAIT_SECONDS), (signal.ITIMER_PROF, signal.SIGPROF, seconds))
    before = {number: signal.signal(number, ring) for _, number, _ in limits}
    for timer, _, limit in limits:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for timer, number, _ in limits:
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def refusing(refuses: type[Exception] | tuple[type[Exception], ...], read: Callable[[], object]) -> str:
    """How reading ends, where these errors are a refusal."""
    try:
        found = read()
    except refuses as error:
        if not str(error).strip():
            raise RuleBrokenError(f"{type(error).__name__} says nothing") from error
        return REFUSED
    return FINDING if isinstance(found, str) and found == FINDING else READ


def put(path: Path, content: Content) -> None:
    """Put a content in the place of whatever is at a path."""
    remove(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    match content:
        case bytes():
            path.write_bytes(content)
        case Special.FOLDER:
            path.mkdir()
        case Special.PIPE:
            os.mkfifo(path)
        case Special.SOCKET:
            _socket(path)
        case Special.LINK_TO_NOTHING:
            path.symlink_to("nothing-of-this-name")
        case Special.LINK_TO_ITSELF:
            path.symlink_to(path.name)
        case Special.LINK_TO_ENDLESS:
            path.symlink_to("/dev/zero")
        case Special.LINK_OUT:
            path.symlink_to("/etc/passwd")
        case Special.MISSING:
            pass


def remove(path: Path) -> None:
    """Whatever is at a path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound, tempfile.TemporaryDirectory() as short:
        bound.bind(f"{short}/s")  # a socket's path is short
        shutil.move(f"{short}/s", path) if Path(short).stat().st_dev == path.parent.stat().st_dev else None


@contextlib.contextmanager
def standing(path: Path, content: Content) -> Iterator[None]:
    """A content at a path, and afterwards what was there."""
    before: Content = path.read_bytes() if path.is_file() else Special.MISSING
    try:
        put(path, content)
        yield
    finally:
        put(path, before)


def command(*arguments: str, whole: bool = True) -> str:
    """How a command ends. whole: what it prints is looked at; else it is a file's content. Raises RuleBrokenError."""
    out, err = _stream(), _stream()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(list(arguments))
    said, complaint = _written(out), _written(err)
    if code == BUG or code not in (DONE, NO, USAGE):
        raise RuleBrokenError(f"archer {' '.join(arguments)} ended with {code}: {complaint[-3000:]}")
    for text in (said, complaint) if whole else (complaint,):
        if text != clean(text):
            raise RuleBrokenError(f"archer {' '.join(arguments)} printed {next(x for x in text if clean(x) != x)!r}")
    last = complaint.rstrip("\n").rpartition("\n")[2]
    if code == USAGE and not last.startswith("archer: "):
        raise RuleBrokenError(f"archer {' '.join(arguments)} gave no reason: {complaint[-300:]!r}")
    if code == USAGE and len(last) > LONGEST_LINE:
        raise RuleBrokenError(f"archer {' '.join(arguments)} gave a reason of {len(last)} characters")
    return {DONE: READ, NO: FINDING, USAGE: REFUSED}[code]


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


def without_settings() -> None:
    """Forget the settings of whoever runs this."""
    for name in ("ARCHER_ARCHIVE", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        os.environ.pop(name, None)


def with_memory(more: int) -> None:
    """Let this process take only so many bytes more than it has now, so that what takes more raises MemoryError."""
    now = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, resource.RLIM_INFINITY))
