"""Differences between rows of a leaderboard, task by task: paired by seed where both were trained on the same seeds.

Paired: the moderated t-test of `evaluator.statistics`, with the noise that all rows of a task show. Not paired (a
published row has one seed, and nobody knows which): difference of the means, with the noise of one seed that the board
knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from agent.analysis.board import PUBLISHED_NAME, Board, open_board
from agent.analysis.gaps import Array, Flags, Gap, Lead
from agent.search.evaluate_variant import shipped
from archive.store import Archive
from evaluator.outcomes import Trial
from evaluator.statistics.moderated_t_test import PRIOR_FREEDOM, task_noise
from evaluator.statistics.scorecards import seed_accuracies
from variants.contract import TASKS, Task


@dataclass(frozen=True)
class PairedDifferences:
    """All rows of a board that have all six tasks, and the trials that tell which seeds are paired."""

    board: Board
    trials: Mapping[str, Sequence[Trial]]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """In alphabetical order."""
        return tuple(sorted(name for name, row in self.board.scores.items() if all(task in row for task in TASKS)))

    @cached_property
    def paired(self) -> bool:
        """Whether seeds of these rows are paired, and more than one tells of their noise."""
        return bool(np.isfinite(self._noise).any())

    def lead(self, name: str) -> Lead:
        """One row less every row."""
        own = self._index[name]
        means, counts = self._means, self._counts
        difference = means[own] - means
        error = self._deviation * np.sqrt(1 / counts[own] + 1 / counts)
        freedom = np.broadcast_to(self._freedom, difference.shape)
        if self.paired:
            difference, error, freedom = self._paired(own, difference, error, freedom)
        return Lead(difference, error, freedom, self._same(name))

    def gap(self, name: str, other: str, task: Task) -> Gap:
        """One row less another on one task."""
        return self.lead(name).gap(self._index[other], task)

    def _paired(self, own: int, difference: Array, error: Array, freedom: Array) -> tuple[Array, Array, Array]:
        """The same by paired seeds, wherever the two rows share some and the task's noise is known."""
        pairs = self._table[own] - self._table
        n = np.isfinite(pairs).sum(axis=2)
        mean = np.nansum(pairs, axis=2) / np.maximum(n, 1)
        squares = np.nansum((pairs - mean[..., None]) ** 2, axis=2)
        total = PRIOR_FREEDOM + np.maximum(n - 1, 0)
        pooled = np.sqrt((squares + PRIOR_FREEDOM * self._noise) / total / np.maximum(n, 1))
        usable = (n > 0) & np.isfinite(self._noise)
        return (
            np.where(usable, mean, difference),
            np.where(usable, pooled, error),
            np.where(usable, total, freedom).astype(np.float64),
        )

    def _same(self, name: str) -> Flags:
        """Rows × tasks: whether `name` and the row are one function there."""
        same: Flags = np.zeros((len(self.names), len(TASKS)), dtype=np.bool_)
        for column, task in enumerate(TASKS):
            for group in self.board.one.get(task, ()):
                if name in group:
                    same[[self._index[other] for other in group if other in self._index], column] = True
        same[self._index[name]] = True
        return same

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    @cached_property
    def _means(self) -> Array:
        return np.array([[self.board.scores[name][task].mean for task in TASKS] for name in self.names]).reshape(-1, 6)

    @cached_property
    def _counts(self) -> Array:
        return np.array([[self.board.scores[name][task].n for task in TASKS] for name in self.names]).reshape(-1, 6)

    @cached_property
    def _deviation(self) -> Array:
        return np.array([self.board.spreads[task].deviation for task in TASKS])

    @cached_property
    def _freedom(self) -> Array:
        return np.array([float(self.board.spreads[task].freedom) for task in TASKS])

    @cached_property
    def _noise(self) -> Array:
        """Variance of a paired difference of single seeds, per task; NaN where nothing tells of it."""
        known = [task_noise(self.trials, task) for task in TASKS]
        return np.array([found.variance if found is not None else np.nan for found in known])

    @cached_property
    def _table(self) -> Array:
        """Rows × tasks × seeds; NaN where a row has no such seed."""
        found = [seed_accuracies(self.trials.get(name, ())) for name in self.names]
        seeds = sorted({seed for own in found for row in own.values() for seed in row})
        return np.array([[[own.get(task, {}).get(seed, np.nan) for seed in seeds] for task in TASKS] for own in found])


def open_paired_differences(protocol: str, archive: Archive | None) -> PairedDifferences:
    """Of a protocol, or of `published`, whose seeds are not known: from an archive, or from what ships with archer."""
    board = open_board(protocol, archive)
    if protocol == PUBLISHED_NAME:
        return PairedDifferences(board, {})
    return PairedDifferences(board, archive.trials(protocol) if archive is not None else shipped(protocol))
