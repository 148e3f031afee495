"""The SQLite file that keeps an archive's index between runs. It is derived, and made again if it is damaged."""

import contextlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from archive.records.lines import ProposalLine, line_from

SCHEMA = 4
"""Version of the kept file's schema. A file of another version is made again."""


class Known(NamedTuple):
    """A proposal in the index. stamp: times and sizes of its files. line: read from these files."""

    id: str
    stamp: str
    line: ProposalLine


class Texts(NamedTuple):
    """What is read of few proposals, or late: more JSON of the same files. digest: None where there are no trials."""

    outline: str
    digest: str | None


class Kept:
    """Rows by proposal. Errors of the file are ignored; the next run then reads all proposals again."""

    def __init__(self, path: Path | None) -> None:
        """path: the file; None: nothing is kept."""
        self._path = path

    def load(self) -> dict[str, Known]:
        """The kept rows, by proposal; empty if the file is missing, damaged or of another schema."""
        with contextlib.suppress(sqlite3.Error, OSError, ValueError, KeyError, TypeError), self._opened() as kept:
            rows = kept.execute("SELECT id, stamp, line FROM known")
            return {identity: Known(identity, stamp, line_from(line)) for identity, stamp, line in rows}
        return {}

    def column(self, name: Literal["outline", "digest"], identities: Collection[str]) -> dict[str, tuple[str, Any]]:
        """Stamp and text of some proposals, by proposal; empty if the file cannot be read."""
        chosen, values = ("WHERE id = ?", tuple(identities)) if len(identities) == 1 else ("", ())
        with contextlib.suppress(sqlite3.Error, OSError), self._opened() as kept:
            rows = kept.execute(f"SELECT id, stamp, {name} FROM known {chosen}", values)
            return {row[0]: row[1:] for row in rows if row[0] in identities}
        return {}

    def keep(self, changed: Iterable[tuple[Known, Texts]], gone: Iterable[str]) -> bool:
        """Write changed rows and delete rows of removed proposals. False if they cannot be kept."""
        if self._path is None:
            return False
        with contextlib.suppress(sqlite3.Error, OSError), self._opened() as kept:
            kept.executemany("DELETE FROM known WHERE id = ?", [(identity,) for identity in gone])
            rows = ((known.id, known.stamp, json.dumps(known.line), *texts) for known, texts in changed)
            kept.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?)", rows)
            return True
        return False

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open the kept file in one transaction. Raises sqlite3.Error."""
        try:
            connection = self._connect()
        except sqlite3.DatabaseError:
            if self._path is None or not self._path.exists():
                raise
            self._path.unlink()
            connection = self._connect()
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path or ":memory:", timeout=10)
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
                with connection:
                    connection.execute("DROP TABLE IF EXISTS known")
                    columns = "id TEXT PRIMARY KEY, stamp TEXT, line TEXT, outline TEXT, digest TEXT"
                    connection.execute(f"CREATE TABLE known ({columns})")
                    connection.execute(f"PRAGMA user_version = {SCHEMA}")
        except BaseException:
            connection.close()
            raise
        return connection
