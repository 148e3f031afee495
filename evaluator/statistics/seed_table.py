"""Accuracies of many variants by task and seed in one array: what is asked of all variants takes one operation."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evaluator.outcomes import Trial
from evaluator.statistics.lazy_trials import LazyTrials, seeds_of, sources, variant_of
from evaluator.statistics.scorecards import seed_accuracies
from evaluator.tasks.names import TaskName

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Weights = Mapping[TaskName, float]
"""What each task counts in a mean over tasks."""


@dataclass(frozen=True)
class SeedTable:
    """Variants under one version of a protocol. accuracies: `[variants, tasks, seeds]`, NaN without such a seed."""

    names: tuple[str, ...]
    tasks: tuple[TaskName, ...]
    accuracies: Array
    own: Flags
    """`[variants, tasks]`: whether any of the runs is the variant's own, and not inherited."""

    @cached_property
    def row(self) -> Mapping[str, int]:
        """The place of each variant."""
        return {name: place for place, name in enumerate(self.names)}

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """How many seeds there are, `[variants, tasks]`."""
        return np.asarray(np.isfinite(self.accuracies).sum(axis=2), dtype=np.intp)

    @cached_property
    def means(self) -> Array:
        """Mean over the seeds, `[variants, tasks]`; NaN without any."""
        none = self.counts == 0
        means: Array = np.nansum(self.accuracies, axis=2) / np.where(none, np.nan, self.counts)
        return means

    @cached_property
    def squares(self) -> Array:
        """Sum of squared deviations from the mean over the seeds, `[variants, tasks]`."""
        squares: Array = np.nansum((self.accuracies - self.means[..., None]) ** 2, axis=2)
        return squares

    def over_tasks(self, weights: Weights | None = None) -> Array:
        """Mean over the tasks, `[variants, seeds]`; NaN where a variant lacks one. weights: sum to 1."""
        means: Array
        if weights is None:
            means = self.accuracies.sum(axis=1) / len(self.tasks)
        else:
            means = (self.accuracies * np.array([weights[task] for task in self.tasks])[:, None]).sum(axis=1)
        return means


def seed_table(trials: Mapping[str, Sequence[Trial]], tasks: Sequence[TaskName], *, trained: bool = False) -> SeedTable:
    """The table of these variants. trained: only of seeds that a variant was trained on, and did not inherit."""
    packed: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    loose: dict[int, Mapping[TaskName, Mapping[int, float]]] = {}
    for row, own in enumerate(trials.values()):
        if isinstance(own, LazyTrials) and not (trained and own.digest.others):
            packed[own.digest.layout].append((row, own.digest.packed))
        else:
            loose[row] = {task: trained_accuracies(own, task) for task in tasks} if trained else seed_accuracies(own)
    known = [*map(seeds_of, packed), *loose.values()]
    seeds = sorted({seed for found in known for task in tasks for seed in found.get(task, ())})
    accuracies = np.full((len(trials), len(tasks), len(seeds)), np.nan)
    column = {seed: place for place, seed in enumerate(seeds)}
    for layout, rows in packed.items():
        _unpack(accuracies, tasks, column, layout, rows)
    for row, found in loose.items():
        for place, task in enumerate(tasks):
            for seed, accuracy in found.get(task, {}).items():
                accuracies[row, place, column[seed]] = accuracy
    return SeedTable(tuple(trials), tuple(tasks), accuracies, _own(trials, tasks, accuracies))


def _unpack(
    accuracies: Array,
    tasks: Sequence[TaskName],
    column: Mapping[int, int],
    layout: str,
    rows: Sequence[tuple[int, bytes]],
) -> None:
    """Write the values of digests of one layout into the table. rows: the place and the values of each."""
    of_task, start = seeds_of(layout), 0
    width = sum(map(len, of_task.values()))
    values = np.frombuffer(b"".join(own for _, own in rows), dtype="<f8").reshape(len(rows), width)
    places = [row for row, _ in rows]
    for task, seeds in of_task.items():
        if task in tasks:
            at = np.ix_(places, [tasks.index(task)], [column[seed] for seed in seeds])
            accuracies[at] = values[:, None, start : start + len(seeds)]
        start += len(seeds)


def _own(trials: Mapping[str, Sequence[Trial]], tasks: Sequence[TaskName], accuracies: Array) -> Flags:
    own = np.asarray(np.isfinite(accuracies).any(axis=2), dtype=np.bool_)
    for row, found in enumerate(trials.values()):
        if not isinstance(found, LazyTrials) or found.digest.others:
            runs = sources(found)
            own[row] = [task in runs and variant_of(found) in runs[task] for task in tasks]
    return own


def trained_accuracies(trials: Sequence[Trial], task: TaskName) -> Mapping[int, float]:
    """The task's accuracy of each seed that the variant was trained on, and did not inherit."""
    if isinstance(trials, LazyTrials):
        variant, others = trials.digest.variant, trials.digest.other_sources.get(task, ())
        if set(others) <= {variant}:
            return trials.accuracies.get(task, {})
        if variant not in others:
            return {}
    own = [trial for trial in trials if trial.task == task and trial.inherited_from is None]
    return seed_accuracies(own).get(task, {})
