"""Private folders of running sandboxes and merges, and the removal of those whose owner was killed."""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

PREFIX = "archer-"
OWNER = "owner"
OURS = {"owner.new", "packages", "home", "template.log", "decoy", "other.git", "files"}
UNOWNED_SECONDS = 60.0
"""A folder without an owner for that long was left by a process that was killed as it made or removed it."""


class PrivateFolder:
    """A folder for as long as its process lives. A lock in it tells others that somebody still does."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        waiting = self.path / "owner.new"
        self._lock = os.open(waiting, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        waiting.rename(self.path / OWNER)  # under this name it is held by somebody or by nobody any more

    @classmethod
    def fresh(cls) -> Self:
        """A new folder, after those of killed processes are gone."""
        remove_abandoned()
        return cls()

    @classmethod
    @contextmanager
    def held(cls) -> Iterator[Path]:
        """The path of a fresh one, which is removed in the end."""
        folder = cls.fresh()
        try:
            yield folder.path
        finally:
            folder.remove()

    def remove(self) -> None:
        """Remove the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_abandoned() -> None:
    """Remove the folders of processes that were killed."""
    for stale in abandoned():
        shutil.rmtree(stale, ignore_errors=True)


def abandoned() -> Iterator[Path]:
    """Folders of ours whose owner no longer lives; those of other users and of other programs are not looked into."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if _is_private(folder) and (_unlocked(folder / OWNER) or _unowned(folder)):
                yield folder
        except OSError:  # somebody else removes it just now, or it is none of ours
            continue


def _is_private(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _unlocked(owner: Path) -> bool:
    try:
        lock = os.open(owner, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _unowned(folder: Path) -> bool:
    names = {entry.name for entry in os.scandir(folder)}
    found = folder.stat()
    alone = stat.S_IMODE(found.st_mode) == 0o700 and time.time() - found.st_mtime > UNOWNED_SECONDS
    return alone and len(folder.name) == len(PREFIX) + 8 and names <= OURS  # as mkdtemp names and makes it
