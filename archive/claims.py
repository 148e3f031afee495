"""Names of variants that a running search has given and not archived yet, so that no other archer gives them too."""

import contextlib
import fcntl
import os
from pathlib import Path


class NameClaims:
    """A locked file for each name. A file that nobody has locked was left by an archer that was killed, and counts not.

    The caller holds the archive's lock, but for `release`.
    """

    def __init__(self, folder: Path) -> None:
        """The files are in `folder`, which is made for the first of them."""
        self._folder = folder
        self._held: dict[str, int] = {}

    def claim(self, name: str) -> None:
        """Hold a name that nobody has claimed. Raises OSError."""
        self._folder.mkdir(exist_ok=True)
        self._held[name] = os.open(self._folder / name, os.O_CREAT | os.O_WRONLY)
        fcntl.flock(self._held[name], fcntl.LOCK_EX | fcntl.LOCK_NB)

    def is_claimed(self, name: str) -> bool:
        """Whether a living archer, this one or another, holds the name."""
        with contextlib.suppress(FileNotFoundError), (self._folder / name).open("rb") as found:
            try:
                fcntl.flock(found, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def release(self, name: str) -> None:
        """Let go of a name, whether it was claimed or not."""
        if (held := self._held.pop(name, None)) is not None:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()
            os.close(held)

    def forget_killed(self) -> None:
        """Remove the files of archers that were killed. Raises OSError."""
        if self._folder.is_dir():
            for name in os.listdir(self._folder):  # noqa: PTH208, names are what is wanted
                if not self.is_claimed(name):
                    (self._folder / name).unlink(missing_ok=True)
