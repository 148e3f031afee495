"""What the trials of a proposal so far tell of those that are missing, from what the variants of the archive did.

The difference of a proposal to its parent has two numbers a task: accuracy, and the area under the training curve (mean
of the log of the loss), which is less noisy. All 2 T numbers (T tasks) are taken to be jointly normal, with the
covariance of the differences between known variants. How large the proposal's change is, is not known: the prior is a
mixture of that covariance at a few scales. Each trial updates the components by Bayes' rule (Kalman), and their weights
by how well they foretold it. The noise of a trial is that of seeds, pooled over the variants; that of accuracy follows
p (1 - p).

Areas come from the training process and are not trusted: they foretell accuracies, and are part of no score.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agent.analysis.replicates import binomial
from evaluator.outcomes import Trial
from evaluator.statistics.scorecards import seed_accuracies
from evaluator.tasks.names import TaskName

Table = NDArray[np.float64]
Cell = tuple[int, int]
"""A task and a seed, by their places."""

SCALES = (0.2, 0.6, 1.5)
"""Sizes of a proposal's change, in those between known variants; equally likely at first."""
SHRINKAGE = 0.3
"""How much of a correlation between tasks is not believed: a few dozen variants tell little of so many."""
LEAST_LOSS, MOST_LOSS = 1e-4, 1e2
LEAST_VARIANTS = 8
UNKNOWN = 1e6
INHERITED = 1e-6
"""Share of the noise that an inherited trial has: none, but for the arithmetic."""


@dataclass(frozen=True)
class Measured:
    """Accuracy and area of one variant, `[T, S]` each; NaN where a trial is missing. inherited: whose trial it is."""

    accuracy: Table
    area: Table
    inherited: NDArray[np.bool_]

    @classmethod
    def of(cls, trials: Sequence[Trial], tasks: Sequence[TaskName], seeds: Sequence[int]) -> Self:
        """From trials; a task counts for a seed once all its settings are scored."""
        found = seed_accuracies(trials)
        shape = len(tasks), len(seeds)
        accuracy, area, inherited = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=bool)
        for row, task in enumerate(tasks):
            for column, seed in enumerate(seeds):
                own = [trial for trial in trials if (trial.task, trial.seed) == (task, seed)]
                if own and seed in found.get(task, {}):
                    accuracy[row, column] = found[task][seed]
                    area[row, column] = fmean(map(_area, own))
                    inherited[row, column] = all(trial.inherited_from for trial in own)
        return cls(accuracy, area, inherited)

    @property
    def whole(self) -> bool:
        """Whether no trial is missing, nor any curve."""
        return not (np.isnan(self.accuracy).any() or np.isnan(self.area).any())


def _area(trial: Trial) -> float:
    if not trial.curve:
        return math.nan
    return fmean(math.log(min(max(point.loss, LEAST_LOSS), MOST_LOSS)) for point in trial.curve)


@dataclass(frozen=True)
class Experience:
    """What known variants show. spread: covariance `[2T, 2T]` of differences; noise: `[T, 2, 2]` of a paired trial.

    level: p (1 - p) that the noise of each task's accuracy belongs to, `[T]`.
    """

    spread: Table
    noise: Table
    level: Table

    @classmethod
    def of(cls, variants: Sequence[Measured]) -> Self | None:
        """None for so few variants, or seeds, that they tell nothing."""
        rows = [found for found in variants if found.whole]
        if len(rows) < LEAST_VARIANTS or rows[0].accuracy.shape[1] < 2:
            return None
        table = np.stack([np.stack([found.accuracy, found.area]) for found in rows])  # [V, 2, T, S]
        means = table.mean(3)
        tasks, seeds = table.shape[2:]
        full = 2 * np.cov(means.reshape(len(rows), -1).T)
        spread = (1 - SHRINKAGE) * full + SHRINKAGE * np.diag(np.diag(full))
        residual = table - means[..., None] - (table.mean(0) - means.mean(0)[..., None])
        freedom = (len(rows) - 1) * (seeds - 1)
        noise = 2 * np.einsum("vats,vbts->tab", residual, residual) / freedom
        noise += 1e-9 * np.eye(2)
        level = np.array([fmean(binomial(float(x)) for x in means[:, 0, task]) for task in range(tasks)])
        return cls(spread, noise, level)

    def noise_at(self, task: int, accuracy: float) -> Table:
        """Covariance `[2, 2]` of a paired trial at this accuracy."""
        factor = np.array([math.sqrt(binomial(min(1.0, max(0.0, accuracy))) / self.level[task]), 1.0])
        found: Table = self.noise[task] * np.outer(factor, factor)
        return found

    def order(self, first: Sequence[Cell], cells: Sequence[Cell], cost: Mapping[Cell, float]) -> list[Cell]:
        """`first`, then what takes most of the variance of the mean difference for its cost, one after the other."""
        tasks = len(self.level)
        weights = np.repeat([1 / tasks, 0.0], tasks)
        covariance, order, left = self.spread * SCALES[1] ** 2, list[Cell](), list(cells)
        while left:
            forced = [cell for cell in first if cell in left][:1]
            cell = max(forced or left, key=lambda each: self._told(covariance, each[0], weights) / cost[each])
            covariance = covariance - _gain(covariance, _places(cell[0], tasks), self.noise[cell[0]])[1]
            order.append(cell)
            left.remove(cell)
        return order

    def _told(self, covariance: Table, task: int, weights: Table) -> float:
        """Variance of the weighted mean that a trial of the task takes away."""
        return float(weights @ _gain(covariance, _places(task, len(self.level)), self.noise[task])[1] @ weights)


def _places(task: int, tasks: int) -> list[int]:
    return [task, tasks + task]


def _gain(covariance: Table, places: list[int], noise: Table) -> tuple[Table, Table]:
    """Kalman's gain `[F, 2]` of a trial, and what it takes from the covariance `[F, F]`."""
    seen = covariance[places]
    gain: Table = np.asarray(np.linalg.solve(seen[:, places] + noise, seen).T, dtype=np.float64)
    return gain, gain @ seen


@dataclass
class Belief:
    """The mixture: means `[K, 2T]`, covariances `[K, 2T, 2T]`, and the logarithms of the weights `[K]`."""

    experience: Experience
    means: Table = field(init=False)
    covariances: Table = field(init=False)
    weights: Table = field(init=False)

    def __post_init__(self) -> None:
        """Before any trial."""
        spread = self.experience.spread
        self.means = np.zeros((len(SCALES), len(spread)))
        self.covariances = np.stack([scale**2 * spread for scale in SCALES])
        self.weights = np.zeros(len(SCALES))

    def see(self, task: int, difference: Table, noise: Table) -> None:
        """A trial's difference of accuracy and of area, `[2]`."""
        places = _places(task, len(self.experience.level))
        for k in range(len(SCALES)):
            foretold = self.covariances[k][np.ix_(places, places)] + noise
            off = difference - self.means[k][places]
            self.weights[k] -= (off @ np.linalg.solve(foretold, off) + np.log(np.linalg.det(foretold))) / 2
            gain, taken = _gain(self.covariances[k], places, noise)
            self.means[k] = self.means[k] + gain @ off
            self.covariances[k] = self.covariances[k] - taken

    def draws(self, count: int, chance: np.random.Generator) -> Table:
        """True differences of accuracy, `[count, T]`."""
        tasks = len(self.experience.level)
        weights = np.exp(self.weights - self.weights.max())
        found = np.empty((count, tasks))
        which = chance.choice(len(SCALES), count, p=weights / weights.sum())
        for k in range(len(SCALES)):
            root = np.linalg.cholesky(self.covariances[k][:tasks, :tasks] + 1e-10 * np.eye(tasks))
            rows = which == k
            found[rows] = self.means[k][:tasks] + chance.standard_normal((int(rows.sum()), tasks)) @ root.T
        return found


def foretell(experience: Experience, parent: Measured, own: Measured, count: int, chance: np.random.Generator) -> Table:
    """Mean accuracies of a proposal after all its trials, `[count, T]`: what is known, and draws of what is missing."""
    belief, known = Belief(experience), ~np.isnan(own.accuracy)
    for task, seed in zip(*np.nonzero(known), strict=True):
        difference = np.array([table[task, seed] for table in (own.accuracy - parent.accuracy, own.area - parent.area)])
        at = float(own.accuracy[task, seed] + parent.accuracy[task].mean()) / 2
        noise = experience.noise_at(task, at) * (INHERITED if own.inherited[task, seed] else 1.0)
        if np.isnan(difference[1]):  # no curve: the area may be anything
            difference[1], noise = 0.0, np.diag([noise[0, 0], UNKNOWN])
        belief.see(task, difference, noise)
    true = belief.draws(count, chance)
    levels = parent.accuracy.mean(1)
    deviation = np.sqrt([experience.noise_at(task, level)[0, 0] for task, level in enumerate(levels)])
    missing = parent.accuracy + true[:, :, None] + deviation[:, None] * chance.standard_normal((count, *known.shape))
    found: Table = np.where(known, np.nan_to_num(own.accuracy), np.clip(missing, 0.0, 1.0)).mean(2)
    return found


def without_a_difference(experience: Experience, parent: Measured, count: int, chance: np.random.Generator) -> Table:
    """Mean accuracies, `[count, T]`, of a proposal that differs from its parent by the noise of its seeds only."""
    levels, seeds = parent.accuracy.mean(1), parent.accuracy.shape[1]
    deviation = np.sqrt([experience.noise_at(task, level)[0, 0] / seeds for task, level in enumerate(levels)])
    found: Table = np.clip(levels + deviation * chance.standard_normal((count, len(levels))), 0.0, 1.0)
    return found
