"""Racing: the order of a proposal's trials, and when no more of them are worth their cost.

A proposal stops when it has no reasonable chance left: of all that its missing trials may bring, less than `CHANCE`
would show it ahead of its parent by more than noise. This stops what does harm, and what does nothing. Whoever is to be
a new best has to be ahead of its parent, too. Ahead is decided by one function of the accuracies, the target: how near
the challenge is (`agent.analysis.boards.challenge`), or, without the reference's trials, the mean over the tasks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agent.analysis.boards.challenge import Challenge
from agent.search.forecast import Cell, Experience, Measured, Table, foretell, without_a_difference
from evaluator.outcomes import Trial
from evaluator.protocols.protocol import Protocol, TrialSpec, trial_specs
from evaluator.statistics.lazy_trials import comparable
from evaluator.tasks.names import TaskName

CHANCE = 0.01
NOISE = 0.95
"""Ahead by more than noise: more than this share of proposals without a true difference."""
LAST_LOOK = 0.8
"""Share of the pairs of task and seed after which a proposal is trained to its end: little is left to save."""
DRAWS = 2_000
SHOWN = 3
"""Tasks whose differences a reason names."""
EXPERIENCE = 60
"""How many known variants are learnt from at most, the newest."""

Target = Callable[[Table], NDArray[np.float64]]
"""The worth of mean accuracies `[N, tasks]`, in the order of the protocol's tasks: `[N]`, more is better."""


def target_of(challenge: Challenge | None, tasks: Sequence[TaskName]) -> Target:
    """The worth by the challenge; the mean over the tasks if there is none."""
    if challenge is None:
        return lambda accuracies: accuracies.mean(1)
    return lambda accuracies: challenge.worths(tasks, accuracies)


@dataclass(frozen=True)
class Race:
    """A proposal against its parent, with what the other variants of the archive teach."""

    parent: Measured
    experience: Experience
    protocol: Protocol
    target: Target

    @classmethod
    def against(
        cls, parent: str, trials: Mapping[str, Sequence[Trial]], protocol: Protocol, target: Target
    ) -> Self | None:
        """The race against `parent`; None without all its trials, for too few variants, or a protocol of one seed."""
        known = comparable(trials, protocol.hash)
        if parent not in known or len(protocol.seeds) < 2:
            return None
        tasks = list(protocol.tasks)
        names = dict.fromkeys([*list(known)[-EXPERIENCE:], parent])
        measured = {name: Measured.of(known[name], tasks, protocol.seeds) for name in names}
        experience = Experience.of(list(measured.values()))
        if experience is None or not measured[parent].whole:
            return None
        return cls(measured[parent], experience, protocol, target)

    def order(
        self, specs: Sequence[TrialSpec], first: Sequence[TrialSpec], cost: Mapping[TrialSpec, float]
    ) -> list[TrialSpec]:
        """The specs in the order in which they tell most for their cost; `first` before all others."""
        tasks, seeds = list(self.protocol.tasks), list(self.protocol.seeds)
        cells: dict[Cell, list[TrialSpec]] = {}
        for spec in specs:
            cells.setdefault((tasks.index(spec.task), seeds.index(spec.seed)), []).append(spec)
        before = [cell for cell, own in cells.items() if any(spec in first for spec in own)]
        costs = {cell: sum(cost[spec] for spec in own) for cell, own in cells.items()}
        return [spec for cell in self.experience.order(before, list(cells), costs) for spec in cells[cell]]

    def reason_to_prune(self, trials: Sequence[Trial]) -> str:
        """Why to stop the proposal, with its chance; empty if it goes on. trials: those of the proposal so far."""
        own = Measured.of(trials, list(self.protocol.tasks), self.protocol.seeds)
        known = ~np.isnan(own.accuracy)
        if not known.any() or known.mean() > LAST_LOOK:
            return ""
        chance = self.chance(own)
        if chance >= CHANCE:
            return ""
        inherited = sum(trial.inherited_from is not None for trial in trials)
        trained, every = len(trials) - inherited, len(trial_specs(self.protocol)) - inherited
        return (
            f"stopped after {trained} of {every} trials: with all of them it would end ahead of its parent by more "
            f"than noise with a chance of {chance:.1%}, less than {CHANCE:.0%}; differences so far: {self._so_far(own)}"
        )

    def chance(self, own: Measured) -> float:
        """The chance that all trials show the proposal ahead of its parent by more than noise."""
        here = self.target(self.parent.accuracy.mean(1)[None])
        leads = self.target(foretell(self.experience, self.parent, own, DRAWS, np.random.default_rng(0))) - here
        return float((leads > self.margin).mean())

    @cached_property
    def margin(self) -> float:
        """The lead that is more than noise."""
        here = self.target(self.parent.accuracy.mean(1)[None])
        alike = without_a_difference(self.experience, self.parent, 4 * DRAWS, np.random.default_rng(1))
        return float(np.quantile(self.target(alike) - here, NOISE))

    def _so_far(self, own: Measured) -> str:
        """The largest differences to the parent on the seeds that both have."""
        differences = own.accuracy - self.parent.accuracy
        known = {task: row[~np.isnan(row)] for task, row in zip(self.protocol.tasks, differences, strict=True)}
        means = {task: float(row.mean()) for task, row in known.items() if len(row) and row.any()}
        largest = sorted(means, key=lambda task: -abs(means[task]))[:SHOWN]
        return ", ".join(f"{task} {means[task]:+.3f}" for task in largest) or "no difference"
