"""From trials to a scorecard: means over seeds, with Student's t intervals."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from operator import itemgetter
from statistics import fmean

from evaluator.outcomes import Score, Scorecard, Status, Trial
from evaluator.statistics.intervals import CONFIDENCE, student_interval, sum_of_squares
from evaluator.statistics.lazy_trials import Digest, LazyTrials, sources
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import planned_settings
from variants.contract import VariantName


def scorecard(trials: Sequence[Trial], confidence: float = CONFIDENCE) -> Scorecard:
    """Per task: mean over settings of the best of the optimiser grid, per seed; then mean and interval over seeds.

    A seed counts only if every setting of the task has a scored trial in it; a task without such a seed has no score.
    Intervals are cut off at 0 and 1. Raises ValueError for no trials, or several variants or protocols.
    """
    if isinstance(trials, LazyTrials) and confidence == CONFIDENCE:
        return trials.card
    variant, protocol, protocol_hash = _identity(trials)
    scores = {}
    for task, seeds in seed_accuracies(trials).items():
        mean, low, high = student_interval(list(seeds.values()), confidence)
        scores[task] = Score(mean=mean, low=max(0.0, low), high=min(1.0, high), n=len(seeds))
    return Scorecard(variant=variant, protocol=protocol, protocol_hash=protocol_hash, scores=scores)


def seed_accuracies(trials: Iterable[Trial]) -> Mapping[TaskName, Mapping[int, float]]:
    """Accuracy of each task for each complete seed: one that lacks no setting of the task."""
    if isinstance(trials, LazyTrials):
        return trials.accuracies
    best: dict[TaskName, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    named: dict[tuple[TaskName, str], set[str]] = defaultdict(set)
    for trial in trials:
        named[trial.task, trial.protocol].add(trial.setting)
        if trial.status is Status.SCORED and trial.accuracy is not None:
            of_seed = best[trial.task][trial.seed]
            of_seed[trial.setting] = max(of_seed.get(trial.setting, 0.0), trial.accuracy)
    settings = {task: _settings(task, protocol, found) for (task, protocol), found in named.items()}
    complete = {
        task: {seed: fmean(found.values()) for seed, found in sorted(seeds.items()) if found.keys() == settings[task]}
        for task, seeds in best.items()
    }
    return {task: seeds for task, seeds in complete.items() if seeds}


def losses_by_task(trials: Iterable[Trial]) -> Mapping[TaskName, float]:
    """Mean cross-entropy on the test set, in nats: of the trials whose accuracy is a task's score, over its seeds."""
    trials = list(trials)
    complete = seed_accuracies(trials)
    best: dict[tuple[TaskName, int, str], tuple[float, float]] = {}
    for trial in trials:
        if trial.accuracy is None or trial.test_loss is None or trial.seed not in complete.get(trial.task, {}):
            continue
        key, found = (trial.task, trial.seed, trial.setting), (trial.accuracy, trial.test_loss)
        best[key] = max(best.get(key, found), found, key=itemgetter(0))
    losses: dict[TaskName, list[float]] = defaultdict(list)
    for (task, _, _), (_, loss) in best.items():
        losses[task].append(loss)
    return {task: fmean(found) for task, found in losses.items()}


def _settings(task: TaskName, protocol: str, named: Set[str]) -> Set[str]:
    """All settings of a task: those that the protocol plans, or, of an older protocol of the name, those that ran."""
    planned = planned_settings(task, protocol)
    return planned if named <= planned else named


def lazy_trials(trials: Sequence[Trial]) -> LazyTrials:
    """The same trials with a digest for statistics, computed once. Raises ValueError as `scorecard` does."""
    if isinstance(trials, LazyTrials):
        return trials
    card = scorecard(trials)
    accuracies = {task: dict(found) for task, found in seed_accuracies(trials).items()}
    digest = Digest.of(card, accuracies, sources(trials), squares_between_seeds(trials))
    return LazyTrials(digest, lambda: trials)


def squares_between_seeds(trials: Iterable[Trial]) -> dict[TaskName, tuple[float, int]]:
    """Per task, sum of squares between seeds within each setting, and its freedom, without inherited runs."""
    groups: dict[TaskName, dict[tuple[str, float, float], list[float]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        if trial.accuracy is not None and trial.inherited_from is None:
            groups[trial.task][trial.setting, trial.lr, trial.weight_decay].append(trial.accuracy)
    return {
        task: (
            sum(sum_of_squares(values) for values in found.values()),
            sum(len(values) - 1 for values in found.values()),
        )
        for task, found in groups.items()
    }


def _identity(trials: Sequence[Trial]) -> tuple[VariantName, str, str]:
    if isinstance(trials, LazyTrials):
        return trials.digest.variant, trials.digest.protocol, trials.digest.protocol_hash
    identities = {(trial.variant, trial.protocol, trial.protocol_hash) for trial in trials}
    if len(identities) != 1:
        raise ValueError(f"a scorecard is of one variant under one protocol, not of {sorted(identities)}")
    return identities.pop()
