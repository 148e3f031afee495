"""The SQLite file that keeps an archive's index between runs. It is derived, and made again if it is damaged."""

import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic_core import from_json

from archive.records.lines import ProposalLine, as_columns, from_columns
from archive.records.places import number_of
from evaluator.statistics.lazy_trials import Digest

SCHEMA = 7
"""Version of the kept file's schema. A file of another version is made again."""
BLOCK = 256
"""Proposals of a block: the lines of one are written together, as columns, so that all are read three times as fast."""
_TABLES = {
    "block": "number INTEGER PRIMARY KEY, stamps TEXT, columns TEXT",
    "outline": "id TEXT PRIMARY KEY, stamp TEXT, text TEXT",
    "digest": f"id TEXT PRIMARY KEY, stamp TEXT, {', '.join(Digest._fields)}",
    "looks": "git, head, folders, proposals, since, until",
}
_EARLIER = ("known", "line")
"""Tables that other schemas had."""


class Known(NamedTuple):
    """A proposal in the index. stamp: times and sizes of its files. line: read from these files."""

    stamp: str
    line: ProposalLine


class Further(NamedTuple):
    """What is read of few proposals, or late. outline: its JSON. digest: None where there are no trials."""

    outline: str
    digest: Digest | None


class Row(NamedTuple):
    """All that is kept of a proposal."""

    known: Known
    further: Further


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


_UNREADABLE = (sqlite3.Error, OSError, ValueError, KeyError, TypeError)
"""What reading a damaged file may raise."""


class Kept:
    """Rows by proposal. Errors of the file are ignored; the next run then reads all proposals again."""

    def __init__(self, path: Path | None) -> None:
        """path: the file; None: nothing is kept."""
        self._path = path

    def load(self) -> dict[str, Known]:
        """What is kept of each proposal, oldest first; empty if the file is missing, damaged or of another schema."""
        with contextlib.suppress(*_UNREADABLE), self._opened() as kept:
            found: dict[str, Known] = {}
            for block in kept.execute("SELECT stamps, columns FROM block ORDER BY number"):
                found.update(_block(*block))
            return found
        return {}

    def outlines(self, identities: Collection[str]) -> dict[str, tuple[str, str]]:
        """Stamp and outline of some proposals, by proposal; empty if the file cannot be read."""
        return {identity: (stamp, text) for identity, stamp, text in self._rows("outline", identities)}

    def digests(self, identities: Collection[str]) -> dict[str, tuple[str, Digest | None]]:
        """Stamp and digest of some proposals, by proposal; empty if the file cannot be read."""
        rows = self._rows("digest", identities)
        return {row[0]: (row[1], None if row[2] is None else Digest._make(row[2:])) for row in rows}

    def _rows(self, table: Literal["outline", "digest"], identities: Collection[str]) -> list[Sequence[str]]:
        if not identities:
            return []
        with contextlib.suppress(sqlite3.Error, OSError), self._opened() as kept:
            query = f"SELECT kept.* FROM json_each(?) CROSS JOIN {table} AS kept ON kept.id = value"
            return kept.execute(query, (json.dumps(list(identities)),)).fetchall()
        return []

    def look(self) -> Look | None:
        """The last look that was kept; None without one."""
        with contextlib.suppress(*_UNREADABLE, AttributeError), self._opened() as kept:
            row = kept.execute(f"SELECT {', '.join(Look._fields)} FROM looks").fetchone()
            git, head, folders, proposals, since, until = row
            times = {str(name): int(moment) for name, moment in json.loads(folders).items()}
            return Look(str(git), str(head), times, int(proposals), float(since), float(until))
        return None

    def keep(self, changed: Mapping[str, Row], gone: Collection[str], look: Look | None) -> bool:
        """Write changed rows, delete rows of removed proposals, and have this look, or none, in place of the last.

        All at once: rows may be older than those of a look that another archer kept. False if they cannot be kept.
        """
        if self._path is None:
            return False
        with contextlib.suppress(sqlite3.Error, OSError), self._opened() as kept:
            kept.execute("BEGIN IMMEDIATE")
            self._keep_lines(kept, {identity: row.known for identity, row in changed.items()}, gone)
            for table in ("outline", "digest"):
                kept.executemany(f"DELETE FROM {table} WHERE id = ?", [(identity,) for identity in gone])
            outlines = [(identity, row.known.stamp, row.further.outline) for identity, row in changed.items()]
            none = (None,) * len(Digest._fields)
            digests = [(identity, row.known.stamp, *(row.further.digest or none)) for identity, row in changed.items()]
            _replace(kept, "outline", outlines)
            _replace(kept, "digest", digests)
            kept.execute("DELETE FROM looks")
            if look is not None:
                row = (look.git, look.head, json.dumps(look.folders), look.proposals, look.since, look.until)
                _replace(kept, "looks", [row])
            return True
        return False

    def _keep_lines(self, kept: sqlite3.Connection, changed: Mapping[str, Known], gone: Collection[str]) -> None:
        blocks: dict[int, dict[str, Known | None]] = defaultdict(dict)
        for identity, known in (*dict.fromkeys(gone).items(), *changed.items()):
            blocks[number_of(identity) // BLOCK][identity] = known
        for number, own in blocks.items():
            found = kept.execute("SELECT stamps, columns FROM block WHERE number = ?", (number,)).fetchone()
            every = _there(found) | own
            there = in_order({identity: known for identity, known in every.items() if known is not None})
            stamps, lines = json.dumps([known.stamp for known in there.values()]), [k.line for k in there.values()]
            _replace(kept, "block", [(number, stamps, json.dumps(as_columns(lines)))])

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
                    for table in (*_EARLIER, *_TABLES):
                        connection.execute(f"DROP TABLE IF EXISTS {table}")
                    for table, columns in _TABLES.items():
                        connection.execute(f"CREATE TABLE {table} ({columns})")
                    connection.execute(f"PRAGMA user_version = {SCHEMA}")
        except BaseException:
            connection.close()
            raise
        return connection


def in_order(known: Mapping[str, Known]) -> dict[str, Known]:
    """The same, oldest first."""
    return dict(sorted(known.items(), key=lambda item: (item[1].line.number, item[0])))


def _block(stamps: str, columns: str) -> dict[str, Known]:
    """What is kept in one block, by proposal. Raises ValueError, TypeError, KeyError for one that is damaged."""
    by_field = from_json(columns)
    known = map(Known._make, zip(from_json(stamps), from_columns(by_field), strict=True))
    return dict(zip(by_field[0] if by_field else (), known, strict=True))


def _there(row: tuple[str, str] | None) -> dict[str, Known]:
    """What is kept in one block; nothing where there is none, or a damaged one, of which nothing is read either."""
    with contextlib.suppress(*_UNREADABLE):
        return _block(*row) if row else {}
    return {}


def _replace(kept: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]]) -> None:
    if rows:
        kept.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
