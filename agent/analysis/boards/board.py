"""A leaderboard as values: the scores, and how large a difference between two scores must be to exceed noise."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import compress
from statistics import fmean, median
from typing import TYPE_CHECKING

import numpy as np

from agent.analysis.replicates import (
    SHARED_FREEDOM,
    SeedDeviation,
    binomial,
    deviations_of_replicates,
    function_groups,
    moderate,
)
from agent.analysis.snapshot import ArchiveSnapshot, genomes, noise, published
from agent.catalogue import SEED_GENOMES, Genome
from archive.lazy_mapping import LazyMapping
from archive.seeding import shipped_by_variant
from archive.store import Archive
from archive.tables.leaderboard_csv import PUBLISHED, measured_rows, read_leaderboard
from archive.tables.leaderboards import standings
from evaluator.outcomes import Score
from evaluator.protocols.built_in import tasks_of
from evaluator.statistics.intervals import quantile
from evaluator.statistics.over_tasks import mean_over_tasks
from evaluator.statistics.seed_table import Array, SeedTable, seed_table
from evaluator.tasks.names import TaskName

if TYPE_CHECKING:  # a command that shows a protocol's scores reads no table
    import pandas as pd

PUBLISHED_PROTOCOL = "mad"
PUBLISHED_NAME = "published"
"""The name of the published leaderboard where a function or an option takes a protocol's name."""


@dataclass(frozen=True)
class Board:
    """Scores by name under one protocol, and the noise of one seed per task."""

    title: str
    protocol: str
    scores: Mapping[str, Mapping[TaskName, Score]]
    spreads: Mapping[TaskName, SeedDeviation]
    """Noise of one seed, for every task on which some variant has a score."""
    one: Mapping[TaskName, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    """Per task, groups of rows that are known to compute the same function there."""
    table: SeedTable | None = field(default=None, compare=False)
    """Of the trials that the scores are of, with the same rows; None where only scores are known."""

    @property
    def tasks(self) -> tuple[TaskName, ...]:
        """All tasks of the protocol, measured or not."""
        return tasks_of(self.protocol)

    @property
    def noise_is_assumed(self) -> bool:
        """Whether no row shows any noise, for want of seeds or replicates: nothing is then more than chance."""
        return all(known.freedom <= SHARED_FREEDOM for known in self.spreads.values())

    @cached_property
    def means(self) -> Array:
        """Mean accuracies, `[rows, tasks]`, NaN without a score."""
        return self._of_all(lambda score: score.mean) if self.table is None else self.table.means

    @cached_property
    def counts(self) -> Array:
        """How many seeds each score is of, `[rows, tasks]`, NaN without a score."""
        if self.table is None:
            return self._of_all(lambda score: score.n)
        return np.where(self.table.counts, self.table.counts, np.nan)

    def _of_all(self, value: Callable[[Score], float]) -> Array:
        rows = [[value(row[task]) if task in row else np.nan for task in self.tasks] for row in self.scores.values()]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.tasks))

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """The place of each row in the arrays."""
        return {name: place for place, name in enumerate(self.scores)}

    @cached_property
    def whole(self) -> tuple[str, ...]:
        """Names of the rows that have a score on every task, in alphabetical order."""
        has = np.logical_and.reduce(np.isfinite(self.means), axis=1).tolist()
        return tuple(sorted(compress(self.scores, has)))

    def mean_of_all(self, name: str) -> float | None:
        """Mean over all tasks; None where one was not measured."""
        return mean_over_tasks(self.scores.get(name, {}), self.tasks)

    def half_width(self, task: TaskName, n: int = 1, confidence: float = 0.95) -> float:
        """Half of the width of the interval of a mean of n seeds, by Student's t on the pooled standard deviation."""
        known = self.spreads[task]
        return quantile((1 + confidence) / 2, known.freedom) * known.deviation / math.sqrt(n)

    def least_difference(self, task: TaskName, n: int = 1, m: int = 1) -> float:
        """The difference between means of n and m seeds that noise alone exceeds in 5 of 100 cases."""
        return self.half_width(task) * math.sqrt(1 / n + 1 / m)

    def mean(self, name: str, task: TaskName) -> float | None:
        """Mean accuracy of a variant on a task; None without a score."""
        score = self.scores.get(name, {}).get(task)
        return None if score is None else score.mean

    def one_function(self, name: str, other: str, task: TaskName) -> bool:
        """Whether two rows are known to compute the same function on a task, so that their difference is noise."""
        return name == other or any(name in group and other in group for group in self.one.get(task, ()))


def published_board(snapshot: ArchiveSnapshot) -> Board:
    """The published leaderboard, one seed a row. Rows that compute the same function give the noise of one seed."""
    return board_of_table(snapshot.published, _genomes(snapshot))


def measured_board(snapshot: ArchiveSnapshot) -> Board:
    """The scores that were measured under the snapshot's protocol, with the noise between seeds of one variant.

    Rows that compute the same function are no replicates here, because one row inherits the score of the other.
    """
    scores, trials = snapshot.standings, snapshot.trials
    known = {name: trials[name] for name in scores if name in trials}
    table = seed_table(known, tasks_of(snapshot.protocol)) if len(known) == len(scores) else None
    return _measured(snapshot.protocol, scores, snapshot.noise, lambda: _genomes(snapshot), table)


def open_board(protocol: str, archive: Archive | None) -> Board:
    """The board of a protocol or of `published`, from an archive or, without an archive, from the files of archer.

    Raises ArchiveError and LeaderboardError for files that cannot be read.
    """
    if protocol == PUBLISHED_NAME:
        known = genomes(archive.lines() if archive is not None else ())
        return board_of_table(published(archive) if archive is not None else read_leaderboard(PUBLISHED), known)
    trials = archive.trials(protocol) if archive is not None else shipped_by_variant(protocol)
    scores, tasks = standings(protocol, trials), tasks_of(protocol)
    trials = {name: trials[name] for name in scores}
    return _measured(
        protocol,
        scores,
        noise(trials, tasks),
        lambda: genomes(archive.lines() if archive is not None else ()),
        seed_table(trials, tasks),
    )


def best_board(snapshot: ArchiveSnapshot) -> Board:
    """The measured board if two or more variants were measured on all tasks, else the published board."""
    measured = measured_board(snapshot)
    return measured if len(measured.whole) > 1 else published_board(snapshot)


def board_of_table(table: "pd.DataFrame", known: Mapping[str, Genome]) -> Board:
    """The board of a leaderboard that was published elsewhere. known: genomes of rows, as far as there are."""
    rows = measured_rows(table)
    scores = {name: {task: Score(mean=x, low=x, high=x, n=1) for task, x in row.items()} for name, row in rows.items()}
    found = deviations_of_replicates(rows, known, PUBLISHED_PROTOCOL)
    board = Board(
        "published, one seed", PUBLISHED_PROTOCOL, scores, {}, function_groups(rows, known, PUBLISHED_PROTOCOL)
    )
    scales = {task: binomial(median(levels)) for task, levels in _levels(board).items()}  # replicates are no outliers
    return replace(board, spreads=moderate(found, scales))


def _measured(
    protocol: str,
    scores: Mapping[str, Mapping[TaskName, Score]],
    deviations: Mapping[TaskName, float],
    known: Callable[[], Mapping[str, Genome]],
    table: SeedTable | None,
) -> Board:
    """known: returns the genomes of rows; few who look at a board ask who computes the same function."""
    tasks = tasks_of(protocol)
    groups = cache(lambda: function_groups(scores, known(), protocol))
    board = Board(f"protocol {protocol}", protocol, scores, {}, LazyMapping(tasks, lambda task: groups()[task]), table)
    freedom = dict(zip(tasks, np.nansum(board.counts - 1, axis=0).astype(int).tolist(), strict=True))
    found = {task: SeedDeviation(deviation, max(1, freedom[task])) for task, deviation in deviations.items()}
    scales = {task: fmean(map(binomial, levels)) for task, levels in _levels(board).items()}  # pooled over all rows
    return replace(board, spreads=moderate(found, scales))


def _levels(board: Board) -> dict[TaskName, list[float]]:
    """The scores of each task that any row has one of."""
    columns = (column[np.isfinite(column)].tolist() for column in board.means.T)
    return {task: levels for task, levels in zip(board.tasks, columns, strict=True) if levels}


def _genomes(snapshot: ArchiveSnapshot) -> Mapping[str, Genome]:
    return {**SEED_GENOMES, **snapshot.genomes}
