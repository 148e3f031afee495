"""Strikes this process before or after its k-th act on a folder: a write, a rename, a git call and the like.

Only a child process of the benchmark installs an injector; archer knows nothing of it.
"""

import builtins
import contextlib
import datetime
import errno
import io
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Blow = Literal["kill", "group", "full", "short", "back", "forth"]
"""kill: SIGKILL to this process; group: to its children too. full: from now on every write fails, the disk being full;
short: the same after half of the bytes. back, forth: the clock jumps by a day."""
DAY = 86400.0


@dataclass(frozen=True)
class Moment:
    """Before or after the act with this number, counted from 0. A negative number is no moment."""

    number: int
    side: Literal["before", "after"] = "before"
    blow: Blow = "kill"


class Injector:
    """Counts acts on files below `folder`, writes a line for each to `log`, and strikes once."""

    def __init__(self, folder: Path, moment: Moment, log: Path) -> None:
        self._folder, self._moment = os.path.realpath(folder), moment
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._lock = threading.Lock()
        self._count = 0
        self._full = False
        self._shift = 0.0

    def install(self) -> None:
        """Wrap what archer, GitPython and the standard library write with. There is no way back in this process."""
        for name in ("rename", "replace", "mkdir", "unlink", "remove", "rmdir", "fsync", "symlink", "open"):
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        io.open = builtins.open = self._opening(io.open)  # type: ignore[assignment]
        sqlite3.connect = self._connecting(sqlite3.connect)  # type: ignore[assignment]
        self._wrap_popen()
        self._wrap_clock()

    @contextmanager
    def act(self, kind: str, detail: str, *, fills: bool = True) -> Iterator[bool]:
        """One act. Yields whether half of it is to be done and then the disk is full. Raises OSError (ENOSPC)."""
        with self._lock:
            number, self._count = self._count, self._count + 1
            os.write(self._log, f"{kind} {detail}\n".encode())
        here = number == self._moment.number
        if here and self._moment.side == "before":
            self._strike()
        if self._full and fills:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), detail)
        short = here and self._moment.blow == "short"
        self._full = self._full or short
        try:
            yield short
        finally:
            if here and self._moment.side == "after":
                self._strike()

    def _strike(self) -> None:
        blow = self._moment.blow
        if blow == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif blow == "group":
            os.killpg(0, signal.SIGKILL)
        elif blow == "full":
            self._full = True
        elif blow != "short":
            self._shift = DAY if blow == "forth" else -DAY

    def _place(self, path: Any, dir_fd: int | None = None) -> str | None:
        """Path below the folder; None for what is elsewhere."""
        try:
            if isinstance(path, int):
                whole = str(Path(f"/proc/self/fd/{path}").readlink())
            else:
                base = f"/proc/self/fd/{dir_fd}" if dir_fd is not None else "/proc/self/cwd"
                base = str(Path(base).readlink())
                whole = os.path.normpath(os.path.join(base, os.fsdecode(path)))  # noqa: PTH118
        except (OSError, TypeError, ValueError):
            return None
        return whole.removeprefix(self._folder) if whole.startswith(self._folder) else None

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            made = name != "open" or bool(options.get("flags", arguments[1]) & os.O_CREAT)
            place = self._place(arguments[0], options.get("dir_fd")) if made else None
            if place is None:
                return real(*arguments, **options)
            with self.act(name, place, fills=name in ("mkdir", "fsync", "symlink", "open")):
                return real(*arguments, **options)

        return wrapped

    def _opening(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            place = self._place(file) if set(mode) & set("wax+") else None
            if place is None:
                return real(file, mode, *arguments, **options)
            if isinstance(file, int):
                return _Counted(real(file, mode, *arguments, **options), self, place)
            with self.act("create", place):
                stream = real(file, mode, *arguments, **options)
            return _Counted(stream, self, place)

        return opened

    def _connecting(self, real: Callable[..., Any]) -> Callable[..., Any]:
        injector = self

        class Connection(sqlite3.Connection):
            def __exit__(self, kind: Any, *rest: Any) -> Any:
                if kind is not None:
                    return super().__exit__(kind, *rest)
                with injector._as_sqlite(), injector.act("sqlite", "commit"):
                    return super().__exit__(None, None, None)

        def connect(database: Any, *arguments: Any, **options: Any) -> Any:
            return real(database, *arguments, **options, factory=Connection)

        return connect

    @contextmanager
    def _as_sqlite(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise sqlite3.OperationalError("database or disk is full") from error

    def _wrap_popen(self) -> None:
        injector, begin, wait = self, subprocess.Popen.__init__, subprocess.Popen.wait

        def begun(process: Any, command: Any, *arguments: Any, **options: Any) -> None:
            if injector._shift:
                date = f"@{int(time.time())} +0000"
                given = options.get("env") or dict(os.environ)
                options["env"] = {**given, "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
            if (what := _git(command)) is None:
                return begin(process, command, *arguments, **options)
            process.git = what
            with injector.act("start", f"git {what}", fills=False):
                return begin(process, command, *arguments, **options)

        def waited(process: Any, *arguments: Any, **options: Any) -> int:
            what, process.git = getattr(process, "git", None), None
            if what is None:
                return wait(process, *arguments, **options)
            with injector.act("end", f"git {what}", fills=False):
                return wait(process, *arguments, **options)

        subprocess.Popen.__init__ = begun  # type: ignore[assignment,method-assign]
        subprocess.Popen.wait = waited  # type: ignore[assignment,method-assign]

    def _wrap_clock(self) -> None:
        real, known, injector = time.time, datetime.datetime, self
        time.time = lambda: real() + injector._shift

        class Shifted(known):  # type: ignore[misc, valid-type]
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return known.fromtimestamp(time.time(), tz)

        if self._moment.blow in ("back", "forth"):
            for module in list(sys.modules.values()):
                if getattr(module, "datetime", None) is known:
                    module.datetime = Shifted  # type: ignore[attr-defined]


class _Counted:
    """A file open for writing, whose writes are acts."""

    def __init__(self, stream: Any, injector: Injector, place: str) -> None:
        self._stream, self._injector, self._place = stream, injector, place

    def write(self, content: Any) -> Any:
        if not content:
            return self._stream.write(content)
        with self._injector.act("write", self._place) as short:
            if not short:
                return self._stream.write(content)
            self._stream.write(content[: len(content) // 2])
            self._stream.flush()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._place)

    def __enter__(self) -> Any:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._stream.__exit__(*error)

    def __iter__(self) -> Any:
        return iter(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _git(command: Any) -> str | None:
    """The subcommand of a call of git; None for any other program."""
    words = [command] if isinstance(command, str | bytes) else [os.fsdecode(word) for word in command]
    if "git" not in (words[0], words[3] if len(words) > 3 else ""):
        return None
    at = words.index("git") + 1
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in ("-c", "-C") else 1
    return words[at] if at < len(words) else ""


def random_death(seconds: float, *, group: bool) -> None:
    """Kill this process, with its children if `group`, when so many seconds have passed."""

    def die() -> None:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(0, signal.SIGKILL) if group else os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=die, daemon=True).start()


WRITING_GIT = ("add", "clone", "commit", "commit-tree", "fetch", "hash-object", "init", "mktree", "reset", "update-ref")


def drawn_moments(drawn: random.Random, acts: list[str], count: int) -> list[int]:
    """Numbers of acts, of every kind some: three quarters of those that change what stays, then of the others."""
    changing = [number for number, act in enumerate(acts) if _changes(act)]
    others = [number for number, act in enumerate(acts) if not _changes(act)]
    chosen = _spread(drawn, acts, changing, count - min(len(others), count // 4))
    return sorted(chosen + _spread(drawn, acts, others, count - len(chosen)))


def _changes(act: str) -> bool:
    kind, what, *rest = act.split()
    if kind in ("start", "end"):
        return rest[0] in WRITING_GIT
    return what.startswith(("/archive", "/site"))


def _spread(drawn: random.Random, acts: list[str], numbers: list[int], count: int) -> list[int]:
    """So many of these acts, in turn of each kind."""
    by_kind: dict[str, list[int]] = {}
    for number in drawn.sample(numbers, len(numbers)):
        kind, what, *_ = acts[number].split()
        by_kind.setdefault(acts[number] if what == "git" else f"{kind} {what.rpartition('/')[0]}", []).append(number)
    chosen: list[int] = []
    while len(chosen) < min(count, len(numbers)):
        for queue in drawn.sample(list(by_kind.values()), len(by_kind)):
            if queue and len(chosen) < count:
                chosen.append(queue.pop())
    return chosen
