"""The leaderboards of the site: one for each protocol and content hash, as these never mix."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from agent.analysis.boards.floors import ceiling, control_scores
from agent.analysis.boards.leaderboard import REFERENCE_WORDS, WORTHLESS
from agent.analysis.boards.sizes import Size, Sizes, open_sizes
from agent.analysis.notebook import Notebook, notebook
from agent.site.content.row import Kind, Role, Row, Span, seed_row, verdicts_of
from agent.site.content.text import visible
from archive.errors import ArchiveError
from archive.reader import TRIALS, Reader
from archive.records.outline import Outline
from archive.records.record import Record
from archive.seeding import shipped_by_variant, shipped_controls, shipped_references
from archive.store import Archive
from archive.tables.leaderboard_csv import measured_rows, read_leaderboard
from archive.tables.leaderboards import LEADERBOARDS
from evaluator.outcomes import Comparison, Score, Trial, Verdict
from evaluator.protocols.built_in import PROTOCOLS, protocol_of_today, tasks_of
from evaluator.statistics.lazy_trials import comparable
from evaluator.statistics.moderated_t_test import noise_by_task
from evaluator.statistics.scorecards import scorecard
from evaluator.statistics.verdicts import TaskNoise
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, REFERENCE
from variants.seeds import seeds

Identity = tuple[str, str]
"""Name and hash of a protocol; a table that was imported has no hash."""


@dataclass(frozen=True)
class SiteGap:
    """A difference to the gated reference, in units. `mark`: ▲ ▼ more than chance, = cannot differ, else empty."""

    difference: int
    mark: str


@dataclass(frozen=True)
class SiteBoard:
    """All variants under one protocol: those that were there, and the proposals by number.

    `gaps`: differences to the gated reference by task, of the rows that have all tasks, by short name. `surely`: short
    names of the rows that are surely on the front.
    """

    protocol: str
    hash: str
    rows: tuple[Row, ...]
    gaps: Mapping[str, tuple[SiteGap, ...]] = field(default_factory=dict)
    surely: frozenset[str] = frozenset()
    notebook: Notebook | None = None

    @property
    def tasks(self) -> tuple[TaskName, ...]:
        """In the order of its rows' lists."""
        return tasks_of(self.protocol)

    @property
    def worthless(self) -> str:
        """A warning, for a protocol whose scores say nothing; else empty."""
        return WORTHLESS.get(self.protocol, "")

    @property
    def slug(self) -> str:
        """A name for files: never anything but letters, digits and dashes, and another for every other board."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.protocol.lower())[:40]
        sure = plain if plain == self.protocol else f"{plain}-{hashlib.sha256(self.protocol.encode()).hexdigest()[:8]}"
        return "-".join(part for part in (sure, re.sub(r"[^a-z0-9]", "", self.hash)[:8]) if part)

    @property
    def label(self) -> str:
        """A name for people, with the hash where the name alone would not tell."""
        if not self.hash:
            return f"{visible(self.protocol, 40)} (imported)"
        return self.protocol if self.is_of_today else f"{visible(self.protocol, 40)} {self.hash[:8]}"

    @property
    def is_of_today(self) -> bool:
        """Whether archer knows this protocol, in this version."""
        return protocol_of_today(self.protocol, self.hash) is not None

    @cached_property
    def controls(self) -> list[Row]:
        """The controls, if their scores are of this version of the protocol."""
        if not self.is_of_today:
            return []
        trials, title = shipped_controls(self.protocol), "a control: it reads no memory, and a score begins here"
        return [self._below("control", name, title, trials[name], {}) for name in control_scores(self.protocol)]

    @cached_property
    def references(self) -> list[Row]:
        """The reference in other layers, if of this version of the protocol, against the shipped trials."""
        trials = comparable(shipped_references(self.protocol), self.hash) if self.is_of_today else {}
        rows = []
        for name, own in trials.items():
            everyone = {**shipped_by_variant(self.protocol), name: own}
            verdicts = verdicts_of(name, None, everyone, noise_by_task(everyone, self.tasks))
            rows.append(self._below("reference", name, REFERENCE_WORDS[name], own, verdicts))
        return rows

    def _below(
        self, kind: Kind, name: str, title: str, trials: Sequence[Trial], verdicts: Mapping[Role, Verdict]
    ) -> Row:
        """The row of what is no variant."""
        size = open_sizes(self.protocol, None).of(name)
        row = seed_row(name, None, scorecard(trials).scores, verdicts, trials, self.tasks, size)
        return row.model_copy(update={"kind": kind, "title": title})

    @cached_property
    def floor(self) -> list[Span | None]:
        """The score of the better control, for each task. Every page of a proposal asks for it, task by task."""
        return [
            max((own for row in self.controls if (own := row.scores[at])), default=None)
            for at in range(len(self.tasks))
        ]

    @property
    def full(self) -> list[TaskName]:
        """Tasks on which a shipped variant reached the ceiling."""
        return [*ceiling(self.protocol)] if self.controls else []

    @property
    def proposals(self) -> list[Row]:
        """The proposals, oldest first."""
        return [row for row in self.rows if row.kind == "proposal"]

    def named(self, name: str) -> Row | None:
        """The row of that name; a scored one before one that is not."""
        found = [row for row in self.rows if row.name == name]
        return next((row for row in found if row.whole), found[0] if found else None)


def boards(archive: Archive, proposals: Mapping[Identity, Iterable[Row]]) -> list[SiteBoard]:
    """Every board of the archive; the one with most proposals first, imported tables last."""
    found = _measured(archive)
    for identity in proposals:
        found.setdefault(identity, {})
    made = []
    for (protocol, digest), trials in found.items():
        own = list(proposals.get((protocol, digest), ()))
        taken = {row.name for row in own}
        tasks = tasks_of(protocol)
        noise = noise_by_task(trials, tasks)
        sizes = Sizes(protocol if protocol_of_today(protocol, digest) else "", (), archive.variant)
        rows = (_seed(name, trials, tasks, noise, sizes.of(name)) for name in trials)
        before = [row for row in rows if row.name not in taken]
        left = _notebook(archive, protocol, digest) if own else None
        made.append(SiteBoard(protocol, digest, (*before, *own), notebook=left))
    made.sort(key=lambda board: (-len(board.proposals), board.protocol != "quick", board.protocol, board.hash))
    return made + _imported(archive, {board.protocol for board in made})


def _notebook(archive: Archive, protocol: str, digest: str) -> Notebook | None:
    """What the models that were asked under a version of a protocol left; damaged proposals are passed over."""

    def read(known: Record | Outline) -> Record | None:
        try:
            return archive.record(known.id)
        except ArchiveError:
            return None

    asked = archive.history().where(
        lambda line: line.model is not None and (line.protocol, line.protocol_hash) == (protocol, digest)
    )
    return notebook(asked, read, archive.variant_names())


def trials_by_board(archive: Reader, protocol: str) -> dict[Identity, dict[str, list[Trial]]]:
    """Trials that belong to no proposal, by protocol and hash, then by variant."""
    found: dict[Identity, dict[str, list[Trial]]] = defaultdict(lambda: defaultdict(list))
    for name, trials in archive.further_trials(protocol).items():
        for trial in trials:
            found[protocol, trial.protocol_hash][name].append(trial)
    return found


def _measured(archive: Archive) -> dict[Identity, dict[str, list[Trial]]]:
    found: dict[Identity, dict[str, list[Trial]]] = {}
    for folder in sorted((archive.root / TRIALS).glob("*")):
        found |= trials_by_board(archive, folder.name)
    return found


def _seed(
    name: str, trials: Mapping[str, Sequence[Trial]], tasks: Sequence[TaskName], noise: TaskNoise, size: Size
) -> Row:
    known = seeds().get(name)
    parent = known.parent if known else None
    scores = scorecard(trials[name]).scores
    return seed_row(name, parent, scores, verdicts_of(name, parent, trials, noise), trials[name], tasks, size)


def _imported(archive: Archive, derived: Iterable[str]) -> list[SiteBoard]:
    paths = sorted((archive.root / LEADERBOARDS).glob("*.csv"))
    return [_table(path.stem, read_leaderboard(path)) for path in paths if path.stem not in {*PROTOCOLS, *derived}]


def _table(protocol: str, table: pd.DataFrame) -> SiteBoard:
    """One run a row: differences, but no interval and so no verdict."""
    tasks = tasks_of(protocol)
    scores = {name: {task: _single(x) for task, x in row.items()} for name, row in measured_rows(table).items()}
    rows, sizes = [], open_sizes(protocol, None)
    for name, own in scores.items():
        parent = known.parent if (known := seeds().get(name)) else None
        others: dict[Role, str | None] = {"reference": REFERENCE, "baseline": BASELINE, "parent": parent}
        verdicts = {
            role: Verdict(
                against=other,
                tasks={t: _unproven(own[t].mean - scores[other][t].mean) for t in own if t in scores[other]},
            )
            for role, other in others.items()
            if other is not None and other in scores and other != name
        }
        rows.append(seed_row(name, parent, own, verdicts, (), tasks, sizes.of(name)))
    return SiteBoard(protocol, "", tuple(rows))


def _single(mean: float) -> Score:
    return Score(mean=mean, low=mean, high=mean, n=1)


def _unproven(difference: float) -> Comparison:
    return Comparison(outcome="indistinguishable", difference=difference, low=difference, high=difference, n=1)
