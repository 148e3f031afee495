"""What a proposer may know when it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from agent.catalogue import Genome
from archive.outline import Outline
from archive.record import Record
from evaluator.outcomes import Score
from variants.contract import Task, Variant


@dataclass(frozen=True)
class Pruned:
    """Mechanisms of a proposal that was given up as worse, and its scores on the seeds that it was trained on."""

    genome: Genome
    scores: Mapping[Task, Score]


@dataclass(frozen=True)
class ArchiveSnapshot:
    """A snapshot of the archive, under one protocol. An ask is a function of it alone."""

    protocol: str
    standings: Mapping[str, Mapping[Task, Score]]
    """Scores by variant name, measured under the protocol: seeds and proposals."""
    published: pd.DataFrame
    """The published leaderboard: one seed, another protocol; index of names, six task columns."""
    noise: Mapping[Task, float]
    """Standard deviation of one seed under the protocol; a task without replicates is absent."""
    history: tuple[Record | Outline, ...]
    under_way: tuple[str, ...]
    variants: Mapping[str, Variant]
    genomes: Mapping[str, Genome]
    seed: int
    """Seeds every random choice of this ask."""
    forced_parent: str | None = None
    pruned: Mapping[str, Pruned] = field(default_factory=dict)
    """Proposals that racing gave up, by name: they stand on no board, but their mechanisms are known to do harm."""
