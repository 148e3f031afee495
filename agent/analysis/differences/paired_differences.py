"""Differences between rows of a leaderboard, task by task: paired by seed where both were trained on the same seeds.

Paired rows: the moderated t-test of `evaluator.statistics`, with the noise of all rows of a task. Unpaired rows (a
published row has one unknown seed): the difference of the means, with the board's noise of one seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agent.analysis.boards.board import PUBLISHED_NAME, Board, open_board
from archive.seeding import shipped_by_variant
from archive.store import Archive
from evaluator.outcomes import Trial
from evaluator.statistics.intervals import chance_above, quantile
from evaluator.statistics.moderated_t_test import PRIOR_FREEDOM, Noise, noise_by_task
from evaluator.statistics.seed_table import Array, Flags, seed_table
from evaluator.tasks.names import TaskName

Rows = NDArray[np.intp] | slice
EVERY = slice(None)
CLOSE = 1e-9
"""Accuracies that are nearer than this may be equal, but for rounding."""


@dataclass(frozen=True)
class Gap:
    """Score of one row less the score of another on one task, the standard error, and its degrees of freedom."""

    difference: float
    error: float
    freedom: float
    cannot_differ: bool = False
    """Whether both rows compute the same function on the task, so that their difference is chance."""

    @property
    def noise(self) -> float:
        """The difference that chance alone exceeds in 5 of 100 cases."""
        return quantile(0.975, self.freedom) * self.error

    @property
    def beyond_noise(self) -> bool:
        """Whether the difference exceeds noise, as a single comparison."""
        return abs(self.difference) > self.noise and not self.cannot_differ

    @property
    def p(self) -> float:
        """Two-sided p-value; 1 if the two rows cannot differ, or do not."""
        if self.cannot_differ or self.difference == 0:
            return 1.0
        return 2 * float(chance_above(abs(self.difference) / self.error, self.freedom)) if self.error else 0.0


@dataclass(frozen=True)
class Lead:
    """One row less every row of `PairedDifferences.names`, or less some. Arrays are rows × tasks.

    same: the rows cannot differ.
    """

    difference: Array
    error: Array
    freedom: Array
    same: Flags
    tasks: tuple[TaskName, ...]

    def gap(self, row: int, task: TaskName) -> Gap:
        """The gap to one of the rows on one task. row: its place among those of the lead."""
        at = (row, self.tasks.index(task))
        return Gap(float(self.difference[at]), float(self.error[at]), float(self.freedom[at]), bool(self.same[at]))

    def p_above(self) -> Array:
        """One-sided p-values of being above each row; 1 where the two rows cannot differ."""
        return np.where(self.same, 1.0, chance_above(self._ratio, self.freedom))

    def p_either(self) -> Array:
        """Two-sided; 1 where the two cannot differ, or do not."""
        none = self.same | (self.difference == 0)
        return np.where(none, 1.0, 2 * chance_above(np.abs(self._ratio), self.freedom))

    def p_below(self, rows: NDArray[np.intp] | slice = slice(None)) -> Array:
        """One-sided p-values of being below each row, or some of the rows; 1 where the two rows cannot differ."""
        return np.where(self.same[rows], 1.0, chance_above(-self._ratio[rows], self.freedom[rows]))

    @property
    def _ratio(self) -> Array:
        """Differences in units of their noise; infinite where there is a difference and nothing shows any noise."""
        none = self.difference == 0
        with np.errstate(divide="ignore"):
            return np.where(none, 0.0, self.difference / np.where(none, 1.0, self.error))


@dataclass(frozen=True)
class PairedDifferences:
    """The rows of a board that have every task, and the trials that show which seeds are paired."""

    board: Board
    trials: Mapping[str, Sequence[Trial]]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the rows, in alphabetical order."""
        return self.board.whole

    @cached_property
    def means(self) -> Array:
        """Mean accuracies, rows × tasks."""
        return self.board.means[[self.board.rows[name] for name in self.names]]

    @cached_property
    def paired(self) -> bool:
        """Whether the rows are paired by seed and have enough seeds to estimate the noise."""
        return bool(np.isfinite(self._noise).any())

    def place(self, name: str) -> int:
        """Of a row in `names`."""
        return self._index[name]

    def lead(self, name: str, rows: Rows = EVERY) -> Lead:
        """The lead of one row over every row, or over some. rows: their places in `names`."""
        own, counts = self._index[name], self._counts
        difference = self.means[own] - self.means[rows]
        error = self._deviation * np.sqrt(1 / counts[own] + 1 / counts[rows])
        freedom = np.broadcast_to(self._freedom, difference.shape)
        if self.paired:
            difference, error, freedom = self._paired(own, rows, difference, error, freedom)
        return Lead(difference, error, freedom, self.same(own, rows), self.board.tasks)

    def difference(self, own: int, rows: Rows = EVERY) -> Array:
        """The differences of `lead` alone, which is much faster. own: the place of the row in `names`."""
        difference: Array = self.means[own] - self.means[rows]
        if not self.paired:
            return difference
        _, n, mean = self._pairs(own, rows)
        return np.where(self._usable(n), mean, difference)

    def same(self, own: int, rows: Rows = EVERY) -> Flags:
        """Rows × tasks: where they compute the same function as row `own`."""
        same: Flags = self._functions[rows] == self._functions[own]
        return same

    def least_sure(self, p: float) -> Array:
        """Tasks: a lead below this has a one-sided p-value above `p` whatever its seeds are."""
        least = _lead_at(p, self._deviation * np.sqrt(2 / self._counts.max(axis=0)), self._freedom)
        if not self.paired:
            return least
        seeds = self._table.shape[2]
        freedom = self._prior + seeds - 1
        paired = _lead_at(p, np.sqrt(self._prior * self._noise / freedom / seeds), freedom)
        return np.fmin(least, paired)

    def not_behind(self, own: int, by: Array | None = None, among: Rows = EVERY) -> NDArray[np.intp]:
        """Places of all rows that may be ahead of a row, equal to it, or the same function, on every task; and of more.

        It tells in a glance at the means which rows `lead` need not be asked about. by: how far ahead, for each task.
        among: the places that are looked at.
        """
        looked = np.arange(len(self.names))[among]
        near = np.ones(len(looked), dtype=np.bool_)
        for column, level in enumerate(self._levels[:, own].tolist()):
            if np.isfinite(level):
                levels = self._levels[column, among]
                enough = levels >= level - CLOSE
                if by is not None:
                    enough &= (levels <= level + CLOSE) | (levels >= level + by[column] - CLOSE)
                if self._shared[own, column]:
                    enough |= self._functions[among, column] == self._functions[own, column]
                near &= enough
        return looked[near]

    def gap(self, name: str, other: str, task: TaskName) -> Gap:
        """The gap between row `name` and row `other` on one task."""
        return self.lead(name).gap(self._index[other], task)

    def _paired(
        self, own: int, rows: Rows, difference: Array, error: Array, freedom: Array
    ) -> tuple[Array, Array, Array]:
        """The last three, replaced by paired values where two rows share seeds and the noise of the task is known."""
        pairs, n, mean = self._pairs(own, rows)
        squares = np.nansum((pairs - mean[..., None]) ** 2, axis=2)
        total = self._prior + np.maximum(n - 1, 0)
        pooled = np.sqrt((squares + self._prior * self._noise) / total / np.maximum(n, 1))
        usable = self._usable(n)
        return (
            np.where(usable, mean, difference),
            np.where(usable, pooled, error),
            np.where(usable, total, freedom).astype(np.float64),
        )

    def _pairs(self, own: int, rows: Rows) -> tuple[Array, NDArray[np.intp], Array]:
        """Differences rows × tasks × seeds, NaN where one of the two lacks the seed; how many there are; their mean."""
        pairs = self._table[own] - self._table[rows]
        n = np.isfinite(pairs).sum(axis=2)
        return pairs, n, np.nansum(pairs, axis=2) / np.maximum(n, 1)

    def _usable(self, n: NDArray[np.intp]) -> Flags:
        """Rows × tasks: where so many pairs and the noise of the task tell of a difference."""
        usable: Flags = (n > 0) & np.isfinite(self._noise)
        return usable

    @cached_property
    def _functions(self) -> NDArray[np.intp]:
        """Rows × tasks: a number of the function that the row computes on the task; equal ones are known to be one."""
        numbers = np.repeat(np.arange(len(self.names))[:, None], len(self.board.tasks), axis=1)
        for column, task in enumerate(self.board.tasks):
            for group in self.board.one.get(task, ()):
                places = [self._index[name] for name in group if name in self._index]
                numbers[places, column] = min(places, default=0)
        return numbers

    @cached_property
    def _shared(self) -> Flags:
        """Rows × tasks: whether another row is known to compute the same function."""
        counts = [np.bincount(column, minlength=len(self.names))[column] for column in self._functions.T]
        return np.stack(counts, axis=1) > 1

    @cached_property
    def _levels(self) -> Array:
        """Tasks × rows: what two rows' difference is the difference of, but for rounding; infinite where it may not be.

        That is so for rows that lack a seed, whose difference is that of the seeds which both have.
        """
        if not self.paired:
            return np.ascontiguousarray(self.means.T)
        lacks = ~np.isfinite(self._table).all(axis=2) & np.isfinite(self._noise)
        levels = np.where(np.isfinite(self._noise), np.nansum(self._table, axis=2) / self._table.shape[2], self.means)
        return np.ascontiguousarray(np.where(lacks, np.inf, levels).T)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    @cached_property
    def _counts(self) -> Array:
        return self.board.counts[[self.board.rows[name] for name in self.names]]

    @cached_property
    def _deviation(self) -> Array:
        return np.array([self.board.spreads[task].deviation for task in self.board.tasks])

    @cached_property
    def _freedom(self) -> Array:
        return np.array([float(self.board.spreads[task].freedom) for task in self.board.tasks])

    @cached_property
    def _known(self) -> tuple[Noise | None, ...]:
        """The noise of each task; None if the trials do not give it."""
        found = noise_by_task(self.trials, self.board.tasks)
        return tuple(found.get(task) for task in self.board.tasks)

    @cached_property
    def _noise(self) -> Array:
        """Variance of a paired difference of single seeds, per task; NaN if the trials do not give it."""
        return np.array([found.variance if found is not None else np.nan for found in self._known])

    @cached_property
    def _prior(self) -> Array:
        """Degrees of freedom that this variance counts as, per task: no more than it was estimated with."""
        return np.array([min(PRIOR_FREEDOM, found.freedom) if found is not None else 1.0 for found in self._known])

    @cached_property
    def _table(self) -> Array:
        """Rows × tasks × seeds; NaN where a row has no such seed."""
        return seed_table({name: self.trials.get(name, ()) for name in self.names}, self.board.tasks).accuracies


def open_paired_differences(protocol: str, archive: Archive | None) -> PairedDifferences:
    """The differences of a protocol or of `published`, from an archive or, without an archive, from archer's files."""
    board = open_board(protocol, archive)
    if protocol == PUBLISHED_NAME:
        return PairedDifferences(board, {})
    return PairedDifferences(board, archive.trials(protocol) if archive is not None else shipped_by_variant(protocol))


def _lead_at(p: float, error: Array, freedom: Array) -> Array:
    """Tasks: the lead with this one-sided p-value."""
    ratio = [quantile(1 - p, float(each)) for each in freedom]
    return np.maximum(0.0, np.array(ratio) * error)
