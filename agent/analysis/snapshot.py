"""The archive snapshot that a proposer gets: scores under the protocol, noise of one seed, code and genomes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from agent.analysis.measured_changes import LEARNT, MeasuredChange, PairNoise, measured_changes, pair_noise
from agent.catalogue import SEED_GENOMES, Genome, known_genome
from archive.confirmations import Confirmation
from archive.errors import ArchiveError
from archive.records.lines import History, ProposalLine, line_of
from archive.records.outline import Outline
from archive.records.record import Record
from archive.store import Archive
from archive.tables.leaderboard_csv import read_leaderboard
from archive.tables.leaderboards import LEADERBOARDS, standings
from evaluator.outcomes import Score, Status, Trial
from evaluator.protocols.built_in import JUDGING, PROTOCOLS, tasks_of
from evaluator.statistics.intervals import pooled_deviations
from evaluator.statistics.seed_table import seed_table
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import MAD_TASKS
from variants.contract import Variant

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Left:
    """What a search may still spend when it asks, the proposal that is asked for included; None where not limited."""

    proposals: int
    minutes: float | None = None
    cpu_seconds: float | None = None


@dataclass(frozen=True)
class ArchiveSnapshot:
    """The archive at one moment, under one protocol. An ask depends on the snapshot alone."""

    protocol: str
    standings: Mapping[str, Mapping[TaskName, Score]]
    """Scores by variant name, measured under the protocol: seeds and proposals."""
    published: "pd.DataFrame"
    """The published leaderboard: one seed, another protocol; index of names, a column a task."""
    noise: Mapping[TaskName, float]
    """Standard deviation of one seed under the protocol; a task without replicates is absent."""
    history: Sequence[Record | Outline]
    """Oldest first. Reading all of a large archive takes long: `lines` tell most of it."""
    under_way: tuple[str, ...]
    variants: Mapping[str, Variant]
    genomes: Mapping[str, Genome]
    seed: int
    """Random seed of every random choice in this ask."""
    forced_parent: str | None = None
    changes: tuple[MeasuredChange, ...] = ()
    """What each change of mechanisms did under the protocol, paired by seed: seeds, proposals, and what was pruned."""
    pair_noise: Mapping[TaskName, PairNoise] = field(default_factory=dict)
    """Noise of a difference that is paired by seed, of each task."""
    trials: Mapping[str, Sequence[Trial]] = field(default_factory=dict)
    """By variant, under the protocol; read when they are looked at."""
    confirmations: Mapping[str, Confirmation] = field(default_factory=dict)
    """By variant, under today's version of the protocol."""
    above: Mapping[str, Mapping[str, Mapping[TaskName, Score]]] = field(default_factory=dict)
    """Scores by variant name under each protocol above the snapshot's own, where anything was measured."""
    read: Callable[[str], Record] | None = None
    """Reads the whole record of an id, whose outline the history has; None where the history has whole records."""
    left: Left | None = None
    """None where no search asks."""

    @cached_property
    def lines(self) -> Sequence[ProposalLine]:
        """One line of each proposal of the history."""
        return self.history.lines if isinstance(self.history, History) else tuple(map(line_of, self.history))

    def proposals(self, wanted: Callable[[ProposalLine], bool]) -> Sequence[Record | Outline]:
        """Those of the history whose line is wanted, oldest first."""
        if isinstance(self.history, History):
            return self.history.where(wanted)
        return [known for known, line in zip(self.history, self.lines, strict=True) if wanted(line)]

    def whole(self, known: Record | Outline) -> Record | None:
        """The record with its texts; None where it cannot be had."""
        if isinstance(known, Record) or self.read is None:
            return known if isinstance(known, Record) else None
        try:
            return self.read(known.id)
        except ArchiveError:  # an interrupted one that is being finished this moment
            return None


def take_snapshot(
    archive: Archive,
    protocol: str,
    *,
    seed: int,
    under_way: Sequence[str] = (),
    forced_parent: str | None = None,
    left: Left | None = None,
    changes: bool = True,
) -> ArchiveSnapshot:
    """Read everything that a proposer may know from the archive as it is now.

    changes: whether to work out what each change of mechanisms did, which takes most of the time.
    """
    with archive.at_one_moment():
        archive.require_sound()
        history, trials = archive.history(), archive.trials(protocol)
        pruned, confirmations, above = (  # what racing gave up is on no board, but known not to help
            archive.pruned_trials(protocol, LEARNT),
            _confirmations(archive, protocol),
            _above(archive, protocol),
        )
    known = pair_noise(trials, tasks_of(protocol))
    return ArchiveSnapshot(
        protocol=protocol,
        standings=standings(protocol, trials),
        published=published(archive),
        noise=noise(trials, tasks_of(protocol)),
        history=history,
        under_way=tuple(under_way),
        variants=archive.variants(),
        genomes=genomes(history.lines),
        seed=seed,
        forced_parent=forced_parent,
        changes=measured_changes(trials, pruned, history.lines, known) if changes else (),
        pair_noise=known,
        trials=trials,
        confirmations=confirmations,
        above=above,
        read=archive.record,
        left=left,
    )


def published(archive: Archive) -> "pd.DataFrame":
    """The archive's published leaderboard, indexed by name; without rows where the archive has none."""
    import pandas as pd

    path = archive.root / LEADERBOARDS / "published.csv"
    return read_leaderboard(path) if path.exists() else pd.DataFrame(columns=list(MAD_TASKS), dtype=float)


def genomes(lines: Iterable[ProposalLine]) -> dict[str, Genome]:
    """Genomes by variant name, of the seed variants and of the scored proposals that the catalogue can express."""
    own = {line.name: known_genome(line.mechanisms) for line in lines if line.status is Status.SCORED}
    return SEED_GENOMES | {name: genome for name, genome in own.items() if genome is not None}


def _confirmations(archive: Archive, protocol: str) -> dict[str, Confirmation]:
    current = PROTOCOLS[protocol].hash if protocol in PROTOCOLS else None
    found = archive.confirmations(protocol)
    return {name: each for name, each in found.items() if current in (None, each.protocol_hash)}


def _above(archive: Archive, protocol: str) -> dict[str, Mapping[str, Mapping[TaskName, Score]]]:
    names = [each.name for each in JUDGING]
    higher = names[names.index(protocol) + 1 :] if protocol in names else []
    found = {name: standings(name, archive.trials(name)) for name in higher}
    return {name: scores for name, scores in found.items() if scores}


def noise(trials: Mapping[str, Sequence[Trial]], tasks: Sequence[TaskName]) -> dict[TaskName, float]:
    """Standard deviation of one seed's accuracy per task, pooled within variants. A task without it is absent."""
    table = seed_table(trials, tasks, trained=True)
    freedom = np.maximum(table.counts - 1, 0).sum(axis=0).tolist()
    squares = table.squares.sum(axis=0).tolist()
    return pooled_deviations([dict(zip(tasks, zip(squares, freedom, strict=True), strict=True))])
