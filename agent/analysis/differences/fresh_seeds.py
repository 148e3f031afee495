"""Scores of a variant on its first seeds, by which it may have been chosen, and on fresh seeds, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archive.confirmations import Difference
from evaluator.outcomes import Score, Trial
from evaluator.statistics.moderated_t_test import effect, mean_noise, paired
from evaluator.statistics.scorecards import scorecard
from evaluator.tasks.names import TaskName

Scores = Mapping[TaskName, Score]
Trials = Mapping[str, Sequence[Trial]]


@dataclass(frozen=True)
class FreshComparison:
    """Scores and the mean difference to the parent, on first and on fresh seeds. Without first trials: empty, None."""

    against: str
    first: Scores
    again: Scores
    first_difference: Difference | None
    fresh_difference: Difference | None

    @classmethod
    def of(cls, name: str, against: str, known: Trials, new: Trials, tasks: Sequence[TaskName]) -> "FreshComparison":
        """Compare `name` with `against` (its parent).

        known: first trials of all variants under the protocol, which also give the noise. new: trials of the two
        variants on fresh seeds.
        """
        known = {who: [trial for trial in own if trial.task in tasks] for who, own in known.items()}
        noise = mean_noise(known, tasks)

        def difference(trials: Trials) -> Difference | None:
            pairs = paired(trials.get(name, ()), trials.get(against, ()), tasks) if name != against else []
            found = effect(pairs, noise)
            return None if found is None else Difference.of(found)

        first, again = (scorecard(own[name]).scores if own.get(name) else {} for own in (known, new))
        return cls(against, first, again, difference(known), difference(new))
