"""Which proposals may have changed: told by git's index, its last commit and the times of folders, not by each file."""

import os
import time
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import NamedTuple

from archive.errors import ArchiveError
from archive.records.kept import Look
from archive.records.places import folder_times, proposals_in
from archive.unfinished import WRITING

RACY = 2.0
"""Seconds: what changed so shortly before may change again and have the same time."""


class Commits(NamedTuple):
    """What git tells. Both raise ArchiveError.

    head: its last commit. changed_since: folder names of the proposals that an earlier commit lacks, or has otherwise.
    """

    head: Callable[[], str]
    changed_since: Callable[[str], Set[str]]


class Seen(NamedTuple):
    """What an archive is at a moment: the first fields of a `Look`."""

    git: str
    head: str
    folders: Mapping[str, int]


class Suspects(NamedTuple):
    """What may have changed. groups: folders in between, which a proposal may have left."""

    proposals: Set[str]
    groups: Set[str]


class Changes:
    """Looks at an archive's folder without looking at each proposal."""

    def __init__(self, root: Path, git: Path | None, commits: Commits | None) -> None:
        """root: the archive. git: its git's folder. Without git, nothing can be told."""
        self._root, self._git, self._commits = root, git, commits

    def git_stamp(self) -> str | None:
        """Another text after each writing of git's; None where there is no git."""
        try:
            found = os.stat(self._git / "index") if self._git else None  # noqa: PTH116, a Path takes ten times as long
        except OSError:
            return None
        return f"{found.st_ino}.{found.st_mtime_ns:x}.{found.st_size:x}" if found else None

    def head(self) -> str | None:
        """git's last commit; None without one."""
        try:
            return self._commits.head() if self._commits else None
        except ArchiveError:
            return None

    def seen(self) -> Seen | None:
        """What the archive is now; None where it cannot be told, as while somebody writes.

        Of a writer that is killed then, the next archer takes back what was written, without a commit.
        """
        git, head, now = self.git_stamp(), self.head(), time.time_ns()
        if self._git is None or git is None or head is None or (self._git / WRITING).exists():
            return None
        try:
            times = folder_times(self._root)
        except OSError:  # a folder was removed meanwhile
            return None
        return Seen(git, head, {name: moment if moment < now - RACY * 1e9 else 0 for name, moment in times.items()})

    def suspects(self, look: Look, seen: Seen) -> Suspects | None:
        """What may have changed since a look; None where it can be any."""
        before, now = look.folders, seen.folders
        moved = {name for name in before.keys() | now.keys() if not now.get(name) or before.get(name) != now[name]}
        if "" in moved or (look.git != seen.git and look.head == seen.head):
            return None
        proposals = {identity for group in moved for identity in proposals_in(self._root, group)}
        if look.git != seen.git and self._commits is not None:
            try:
                proposals |= self._commits.changed_since(look.head)
            except ArchiveError:  # git has that commit no more
                return None
        return Suspects(proposals, moved)
