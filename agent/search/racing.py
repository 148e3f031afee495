"""Racing: a proposal that is clearly worse than its parent is not trained on further seeds.

Racing looks at the proposal after each seed that is complete on all tasks, except the last seed. It prunes the
proposal if a one-sided test of the mean over tasks says that the proposal is worse, and if no task looks better. The
looks share the stated risk (Bonferroni): a proposal as good as its parent is pruned with at most this probability. The
test is that of `evaluator.statistics.moderated_t_test`. It can judge a single seed, because it uses the noise of all
variants of the protocol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from evaluator.outcomes import Trial
from evaluator.protocols.protocol import Protocol
from evaluator.statistics.lazy_trials import comparable
from evaluator.statistics.moderated_t_test import Effect, Noise, effect, mean_noise, paired, task_noise
from evaluator.tasks.names import TaskName

RISK = 0.05
PROMISE = 0.8
"""A proposal goes on, whatever its mean, if some task is better with this one-sided confidence."""


@dataclass(frozen=True)
class Race:
    """What a proposal races against: the parent's trials, and the noise of one seed in the mean and per task."""

    parent: Sequence[Trial]
    seeds: Sequence[int]
    tasks: Sequence[TaskName]
    noise: Noise | None
    task_noise: Mapping[TaskName, Noise | None]
    risk: float = RISK

    @classmethod
    def against(cls, parent: str, trials: Mapping[str, Sequence[Trial]], protocol: Protocol) -> Self | None:
        """The race against `parent`; None if it has no trials under this protocol, or the protocol has one seed."""
        known = comparable(trials, protocol.hash)
        tasks = list(protocol.tasks)
        if parent not in known or len(protocol.seeds) < 2:
            return None
        per_task = {task: task_noise(known, task) for task in tasks}
        return cls(known[parent], protocol.seeds, tasks, mean_noise(known, tasks), per_task)

    def lost(self, trials: Sequence[Trial]) -> str:
        """Why to prune the proposal, with numbers; empty if it goes on. trials: those of the proposal so far."""
        for looks in range(1, len(self.seeds)):
            seen = self.seeds[:looks]
            ours = [trial for trial in trials if trial.seed in seen]
            theirs = [trial for trial in self.parent if trial.seed in seen]
            if not self._complete(ours, seen):
                return ""
            if reason := self._worse(ours, theirs, looks):
                return reason
        return ""

    def _complete(self, trials: Sequence[Trial], seeds: Sequence[int]) -> bool:
        there = {(trial.task, trial.seed) for trial in trials if trial.accuracy is not None}
        return all((task, seed) in there for task in self.tasks for seed in seeds)

    def _worse(self, ours: Sequence[Trial], theirs: Sequence[Trial], looks: int) -> str:
        found = effect(paired(ours, theirs, self.tasks), self.noise)
        if found is None or found.n < looks:
            return ""
        confidence = 1 - self.risk / (len(self.seeds) - 1)
        bound = found.upper(confidence)
        if bound >= 0 or any(self._promising(task, ours, theirs) for task in self.tasks):
            return ""
        seeds = "one seed" if looks == 1 else f"{looks} seeds"
        return (
            f"clearly worse than its parent after {seeds}: mean of the tasks {found.mean:+.3f}, "
            f"surely below {bound:+.3f} ({confidence:.1%})"
        )

    def _promising(self, task: TaskName, ours: Sequence[Trial], theirs: Sequence[Trial]) -> bool:
        found = self._on(task, ours, theirs)
        return found is not None and found.lower(PROMISE) > 0

    def _on(self, task: TaskName, ours: Sequence[Trial], theirs: Sequence[Trial]) -> Effect | None:
        own, other = ([trial for trial in trials if trial.task == task] for trials in (ours, theirs))
        if all(trial.inherited_from for trial in own):
            return None
        return effect(paired(own, other, (task,)), self.task_noise.get(task))
