"""Building the site: what changed is written, what did not stays as it is, what is no longer there goes."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent.site.board import Identity, boards, trials_by_board
from agent.site.family import Family, Sketch, read_sketch
from agent.site.ledger import LEDGER, Entry, Ledger, fingerprint, open_ledger
from agent.site.pages import Shell, asset_files, board_files, proposal_html
from agent.site.proposal import Parent, proposal_page
from agent.site.row import Row, page_of, proposal_row
from archive.files import read_lines
from archive.folders import PROPOSALS, VARIANTS, read_record
from archive.store import Archive
from evaluator.outcomes import Trial

Told = Callable[[int, int], None]
"""Called with the number of proposals done and of all."""


@dataclass(frozen=True)
class Built:
    """What a build did. `skipped` pages were up to date."""

    index: Path
    proposals: int
    written: int
    skipped: int
    removed: int


def build(archive: Archive, out: Path, told: Told) -> Built:
    """Write the site of `archive` to `out`. Raises ArchiveError, UserError, OSError.

    Interrupted, it keeps the pages that are finished and a ledger that knows them.
    """
    ledger = open_ledger(out)
    site = _Site(archive, out, ledger)
    try:
        for done, total in site.proposals():
            told(done, total)
    finally:
        if site.entries:
            site.save(Ledger(maker=ledger.maker, entries=site.entries, files=(*ledger.files, *site.files)))
    site.whole_archive()
    removed = site.sweep(set(ledger.files))
    site.save(Ledger(maker=ledger.maker, entries=site.entries, files=tuple(sorted(site.files))))
    return Built(out / "index.html", len(site.entries), site.written, len(site.files) - site.written, removed)


@dataclass
class _Site:
    archive: Archive
    out: Path
    ledger: Ledger
    entries: dict[str, Entry] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    written: int = 0

    def __post_init__(self) -> None:
        self.contents = self.archive.contents()
        self.commits: dict[str, str] | None = None
        self.shell = Shell(self.archive.root.resolve().name)
        self.further: dict[str, dict[Identity, dict[str, list[Trial]]]] = {}
        self.family = Family([self._sketch(identity) for identity in self.archive.ids()])

    def proposals(self) -> Iterator[tuple[int, int]]:
        """Bring every proposal's page up to date; yields how many are done, and how many there are."""
        for done, sketch in enumerate(self.family.sketches, 1):
            old, links = self.ledger.entries.get(sketch.id), self._links(sketch)
            page = page_of(sketch.number)
            if self._fresh(sketch, old) and old and old.links == links and (self.out / page).is_file():
                self.entries[sketch.id] = old
                self.files.add(page)
            else:
                self.entries[sketch.id] = self._write_proposal(sketch, links)
            yield done, len(self.family.sketches)

    def whole_archive(self) -> None:
        """Write the pages of every board, their data, and the assets."""
        by_board: dict[Identity, list[Row]] = defaultdict(list)
        for entry in self.entries.values():
            by_board[entry.protocol, entry.protocol_hash].append(entry.row)
        for path, text in board_files(boards(self.archive, by_board), self.shell):
            self._write(path, text.encode())
        for path, content in asset_files():
            self._write(path, content)

    def sweep(self, before: set[str]) -> int:
        """Remove what an earlier build wrote and this one did not; nothing outside of the site."""
        root, removed = self.out.resolve(), 0
        for name in before - self.files:
            path = (root / name).resolve()
            if path.is_relative_to(root):
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
                    removed += 1
        return removed

    def save(self, ledger: Ledger) -> None:
        """Keep what was built from what."""
        if self._write(LEDGER, ledger.model_dump_json().encode()):
            self.written -= 1
        self.files.discard(LEDGER)

    def _sketch(self, identity: str) -> Sketch:
        old = self.ledger.entries.get(identity)
        if old and old.content is not None and old.content == self.contents.get(identity):
            return Sketch(identity, old.number, old.name, old.parent, old.protocol, old.protocol_hash)
        return read_sketch(self.archive.root, identity)

    def _fresh(self, sketch: Sketch, old: Entry | None) -> bool:
        return old is not None and old.content is not None and old.content == self.contents.get(sketch.id)

    def _links(self, sketch: Sketch) -> str:
        """Everything on a proposal's page that comes from elsewhere in the archive."""
        parent = self.family.by_name.get(sketch.parent)
        trials = [len(self._further(sketch, name)) for name in (sketch.name, sketch.parent)]
        shown = [self.family.around(sketch), self.contents.get(parent.id) if parent else None, trials]
        return fingerprint([repr(shown), sketch.protocol_hash])

    def _further(self, sketch: Sketch, name: str) -> list[Trial]:
        if sketch.protocol not in self.further:
            self.further[sketch.protocol] = trials_by_board(self.archive, sketch.protocol)
        return self.further[sketch.protocol].get((sketch.protocol, sketch.protocol_hash), {}).get(name, [])

    def _write_proposal(self, sketch: Sketch, links: str) -> Entry:
        root = self.archive.root
        record = read_record(root, sketch.id)
        report = (root / PROPOSALS / sketch.id / "report.md").read_text(encoding="utf-8", errors="replace")
        row = proposal_row(record, self._further(sketch, sketch.name))
        page = proposal_page(record, row, report, self._parent(sketch), self._commit(sketch.id))
        html = proposal_html(page, self.family.neighbours(sketch, row.twin), self.shell, sketch)
        self._write(page_of(sketch.number), html.encode())
        return Entry(
            content=self.contents.get(sketch.id),
            links=links,
            number=sketch.number,
            name=sketch.name,
            parent=sketch.parent,
            protocol=sketch.protocol,
            protocol_hash=sketch.protocol_hash,
            row=row,
        )

    def _parent(self, sketch: Sketch) -> Parent | None:
        try:
            source = (self.archive.root / VARIANTS / f"{sketch.parent}.py").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        known = self.family.by_name.get(sketch.parent)
        own = read_lines(self.archive.root / PROPOSALS / known.id / "trials.jsonl", Trial) if known else ()
        same = [trial for trial in own if trial.protocol_hash == sketch.protocol_hash]
        return Parent(source, same or self._further(sketch, sketch.parent))

    def _commit(self, identity: str) -> str | None:
        """None for a folder that is not as it was committed."""
        if self.commits is None:
            self.commits = self.archive.commits()
        return self.commits.get(identity) if identity in self.contents else None

    def _write(self, name: str, content: bytes) -> bool:
        """Write a file, whole or not at all; returns False if it was so already."""
        path = self.out / name
        self.files.add(name)
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.part")
        draft.write_bytes(content)
        draft.replace(path)
        self.written += 1
        return True
