"""One proposal's page, made from the archive's folder alone, so that any process can make it."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from agent.site.content.board import Identity, trials_by_board
from agent.site.content.family import Family, Sketch
from agent.site.content.proposal import Parent, proposal_page
from agent.site.content.row import Row, damaged_row, page_of, proposal_row
from agent.site.files import write
from agent.site.manifest import Entry
from agent.site.pages import Shell, damaged_html, proposal_html
from archive.confirmations import CONFIRMATIONS, Confirmation, read_confirmations
from archive.errors import ArchiveError
from archive.files import read_bytes, read_lines
from archive.reader import Reader
from archive.records.folders import read_record
from archive.records.places import proposal_place, variant_place
from evaluator.cores import usable_cores
from evaluator.outcomes import Trial

MANY, BATCH = 200, 25
"""Pages that are worth further processes, and pages that each is given at a time."""


@dataclass(frozen=True)
class Job:
    """A page to make. `content`, `links` and `commit` as in its entry."""

    identity: str
    content: str | None
    links: str
    commit: str | None


@dataclass
class PageMaker:
    """Makes pages of one archive. What is read for one is kept for the next."""

    root: Path
    out: Path
    shell: Shell
    family: Family
    further: dict[str, dict[Identity, dict[str, list[Trial]]]] = field(default_factory=dict)
    confirmed: dict[str, dict[str, Confirmation]] = field(default_factory=dict)

    def make(self, job: Job) -> tuple[Entry, bool]:
        """Write the page; returns its entry, and whether the file changed. A damaged record has a page that says so."""
        sketch = self.family.by_id[job.identity]
        content = job.content
        try:
            if sketch.damage:
                raise ArchiveError(sketch.damage)
            row, html = self._page(sketch, job.commit)
        except ArchiveError as error:
            row, content = damaged_row(sketch.number, sketch.name, sketch.parent, str(error)), None
            html = damaged_html(row, self.family.neighbours(sketch, None), self.shell, sketch)
        changed = write(self.out / page_of(sketch.number), html.encode())
        return Entry.of(sketch, content, job.links, row), changed

    def further_trials(self, sketch: Sketch, name: str) -> list[Trial]:
        """Trials of a variant under the sketch's protocol that belong to no proposal."""
        if sketch.protocol not in self.further:
            self.further[sketch.protocol] = trials_by_board(Reader(self.root), sketch.protocol)
        return self.further[sketch.protocol].get((sketch.protocol, sketch.protocol_hash), {}).get(name, [])

    def confirmation(self, sketch: Sketch) -> Confirmation | None:
        """What became of it on fresh seeds, where it was tried on such."""
        if sketch.protocol not in self.confirmed:
            self.confirmed[sketch.protocol] = read_confirmations(self.root, sketch.protocol)
        found = self.confirmed[sketch.protocol].get(sketch.name)
        return found if found is not None and found.protocol_hash == sketch.protocol_hash else None

    def _page(self, sketch: Sketch, commit: str | None) -> tuple[Row, str]:
        record = read_record(self.root, sketch.id)
        report = read_bytes(self.root / proposal_place(self.root, sketch.id) / "report.md").decode("utf-8", "replace")
        row = proposal_row(record, self.further_trials(sketch, sketch.name), self.confirmation(sketch))
        fresh = self._fresh(sketch) if row.fresh else ()
        page = proposal_page(record, row, report, self._parent(sketch), commit, fresh)
        return row, proposal_html(page, self.family.neighbours(sketch, row.twin), self.shell, sketch)

    def _fresh(self, sketch: Sketch) -> Sequence[Trial]:
        trials = read_lines(self.root / CONFIRMATIONS / sketch.protocol / f"{sketch.name}.jsonl", Trial)
        return [trial for trial in trials if trial.protocol_hash == sketch.protocol_hash]

    def _parent(self, sketch: Sketch) -> Parent | None:
        try:
            source = (self.root / variant_place(self.root, sketch.parent)).read_text(encoding="utf-8")
            known = self.family.by_name.get(sketch.parent)
            place = proposal_place(self.root, known.id) if known else ""
            own = read_lines(self.root / place / "trials.jsonl", Trial) if known else ()
        except (OSError, UnicodeDecodeError, ArchiveError):
            return None
        same = [trial for trial in own if trial.protocol_hash == sketch.protocol_hash]
        return Parent(source, same or self.further_trials(sketch, sketch.parent))


def make_all(maker: PageMaker, jobs: Sequence[Job]) -> Iterator[tuple[Entry, bool]]:
    """Make the pages, in any order; in as many processes as there are processors where there are many pages."""
    workers = min(usable_cores(), len(jobs) // MANY + 1)
    if workers == 1:
        yield from map(maker.make, jobs)
        return
    batches = [jobs[start : start + BATCH] for start in range(0, len(jobs), BATCH)]
    begun = (maker.root, maker.out, maker.shell, maker.family.sketches)
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, begun) as pool:
        try:
            for done in as_completed([pool.submit(_batch, batch) for batch in batches]):
                yield from done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_make: Callable[[Job], tuple[Entry, bool]]
"""What a further process makes pages with."""


def _begin(root: Path, out: Path, shell: Shell, sketches: Sequence[Sketch]) -> None:
    """In a further process: Ctrl-C is for the first, which waits for the pages under way."""
    global _make
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _make = PageMaker(root, out, shell, Family(sketches)).make


def _batch(jobs: Sequence[Job]) -> list[tuple[Entry, bool]]:
    return [_make(job) for job in jobs]
