"""From trials to a scorecard and to verdicts: means over seeds, paired differences, Student's t intervals."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev

from scipy import stats

from evaluator.outcomes import Comparison, Score, Scorecard, Status, Trial, Verdict
from variants.contract import Task, VariantName

CONFIDENCE = 0.95


def scorecard(trials: Sequence[Trial], confidence: float = CONFIDENCE) -> Scorecard:
    """Per task: mean over settings of the best of the optimiser grid, per seed; then mean and interval over seeds.

    A seed counts only if every setting that the trials name has a scored trial in it; a task without such a seed has
    no score. Intervals are cut off at 0 and 1. Raises ValueError for no trials, or several variants or protocols.
    """
    variant, protocol, protocol_hash = _identity(trials)
    scores = {}
    for task, seeds in seed_accuracies(trials).items():
        mean, low, high = _interval(list(seeds.values()), confidence)
        scores[task] = Score(mean=mean, low=max(0.0, low), high=min(1.0, high), n=len(seeds))
    return Scorecard(variant=variant, protocol=protocol, protocol_hash=protocol_hash, scores=scores)


def verdict(
    trials_a: Sequence[Trial], trials_b: Sequence[Trial], against: VariantName, confidence: float = CONFIDENCE
) -> Verdict:
    """Compare a with b (`against`) on each task both have, by differences a - b paired by seed.

    better, worse: the interval of the mean difference excludes 0. One seed has no interval: indistinguishable. inert:
    the scores of both come from the same runs, since a cannot differ from b. For several proposals tried at once, raise
    the confidence (Bonferroni: 1 - 0.05 / proposals).
    """
    ours, theirs = seed_accuracies(trials_a), seed_accuracies(trials_b)
    tasks = {}
    for task in ours.keys() & theirs.keys():
        shared = sorted(ours[task].keys() & theirs[task].keys())
        if shared:
            inert = _same_runs([t for t in trials_a if t.task == task], [t for t in trials_b if t.task == task])
            differences = [ours[task][seed] - theirs[task][seed] for seed in shared]
            tasks[task] = _comparison(differences, inert, confidence)
    return Verdict(against=against, tasks=tasks)


def seed_accuracies(trials: Iterable[Trial]) -> dict[Task, dict[int, float]]:
    """Accuracy of each task for each complete seed."""
    best: dict[Task, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    settings: dict[Task, set[str]] = defaultdict(set)
    for trial in trials:
        settings[trial.task].add(trial.setting)
        if trial.status is Status.SCORED and trial.accuracy is not None:
            of_seed = best[trial.task][trial.seed]
            of_seed[trial.setting] = max(of_seed.get(trial.setting, 0.0), trial.accuracy)
    return {
        task: {seed: fmean(found.values()) for seed, found in sorted(seeds.items()) if found.keys() == settings[task]}
        for task, seeds in best.items()
        if any(found.keys() == settings[task] for found in seeds.values())
    }


def _same_runs(trials_a: Sequence[Trial], trials_b: Sequence[Trial]) -> bool:
    inherited = any(trial.inherited_from for trial in (*trials_a, *trials_b))
    a, b = ({trial.inherited_from or trial.variant for trial in trials} for trials in (trials_a, trials_b))
    return inherited and a == b


def _comparison(differences: list[float], inert: bool, confidence: float) -> Comparison:
    mean, low, high = _interval(differences, confidence)
    n = len(differences)
    if inert:
        return Comparison(outcome="inert", difference=mean, low=low, high=high, n=n)
    if n > 1 and low > 0:
        return Comparison(outcome="better", difference=mean, low=low, high=high, n=n)
    if n > 1 and high < 0:
        return Comparison(outcome="worse", difference=mean, low=low, high=high, n=n)
    return Comparison(outcome="indistinguishable", difference=mean, low=low, high=high, n=n)


def _interval(values: list[float], confidence: float) -> tuple[float, float, float]:
    """Mean and Student's t interval; of one value, the value thrice."""
    mean = fmean(values)
    if len(values) == 1:
        return mean, mean, mean
    half = float(stats.t.ppf(0.5 + confidence / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def _identity(trials: Sequence[Trial]) -> tuple[VariantName, str, str]:
    identities = {(trial.variant, trial.protocol, trial.protocol_hash) for trial in trials}
    if len(identities) != 1:
        raise ValueError(f"a scorecard is of one variant under one protocol, not of {sorted(identities)}")
    return identities.pop()
