"""The difference between two variants over paired seeds, with the noise of a seed estimated from many variants.

Three seeds give a poor estimate of their variance: Student's t with two degrees of freedom needs an effect of several
standard deviations. All variants of a protocol together give a good estimate. A moderated t-test combines both
estimates (Smyth 2004, "Linear models and empirical Bayes methods for assessing differential expression",
doi:10.2202/1544-6115.1027). The common variance counts as `PRIOR_FREEDOM` degrees of freedom. The data would allow
more, but variants differ in noise: docs/results/statistics.md. The distributions are scipy's.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from evaluator.outcomes import Trial
from evaluator.statistics.intervals import chance_above, quantile, sum_of_squares
from evaluator.statistics.lazy_trials import LazyTrials
from evaluator.statistics.scorecards import seed_accuracies
from evaluator.tasks.names import TaskName

PRIOR_FREEDOM = 8
Weights = Mapping[TaskName, float]
"""What each task counts in a mean over tasks."""


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


def effect(differences: Sequence[float], noise: Noise | None) -> Effect | None:
    """The effect of a variant, from differences paired by seed; None if the noise cannot be estimated.

    Without `noise` this is the paired t-test. With `noise`, a single seed is enough.
    """
    n = len(differences)
    own_freedom = n - 1
    prior_freedom = min(PRIOR_FREEDOM, noise.freedom) if noise is not None else 0
    if n == 0 or own_freedom + prior_freedom == 0:
        return None
    squares = sum_of_squares(differences)
    pooled = (squares + prior_freedom * (noise.variance if noise else 0.0)) / (own_freedom + prior_freedom)
    return Effect(fmean(differences), math.sqrt(pooled / n), own_freedom + prior_freedom, n)


def chances(found: Sequence[Effect]) -> NDArray[np.float64]:
    """One-sided p-values, as `Effect.p_greater` has them; at once, which takes a tenth of the time."""
    means, errors = np.array([each.mean for each in found]), np.array([each.error for each in found])
    certain, freedom = errors == 0, np.array([each.freedom for each in found])
    ratios = np.divide(means, errors, out=np.zeros_like(means), where=~certain)
    return np.where(certain, np.where(means > 0, 0.0, 1.0), chance_above(ratios, freedom))


def common_noise(rows: Mapping[str, Mapping[int, float]]) -> Noise | None:
    """Twice the residual variance of a block design, variants × seeds. Pairing removes the effect common to a seed.

    rows: a value for each seed, by variant. The seeds are those that give the most freedom: further ones of a few
    variants are left out, and so is a variant that lacks one. None for fewer than two variants or seeds.
    """
    seeds = sorted(_most_telling(Counter(map(frozenset, rows.values()))))
    table = np.array([[row[seed] for seed in seeds] for row in rows.values() if row.keys() >= set(seeds)])
    if len(table) < 2 or len(seeds) < 2:
        return None
    freedom = (len(table) - 1) * (len(seeds) - 1)
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    return Noise(2 * float((residual**2).sum()) / freedom, freedom)


def _most_telling(counts: Mapping[frozenset[int], int]) -> frozenset[int]:
    """Of the sets of seeds that variants have, that of the design with the most freedom. counts: of the variants."""

    def freedom(seeds: frozenset[int]) -> int:
        return (sum(count for own, count in counts.items() if own >= seeds) - 1) * (len(seeds) - 1)

    return max(counts, key=lambda seeds: (freedom(seeds), counts[seeds]), default=frozenset())


def mean_noise(
    trials: Mapping[str, Sequence[Trial]], tasks: Sequence[TaskName], weights: Weights | None = None
) -> Noise | None:
    """Noise of the mean over `tasks`, from all variants that have every task."""
    rows = {name: seed_means(own, tasks, weights) for name, own in trials.items()}
    return common_noise({name: row for name, row in rows.items() if row})


def task_noise(trials: Mapping[str, Sequence[Trial]], task: TaskName) -> Noise | None:
    """Noise of one task, from the variants that were trained on it. Inherited scores repeat a run and are left out."""
    own = {name: trained_accuracies(found, task) for name, found in trials.items()}
    return common_noise({name: found for name, found in own.items() if found})


def trained_accuracies(trials: Sequence[Trial], task: TaskName) -> Mapping[int, float]:
    """The task's accuracy of each seed that the variant was trained on, and did not inherit."""
    if isinstance(trials, LazyTrials):
        variant, sources = trials.digest.variant, trials.digest.other_sources.get(task, ())
        if set(sources) <= {variant}:
            return trials.digest.accuracies.get(task, {})
        if variant not in sources:
            return {}
    own = [trial for trial in trials if trial.task == task and trial.inherited_from is None]
    return seed_accuracies(own).get(task, {})


def seed_means(trials: Sequence[Trial], tasks: Sequence[TaskName], weights: Weights | None = None) -> dict[int, float]:
    """Mean accuracy over `tasks`, for each seed that has every task. weights: sum to 1; None: all tasks alike."""
    asked = tuple(tasks)
    if weights is None and isinstance(trials, LazyTrials) and asked in trials.means:
        return trials.means[asked]
    found = seed_accuracies(trials)
    seeds = set.intersection(*(set(found.get(task, {})) for task in asked)) if asked else set()
    if weights is not None:
        return {seed: math.fsum(weights[task] * found[task][seed] for task in asked) for seed in sorted(seeds)}
    means = {seed: fmean([found[task][seed] for task in asked]) for seed in sorted(seeds)}
    if isinstance(trials, LazyTrials):
        trials.means[asked] = means
    return means


def paired(
    ours: Sequence[Trial], theirs: Sequence[Trial], tasks: Sequence[TaskName], weights: Weights | None = None
) -> list[float]:
    """Differences of the mean over `tasks`, for each seed for which both variants have every task, by seed."""
    one, other = seed_means(ours, tasks, weights), seed_means(theirs, tasks, weights)
    return [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]
