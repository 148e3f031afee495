"""Private folders of running sandboxes, and the removal of those whose owner was killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

PREFIX = "archer-"
OWNER = "owner"


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
        for stale in abandoned():
            shutil.rmtree(stale, ignore_errors=True)
        return cls()

    def remove(self) -> None:
        """Remove the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def abandoned() -> Iterator[Path]:
    """Folders of ours whose owner no longer lives; those of other users and of other programs are not looked into."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            ours = not folder.is_symlink() and folder.stat().st_uid == os.getuid()
            lock = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW) if ours else None
        except OSError:
            continue
        if lock is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield folder
            except BlockingIOError:
                pass
            finally:
                os.close(lock)
