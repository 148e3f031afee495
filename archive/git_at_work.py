"""Whether a git works in a work tree, and the locks that a killed one left there."""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

PATIENCE = 10.0
"""Seconds to wait for a git that works in the archive, as one does whose archer was killed."""
FRESH = 1.0
"""Seconds for which a lock is taken to be of a program that is no git and ends soon."""
_PROCESSES = Path("/proc")


class GitAtWork:
    """Processes of git in one work tree, as far as the system shows them, and the locks in git's folder."""

    def __init__(self, root: Path, folder: Path) -> None:
        """root: the work tree. folder: git's own."""
        self._root, self._folder = str(root.resolve()), folder

    def settle(self) -> None:
        """Wait for a git that still works here, and remove the locks that a killed one left.

        Only where it can be seen whether one works here, on Linux: elsewhere locks stay, and git's error names them.
        """
        deadline = time.monotonic() + PATIENCE
        for upkeep in ("*.lock", "info/commit-graphs/*.lock"):  # for which nobody need wait
            self._remove_left((self._folder / "objects").glob(upkeep))
        while (locks := self._locks()) and _PROCESSES.is_dir() and time.monotonic() < deadline:
            self._remove_left(locks)
            time.sleep(0.05)

    def _remove_left(self, locks: Iterable[Path]) -> None:
        """Remove locks, unless they are fresh or a git works here."""
        old = []
        for lock in locks:
            with contextlib.suppress(OSError):
                old += [lock] if abs(time.time() - lock.stat().st_mtime) > FRESH else []
        if old and _PROCESSES.is_dir() and not self.works_here():
            for lock in old:
                lock.unlink(missing_ok=True)

    def wait(self) -> None:
        """Wait until no git works here any more, PATIENCE at most: one outlives its killed archer for a moment."""
        deadline = time.monotonic() + PATIENCE
        while self.works_here() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _locks(self) -> list[Path]:
        own = [path for path in self._folder.glob("*.lock") if not path.name.startswith("archer")]
        return own + [path for path in (self._folder / "refs").rglob("*.lock") if path.is_file()]

    def works_here(self) -> bool:
        """Whether a process called git has its working directory in this work tree, or one that cannot be seen."""
        for process in _PROCESSES.glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if (process / "comm").read_text().startswith("git"):
                    try:
                        where = os.readlink(process / "cwd")  # noqa: PTH115, a Path would resolve it
                    except PermissionError:
                        return True
                    if where == self._root or where.startswith(f"{self._root}/"):
                        return True
        return False
