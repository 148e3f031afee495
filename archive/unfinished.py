"""A note in git's folder for as long as an archive is written: who finds it, and nobody writing, finds a killed writer.

It names the paths that are not committed yet, so that the next archer takes them back to the last commit.
"""

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from archive.files import as_json, write_text

WRITING = "archer-writing.json"
"""The note's name."""


class Unfinished(NamedTuple):
    """Paths, relative to the archive, whose writing has begun. whole: a folder that makes them stay once it exists."""

    paths: tuple[str, ...] = ()
    whole: str = ""


class WritingNote:
    """The note. Only who holds the archive's lock may call its methods, but for `exists`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stays = False

    def exists(self) -> bool:
        """Whether somebody writes, or was killed while writing."""
        return self._path.exists()

    def begin(self) -> None:
        """Somebody writes from now on. Raises OSError."""
        self._path.touch()

    def will_write(self, paths: Sequence[str], whole: str = "") -> None:
        """These paths are written next, in one change. Raises OSError."""
        write_text(self._path, as_json({"paths": list(paths), "whole": whole}))

    def written(self) -> None:
        """They are committed, or taken back. Needs no space on the disk."""
        os.truncate(self._path, 0)

    def keep(self) -> None:
        """The note stays at the end: what belongs to this writing could not be done, and the next archer does it."""
        self._stays = True

    def end(self) -> None:
        """Nobody writes any more; the note stays where something was not taken back, or not done."""
        if not self._stays and self.found() == Unfinished():
            self._path.unlink(missing_ok=True)
        self._stays = False

    def found(self) -> Unfinished:
        """What is begun and not ended. The note is a file of archer's own: of a damaged one nothing is believed."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            content = json.loads(self._path.read_bytes() or b"{}")
            paths, whole = content.get("paths", []), content.get("whole", "")
            if isinstance(whole, str) and all(isinstance(path, str) and _inside(path) for path in (*paths, whole)):
                return Unfinished(tuple(paths), whole)
        return Unfinished()


def _inside(path: str) -> bool:
    return not Path(path).is_absolute() and ".." not in Path(path).parts and Path(path).parts[:1] != (".git",)
