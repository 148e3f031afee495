"""The SQLite file that keeps an archive's index between runs. It is derived, and made again if it is damaged."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

SCHEMA = 3
"""Version of the kept file's schema. A file of another version is made again."""


class Known(NamedTuple):
    """A proposal in the index. stamp: times and sizes of its files; the other fields are JSON read from these files."""

    id: str
    stamp: str
    line: str
    outline: str
    digest: str | None


class Kept:
    """Rows by proposal. Errors of the file are ignored; the next run then reads all proposals again."""

    def __init__(self, path: Path | None) -> None:
        """path: the file; None: nothing is kept."""
        self._path = path

    def load(self) -> dict[str, Known]:
        """The kept rows, by proposal; empty if the file is missing, damaged or of another schema."""
        with contextlib.suppress(sqlite3.Error, OSError), self._opened() as kept:
            return {row[0]: Known(*row) for row in kept.execute("SELECT id, stamp, line, outline, digest FROM known")}
        return {}

    def keep(self, changed: Iterable[Known], gone: Iterable[str]) -> None:
        """Write changed rows and delete rows of removed proposals. A file that cannot be written is ignored."""
        with contextlib.suppress(sqlite3.Error, OSError), self._opened() as kept:
            kept.executemany("DELETE FROM known WHERE id = ?", [(identity,) for identity in gone])
            kept.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?)", changed)

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
