"""The difference between two variants over paired seeds, with the noise of a seed estimated from many variants.

Three seeds give a poor estimate of their variance: Student's t with two degrees of freedom needs an effect of several
standard deviations. All variants of a protocol together give a good estimate. A moderated t-test combines both
estimates (Smyth 2004, "Linear models and empirical Bayes methods for assessing differential expression",
doi:10.2202/1544-6115.1027). The common variance counts as `PRIOR_FREEDOM` degrees of freedom. The data would allow
more, but variants differ in noise: docs/results/statistics.md. The distributions are scipy's.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from evaluator.outcomes import Trial
from evaluator.statistics.intervals import chance_above, quantile, sum_of_squares
from evaluator.statistics.scorecards import seed_accuracies
from evaluator.statistics.seed_table import Array, Weights, seed_table
from evaluator.tasks.names import TaskName

PRIOR_FREEDOM = 8


@dataclass(frozen=True)
class Noise:
    """Variance of the difference between single seeds of two variants without a true difference."""

    variance: float
    freedom: int


@dataclass(frozen=True)
class Effect:
    """Mean of `n` paired differences, its standard error, and the degrees of freedom of the error."""

    mean: float
    error: float
    freedom: float
    n: int

    @property
    def p_greater(self) -> float:
        """One-sided p-value: probability of this mean or a larger one if the true difference is 0."""
        if self.error == 0:
            return 0.0 if self.mean > 0 else 1.0
        return float(chance_above(self.mean / self.error, self.freedom))

    def lower(self, confidence: float) -> float:
        """One-sided lower bound: the true difference is above the bound with this confidence."""
        return self.mean - quantile(confidence, self.freedom) * self.error

    def upper(self, confidence: float) -> float:
        """One-sided upper bound: the true difference is below the bound with this confidence."""
        return 2 * self.mean - self.lower(confidence)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Two-sided interval of the true difference."""
        return self.lower(0.5 + confidence / 2), self.upper(0.5 + confidence / 2)


@dataclass(frozen=True)
class Effects:
    """Many effects, `[N]` each. freedom: 0 where the noise cannot be estimated; the effect is then unknown."""

    mean: Array
    error: Array
    freedom: Array
    n: NDArray[np.intp]

    def __getitem__(self, place: int) -> Effect:
        """One of them."""
        freedom, n = float(self.freedom[place]), int(self.n[place])
        return Effect(float(self.mean[place]), float(self.error[place]), freedom, n)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.mean)

    def only(self, which: NDArray[np.bool_]) -> "Effects":
        """Some of them."""
        return Effects(self.mean[which], self.error[which], self.freedom[which], self.n[which])

    @property
    def p_greater(self) -> Array:
        """One-sided p-values, as those of an `Effect`."""
        certain = self.error == 0
        ratios = np.divide(self.mean, self.error, out=np.zeros_like(self.mean), where=~certain)
        return np.where(certain, np.where(self.mean > 0, 0.0, 1.0), chance_above(ratios, self.freedom))


def effect(differences: Sequence[float], noise: Noise | None) -> Effect | None:
    """The effect of a variant, from differences paired by seed; None if the noise cannot be estimated.

    Without `noise` this is the paired t-test. With `noise`, a single seed is enough.
    """
    n = len(differences)
    prior, variance = _prior(noise)
    freedom = n - 1 + prior
    if n == 0 or freedom == 0:
        return None
    pooled = (sum_of_squares(differences) + prior * variance) / freedom
    return Effect(fmean(differences), math.sqrt(pooled / n), freedom, n)


def effects(differences: Array, noise: Noise | None) -> Effects:
    """As `effect`, of each row of `[N, seeds]`, NaN where a seed is not shared."""
    n = np.isfinite(differences).sum(axis=1)
    prior, variance = _prior(noise)
    freedom = np.where(n > 0, n - 1.0 + prior, 0.0)
    mean = np.nansum(differences, axis=1) / np.maximum(n, 1)
    squares = np.nansum((differences - mean[:, None]) ** 2, axis=1)
    pooled = (squares + prior * variance) / np.where(freedom > 0, freedom, np.nan)
    return Effects(mean, np.sqrt(pooled / np.maximum(n, 1)), freedom, n)


def _prior(noise: Noise | None) -> tuple[int, float]:
    """The degrees of freedom that the common variance counts as, and the variance."""
    return (0, 0.0) if noise is None else (min(PRIOR_FREEDOM, noise.freedom), noise.variance)


def common_noise(values: Array) -> Noise | None:
    """Twice the residual variance of a block design. Pairing removes the effect common to a seed.

    values: `[variants, seeds]`, NaN where a variant lacks the seed. The seeds are those that give the most freedom:
    further ones of a few variants are left out, and so is a variant that lacks one. None for fewer than two variants
    or seeds.
    """
    has = np.isfinite(values)
    seeds = _most_telling(has[has.any(axis=1)])
    table = values[has[:, seeds].all(axis=1)][:, seeds]
    if len(table) < 2 or seeds.sum() < 2:
        return None
    freedom = (len(table) - 1) * (table.shape[1] - 1)
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    return Noise(2 * float((residual**2).sum()) / freedom, freedom)


def _most_telling(has: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of the sets of seeds that variants have, that of the design with the most freedom. has: `[variants, seeds]`."""
    if not len(has):
        return np.zeros(has.shape[1], dtype=np.bool_)
    sets, first, counts = np.unique(has, axis=0, return_index=True, return_counts=True)

    def telling(place: int) -> tuple[int, int, int]:
        larger = (sets >= sets[place]).all(axis=1)
        return int((counts[larger].sum() - 1) * (sets[place].sum() - 1)), int(counts[place]), -int(first[place])

    best: NDArray[np.bool_] = sets[max(range(len(sets)), key=telling)]
    return best


def mean_noise(
    trials: Mapping[str, Sequence[Trial]], tasks: Sequence[TaskName], weights: Weights | None = None
) -> Noise | None:
    """Noise of the mean over `tasks`, from all variants that have every task."""
    return common_noise(seed_table(trials, tasks).over_tasks(weights))


def noise_by_task(trials: Mapping[str, Sequence[Trial]], tasks: Sequence[TaskName]) -> dict[TaskName, Noise]:
    """Noise of each task, from the variants that were trained on it; a task where too few tell of it is absent.

    Inherited scores repeat a run and are left out.
    """
    table = seed_table(trials, tasks, trained=True)
    found = {task: common_noise(table.accuracies[:, place]) for place, task in enumerate(tasks)}
    return {task: noise for task, noise in found.items() if noise is not None}


def seed_means(trials: Sequence[Trial], tasks: Sequence[TaskName], weights: Weights | None = None) -> dict[int, float]:
    """Mean accuracy over `tasks`, for each seed that has every task. weights: sum to 1; None: all tasks alike."""
    found = seed_accuracies(trials)
    seeds = sorted(set.intersection(*(set(found.get(task, {})) for task in tasks))) if tasks else []
    if weights is not None:
        return {seed: math.fsum(weights[task] * found[task][seed] for task in tasks) for seed in seeds}
    return {seed: fmean([found[task][seed] for task in tasks]) for seed in seeds}


def paired(
    ours: Sequence[Trial], theirs: Sequence[Trial], tasks: Sequence[TaskName], weights: Weights | None = None
) -> list[float]:
    """Differences of the mean over `tasks`, for each seed for which both variants have every task, by seed."""
    one, other = seed_means(ours, tasks, weights), seed_means(theirs, tasks, weights)
    return [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]
