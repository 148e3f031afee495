"""The archive snapshot that a proposer gets: scores under the protocol, noise of one seed, code and genomes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from agent.catalogue import SEED_GENOMES, Genome
from archive.leaderboard_csv import read_leaderboard
from archive.leaderboards import LEADERBOARDS, scorecards
from archive.outline import Outline
from archive.record import Record
from archive.store import Archive
from evaluator.outcomes import Score, Status, Trial
from evaluator.statistics.lazy_trials import LazyTrials
from evaluator.statistics.scorecards import squares_between_seeds
from evaluator.tasks.names import TaskName
from variants.contract import Variant


@dataclass(frozen=True)
class Pruned:
    """Mechanisms of a pruned proposal, and its scores on the seeds that it was trained on."""

    genome: Genome
    scores: Mapping[TaskName, Score]


@dataclass(frozen=True)
class ArchiveSnapshot:
    """The archive at one moment, under one protocol. An ask depends on the snapshot alone."""

    protocol: str
    standings: Mapping[str, Mapping[TaskName, Score]]
    """Scores by variant name, measured under the protocol: seeds and proposals."""
    published: pd.DataFrame
    """The published leaderboard: one seed, another protocol; index of names, six task columns."""
    noise: Mapping[TaskName, float]
    """Standard deviation of one seed under the protocol; a task without replicates is absent."""
    history: tuple[Record | Outline, ...]
    under_way: tuple[str, ...]
    variants: Mapping[str, Variant]
    genomes: Mapping[str, Genome]
    seed: int
    """Random seed of every random choice in this ask."""
    forced_parent: str | None = None
    pruned: Mapping[str, Pruned] = field(default_factory=dict)
    """Pruned proposals, by name. They are on no board, but show which mechanisms do harm."""


def take_snapshot(
    archive: Archive, protocol: str, *, seed: int, under_way: Sequence[str] = (), forced_parent: str | None = None
) -> ArchiveSnapshot:
    """Read everything that a proposer may know from the archive as it is now."""
    archive.require_sound()
    records = tuple(archive.outlines())
    trials = archive.trials(protocol)
    return ArchiveSnapshot(
        protocol=protocol,
        standings={name: card.scores for name, card in scorecards(protocol, trials).items()},
        published=published(archive),
        noise=noise(trials),
        history=records,
        under_way=tuple(under_way),
        variants=archive.variants(),
        genomes=genomes(records),
        seed=seed,
        forced_parent=forced_parent,
        pruned=pruned(archive, records, protocol),
    )


def published(archive: Archive) -> pd.DataFrame:
    """The archive's published leaderboard, indexed by name."""
    return read_leaderboard(archive.root / LEADERBOARDS / "published.csv")


def genomes(records: Iterable[Record | Outline]) -> dict[str, Genome]:
    """Genomes by variant name, of the seed variants and of the scored proposals that have a genome."""
    scored = [record for record in records if record.status is Status.SCORED]
    own = {r.proposal.variant.name: r.proposal.provenance.mechanisms for r in scored}
    return SEED_GENOMES | {name: Genome.model_validate(found) for name, found in own.items() if found}


def pruned(archive: Archive, records: Iterable[Record | Outline], protocol: str) -> dict[str, Pruned]:
    """Pruned proposals under the current protocol version, if they are made of the catalogue's mechanisms."""
    cards, found = scorecards(protocol, archive.pruned_trials(protocol)), {}
    for record in records:
        name, mechanisms = record.proposal.variant.name, record.proposal.provenance.mechanisms
        if name in cards and mechanisms:
            found[name] = Pruned(Genome.model_validate(mechanisms), cards[name].scores)
    return found


def noise(trials: Mapping[str, Sequence[Trial]]) -> dict[TaskName, float]:
    """Standard deviation of one seed's accuracy per task, pooled within variants. A task without it is absent."""
    squares: dict[TaskName, float] = defaultdict(float)
    freedom: dict[TaskName, int] = defaultdict(int)
    for own in trials.values():
        known = own.digest.spreads if isinstance(own, LazyTrials) else squares_between_seeds(own)
        for task, (more, degrees) in known.items():
            squares[task] += more
            freedom[task] += degrees
    return {task: (squares[task] / freedom[task]) ** 0.5 for task in freedom if freedom[task]}
