"""Verdicts: one variant compared with another on each task that both have, by differences paired by seed.

The noise of a task is estimated from all variants of the protocol and moderates that of the pair (see
`moderated_t_test`): three seeds alone would call chance better, and a loss of a tenth noise.
"""

from collections.abc import Mapping, Sequence

from evaluator.outcomes import Comparison, Trial, Verdict
from evaluator.statistics.intervals import CONFIDENCE
from evaluator.statistics.lazy_trials import sources, variant_of
from evaluator.statistics.moderated_t_test import Noise, effect
from evaluator.statistics.scorecards import seed_accuracies
from evaluator.tasks.names import TaskName
from variants.contract import VariantName

TaskNoise = Mapping[TaskName, Noise]
"""The noise of a difference between single seeds, for each task where enough variants tell of it."""


def verdict(
    trials_a: Sequence[Trial],
    trials_b: Sequence[Trial],
    against: VariantName,
    noise: TaskNoise,
    confidence: float = CONFIDENCE,
) -> Verdict:
    """Compare a with b (`against`) on each task that both have, by differences a - b paired by seed.

    better, worse: the interval of the mean difference excludes 0. With one seed there is no interval, and the outcome
    is indistinguishable. inert: both scores come from the same runs, because a cannot differ from b. A task without
    `noise` has the paired t-test of its own seeds. To compare several proposals at once, raise the confidence
    (Bonferroni: 1 - 0.05 / proposals).
    """
    ours, theirs = seed_accuracies(trials_a), seed_accuracies(trials_b)
    runs_a, runs_b = sources(trials_a), sources(trials_b)
    tasks = {}
    for task in sorted(ours.keys() & theirs.keys()):
        shared = sorted(ours[task].keys() & theirs[task].keys())
        if shared:
            inert = _inherited(trials_a, runs_a[task], trials_b, runs_b[task])
            differences = [ours[task][seed] - theirs[task][seed] for seed in shared]
            tasks[task] = _comparison(differences, inert, noise.get(task), confidence)
    return Verdict(against=against, tasks=tasks)


def _inherited(
    trials_a: Sequence[Trial], runs_a: Sequence[VariantName], trials_b: Sequence[Trial], runs_b: Sequence[VariantName]
) -> bool:
    """Whether both variants have the same runs, because one inherited the runs of the other."""
    return set(runs_a) == set(runs_b) and not {*runs_a} == {variant_of(trials_a)} == {variant_of(trials_b)}


def _comparison(differences: list[float], inert: bool, noise: Noise | None, confidence: float) -> Comparison:
    n = len(differences)
    mean = sum(differences) / n
    found = effect(differences, noise) if n > 1 else None
    low, high = found.interval(confidence) if found is not None else (mean, mean)
    if inert:
        return Comparison(outcome="inert", difference=mean, low=low, high=high, n=n)
    if n > 1 and low > 0:
        return Comparison(outcome="better", difference=mean, low=low, high=high, n=n)
    if n > 1 and high < 0:
        return Comparison(outcome="worse", difference=mean, low=low, high=high, n=n)
    return Comparison(outcome="indistinguishable", difference=mean, low=low, high=high, n=n)
