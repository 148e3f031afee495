"""Two variants side by side: their scores under one protocol, and the differences paired by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archive.tables.leaderboards import scorecards
from evaluator.outcomes import Score, Trial, Verdict
from evaluator.protocols.built_in import tasks_of
from evaluator.statistics.moderated_t_test import Effect, effect, mean_noise, noise_by_task, paired
from evaluator.statistics.over_tasks import mean_over_tasks
from evaluator.statistics.verdicts import verdict
from evaluator.tasks.names import TaskName


@dataclass(frozen=True)
class Versus:
    """`ours` and `theirs`: scores by task, as far as there are. `mean`: difference of the means over tasks."""

    name: str
    against: str
    tasks: tuple[TaskName, ...]
    ours: Mapping[TaskName, Score]
    theirs: Mapping[TaskName, Score]
    verdict: Verdict
    mean: Effect | None
    """None where one of the two lacks a task, or where one seed tells nothing of noise."""

    @property
    def means(self) -> tuple[float | None, float | None]:
        """Mean over all tasks of each, 0 to 1; None where a task was not measured."""
        return mean_over_tasks(self.ours, self.tasks), mean_over_tasks(self.theirs, self.tasks)


def versus(name: str, against: str, protocol: str, trials: Mapping[str, Sequence[Trial]]) -> Versus:
    """Compare two variants. `trials`: of everyone under the protocol; they tell of the noise between seeds."""
    tasks, cards = tasks_of(protocol), scorecards(protocol, {each: trials[each] for each in (name, against)})
    differences = paired(trials[name], trials[against], tasks)
    return Versus(
        name=name,
        against=against,
        tasks=tasks,
        ours=cards[name].scores,
        theirs=cards[against].scores,
        verdict=verdict(trials[name], trials[against], against, noise_by_task(trials, tasks)),
        mean=effect(differences, mean_noise(trials, tasks)),
    )
