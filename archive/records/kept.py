"""The SQLite file that keeps an archive's index between runs. It is derived, and made again if it is damaged."""

import contextlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from archive.records.lines import ProposalLine, line_from

SCHEMA = 6
"""Version of the kept file's schema. A file of another version is made again."""
_TABLES = ("line", "outline", "digest")
"""Each apart, with `id`, `stamp` and `text`: a line is a tenth of its outline, and is what most commands read."""


class Known(NamedTuple):
    """A proposal in the index. stamp: times and sizes of its files. line: read from these files."""

    id: str
    stamp: str
    line: ProposalLine


class Texts(NamedTuple):
    """What is read of few proposals, or late: more JSON of the same files. digest: None where there are no trials."""

    outline: str
    digest: str | None


class Look(NamedTuple):
    """What an archive was when its proposals were looked at, all of which could be read.

    git: what git's index was. head: git's last commit. folders: when something last came into, or left, each folder of
    proposals; 0 where that was a moment before. proposals: how many there were. since, until: when all files were
    looked at, and until when that does as far as nothing else has changed, by the clock on the wall.
    """

    git: str
    head: str
    folders: Mapping[str, int]
    proposals: int
    since: float
    until: float


class Kept:
    """Rows by proposal. Errors of the file are ignored; the next run then reads all proposals again."""

    def __init__(self, path: Path | None) -> None:
        """path: the file; None: nothing is kept."""
        self._path = path

    def load(self) -> dict[str, Known]:
        """The kept rows, by proposal; empty if the file is missing, damaged or of another schema."""
        with contextlib.suppress(sqlite3.Error, OSError, ValueError, KeyError, TypeError), self._opened() as kept:
            rows = kept.execute("SELECT id, stamp, text FROM line")
            return {identity: Known(identity, stamp, line_from(line)) for identity, stamp, line in rows}
        return {}

    def texts(self, table: Literal["outline", "digest"], identities: Collection[str]) -> dict[str, tuple[str, Any]]:
        """Stamp and text of some proposals, by proposal; empty if the file cannot be read."""
        with contextlib.suppress(sqlite3.Error, OSError), self._opened() as kept:
            query = f"SELECT kept.id, stamp, text FROM json_each(?) CROSS JOIN {table} AS kept ON kept.id = value"
            return {row[0]: row[1:] for row in kept.execute(query, (json.dumps(list(identities)),))}
        return {}

    def look(self) -> Look | None:
        """The last look that was kept; None without one."""
        with contextlib.suppress(sqlite3.Error, OSError, ValueError, TypeError, AttributeError), self._opened() as kept:
            row = kept.execute(f"SELECT {', '.join(Look._fields)} FROM looks").fetchone()
            git, head, folders, proposals, since, until = row
            times = {str(name): int(moment) for name, moment in json.loads(folders).items()}
            return Look(str(git), str(head), times, int(proposals), float(since), float(until))
        return None

    def keep(self, changed: Iterable[tuple[Known, Texts]], gone: Iterable[str], look: Look | None) -> bool:
        """Write changed rows, delete rows of removed proposals, and have this look, or none, in place of the last.

        All at once: rows may be older than those of a look that another archer kept. False if they cannot be kept.
        """
        if self._path is None:
            return False
        with contextlib.suppress(sqlite3.Error, OSError), self._opened() as kept:
            rows = [(known.id, known.stamp, (json.dumps(known.line), *texts)) for known, texts in changed]
            for place, table in enumerate(_TABLES):
                kept.executemany(f"DELETE FROM {table} WHERE id = ?", [(identity,) for identity in gone])
                own = ((identity, stamp, texts[place]) for identity, stamp, texts in rows)
                kept.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", own)
            kept.execute("DELETE FROM looks")
            if look is not None:
                row = (look.git, look.head, json.dumps(look.folders), look.proposals, look.since, look.until)
                kept.execute(f"INSERT INTO looks VALUES ({', '.join('?' * len(row))})", row)
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
                    for table in ("known", *_TABLES, "looks"):  # `known` was that of schema 4
                        connection.execute(f"DROP TABLE IF EXISTS {table}")
                    for table in _TABLES:
                        connection.execute(f"CREATE TABLE {table} (id TEXT PRIMARY KEY, stamp TEXT, text TEXT)")
                    connection.execute(f"CREATE TABLE looks ({', '.join(Look._fields)})")
                    connection.execute(f"PRAGMA user_version = {SCHEMA}")
        except BaseException:
            connection.close()
            raise
        return connection
