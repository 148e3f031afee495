"""Building the site: what changed is written, what did not stays as it is, what is no longer there goes."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent.site.content.board import Identity, boards
from agent.site.content.discovered import with_tests
from agent.site.content.family import Family, Sketch, read_sketch
from agent.site.content.front import with_gaps
from agent.site.content.row import DAMAGED, Row, page_of
from agent.site.files import DRAFTS, write
from agent.site.manifest import LEDGER, BuildManifest, Entry, fingerprint, open_ledger
from agent.site.page import Job, PageMaker, make_all
from agent.site.pages import Shell, asset_files, board_files
from archive.store import Archive

Told = Callable[[int, int], None]
"""Called with the number of proposals done and of all."""


@dataclass(frozen=True)
class Built:
    """What a build did. `skipped` pages were up to date; `damage`: what is wrong with proposals, by folder name."""

    index: Path
    proposals: int
    written: int
    skipped: int
    removed: int
    damage: dict[str, str]


def build(archive: Archive, out: Path, told: Told) -> Built:
    """Write the site of `archive` to `out`. Raises ArchiveError, UserError, OSError.

    Interrupted, it keeps the pages that are finished and a ledger that knows them. A proposal that cannot be read has a
    page that says why.
    """
    ledger = open_ledger(out)
    site = _Site(archive, out, ledger)
    if not (out / LEDGER).exists():
        site.save(ledger)  # killed before its end, a first build leaves what the next one takes for a site of archer's
    for draft in out.rglob(DRAFTS):
        draft.unlink()
    try:
        for done, total in site.proposals():
            told(done, total)
    finally:
        if site.entries:
            kept = ledger.entries | site.entries
            site.save(BuildManifest(maker=ledger.maker, entries=kept, files=(*ledger.files, *site.files)))
    site.whole_archive()
    removed = site.sweep(set(ledger.files))
    site.save(BuildManifest(maker=ledger.maker, entries=site.entries, files=tuple(sorted(site.files))))
    damage = {identity: entry.row.reason for identity, entry in site.entries.items() if entry.row.status == DAMAGED}
    return Built(out / "index.html", len(site.entries), site.written, len(site.files) - site.written, removed, damage)


_NO_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, RuntimeError, ValueError)
"""A name of a ledger is no file: it is gone, or a folder, a link to itself, or has a NUL."""


@dataclass
class _Site:
    archive: Archive
    out: Path
    ledger: BuildManifest
    entries: dict[str, Entry] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    written: int = 0

    def __post_init__(self) -> None:
        self.contents = self.archive.contents()
        self.shell = Shell(self.archive.root.resolve().name)
        self.family = Family([self._sketch(identity) for identity in self.archive.ids()])
        self.maker = PageMaker(self.archive.root, self.out, self.shell, self.family)

    def proposals(self) -> Iterator[tuple[int, int]]:
        """Bring every proposal's page up to date; yields how many are done, and how many there are."""
        stale = []
        for sketch in self.family.sketches:
            old, links = self.ledger.entries.get(sketch.id), self._links(sketch)
            page = page_of(sketch.number)
            self.files.add(page)
            if self._unchanged(sketch.id, old) and old and old.links == links and (self.out / page).is_file():
                self.entries[sketch.id] = old
            else:
                stale.append((sketch.id, links))
        known = self.archive.commits() if stale else {}
        commits = {identity: known.get(identity) for identity in self.contents}
        jobs = [Job(identity, self.contents.get(identity), links, commits.get(identity)) for identity, links in stale]
        for entry, changed in make_all(self.maker, jobs):
            self.entries[entry.id] = entry
            self.written += changed
            yield len(self.entries), len(self.family.sketches)
        self.entries = {sketch.id: self.entries[sketch.id] for sketch in self.family.sketches}

    def whole_archive(self) -> None:
        """Write the pages of every board, their data, and the assets."""
        by_board: dict[Identity, list[Row]] = defaultdict(list)
        for entry in self.entries.values():
            by_board[entry.protocol, entry.protocol_hash].append(entry.row)
        if lost := by_board.pop(("", ""), []):  # not even their protocol can be read
            largest = max(by_board, key=lambda identity: len(by_board[identity]), default=("damaged", ""))
            by_board[largest].extend(lost)
        made = [with_gaps(with_tests(board, self.archive), self.archive) for board in boards(self.archive, by_board)]
        for path, text in board_files(made, self.shell):
            self._write(path, text.encode())
        for path, content in asset_files():
            self._write(path, content)

    def sweep(self, before: set[str]) -> int:
        """Remove what an earlier build wrote and this one did not; nothing outside of the site."""
        root, removed = self.out.resolve(), 0
        for name in before - self.files:
            with contextlib.suppress(*_NO_FILE):
                path = (root / name).resolve()
                if path.is_relative_to(root):
                    path.unlink()
                    removed += 1
        return removed

    def save(self, ledger: BuildManifest) -> None:
        """Keep what was built from what."""
        write(self.out / LEDGER, ledger.model_dump_json().encode())

    def _sketch(self, identity: str) -> Sketch:
        old = self.ledger.entries.get(identity)
        if self._unchanged(identity, old) and old:
            return Sketch(identity, old.number, old.name, old.parent, old.protocol, old.protocol_hash)
        return read_sketch(self.archive.root, identity)

    def _unchanged(self, identity: str, old: Entry | None) -> bool:
        return old is not None and old.content is not None and old.content == self.contents.get(identity)

    def _links(self, sketch: Sketch) -> str:
        """Everything on a proposal's page that comes from elsewhere in the archive."""
        parent = self.family.by_name.get(sketch.parent)
        trials = [len(self.maker.further_trials(sketch, name)) for name in (sketch.name, sketch.parent)]
        fresh = repr(self.maker.confirmation(sketch))
        shown = [self.family.around(sketch), self.contents.get(parent.id) if parent else None, trials, fresh]
        return fingerprint([repr(shown), sketch.protocol_hash])

    def _write(self, name: str, content: bytes) -> None:
        self.files.add(name)
        self.written += write(self.out / name, content)
