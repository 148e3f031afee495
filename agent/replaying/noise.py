"""How far an accuracy may be from the recorded one and still be the same training, rounded otherwise."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluator.outcomes import Trial
from evaluator.statistics.intervals import pooled_deviations
from evaluator.statistics.lazy_trials import LazyTrials
from evaluator.statistics.scorecards import squares_between_seeds
from evaluator.tasks.names import TaskName

NORMAL_95 = 1.96


@dataclass(frozen=True)
class ReplayNoise:
    """Standard deviation of one run per task, from seeds of the same variant in the archive; empty without any.

    A training that rounds otherwise, on another processor or torch, drifts apart from the recorded one like another
    seed does at most: the difference of two runs is what counts.
    """

    deviations: Mapping[TaskName, float]

    @classmethod
    def of(cls, trials: Mapping[str, Sequence[Trial]]) -> "ReplayNoise":
        """From all trials under a protocol, by variant."""
        return cls(
            pooled_deviations(
                own.digest.spreads if isinstance(own, LazyTrials) else squares_between_seeds(own)
                for own in trials.values()
            )
        )

    def interval(self, trial: Trial, runs: int = 1) -> tuple[float, float]:
        """95 % interval for the mean of `runs` accuracies made again, around the recorded accuracy of `trial`."""
        mean = trial.accuracy or 0.0
        deviation = max(self.deviations.get(trial.task, 0.0), math.sqrt(mean * (1 - mean) / max(1, trial.predictions)))
        half = NORMAL_95 * deviation * math.sqrt(2 / runs)
        return max(0.0, mean - half), min(1.0, mean + half)
