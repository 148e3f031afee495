"""Rows of a leaderboard that compute the same function: the deviation between them is the noise of one run."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from agent.catalogue import Genome
from evaluator.protocols.built_in import single_chunk_tasks, tasks_of
from evaluator.tasks.names import TaskName

SHARED_FREEDOM = 4
"""Degrees of freedom that the deviation shared by all tasks counts as, for the noise of a single run of one task."""
UNKNOWN_SCALE = 0.06
"""Deviation of one run over √(p (1-p)) for a board without replicates: a little above that of the published rows."""


@dataclass(frozen=True)
class SeedDeviation:
    """Standard deviation of one run, pooled over groups of replicates. groups: the names in each group, if known."""

    deviation: float
    freedom: int
    groups: tuple[tuple[str, ...], ...] = ()


def replicates(names: Iterable[str], genomes: Mapping[str, Genome], one_chunk: bool) -> tuple[tuple[str, ...], ...]:
    """Groups of two or more names whose genomes compute the same function; with `one_chunk`, on the first chunk."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if (genome := genomes.get(name)) is not None:
            groups[(genome.first_chunk if one_chunk else genome).canonical].append(name)
    return tuple(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def pooled_deviation(scores: Mapping[str, float], groups: Iterable[tuple[str, ...]]) -> SeedDeviation | None:
    """Pooled standard deviation of one score within groups; None without a group."""
    found = tuple(groups)
    freedom = sum(len(group) - 1 for group in found)
    if freedom == 0:
        return None
    squares = 0.0
    for group in found:
        mean = fmean(scores[name] for name in group)
        squares += sum((scores[name] - mean) ** 2 for name in group)
    return SeedDeviation(math.sqrt(squares / freedom), freedom, found)


def moderate(
    known: Mapping[TaskName, SeedDeviation], scales: Mapping[TaskName, float]
) -> dict[TaskName, SeedDeviation]:
    """The deviation of every task, drawn towards the common deviation of all tasks, as a moderated t-test does.

    Accuracies p are noisier in the middle than at the ceiling, so the common value is the deviation over √(p (1-p)).
    It counts as `SHARED_FREEDOM` degrees of freedom: a task with one pair of replicates uses the other tasks too.
    scales: p (1-p) of each task, typical of the runs that its deviation is of.
    """
    squares = sum(s.freedom * s.deviation**2 / scales[task] for task, s in known.items() if task in scales)
    freedom = sum(s.freedom for task, s in known.items() if task in scales)
    shared = squares / freedom if freedom else UNKNOWN_SCALE**2
    found: dict[TaskName, SeedDeviation] = {}
    for task, scale in scales.items():
        own = known.get(task, SeedDeviation(0.0, 0))
        total = SHARED_FREEDOM + own.freedom
        variance = (SHARED_FREEDOM * shared * scale + own.freedom * own.deviation**2) / total
        found[task] = SeedDeviation(math.sqrt(variance), total, own.groups)
    return found


def binomial(level: float) -> float:
    """p (1 - p) of an accuracy p, but not less than at 0.999: no run is without any noise."""
    return max(level * (1 - level), 1e-3)


def function_groups(
    names: Iterable[str], genomes: Mapping[str, Genome], protocol: str
) -> dict[TaskName, tuple[tuple[str, ...], ...]]:
    """Per task of a protocol, groups of rows that compute the same function. On one-chunk tasks: on the first chunk."""
    one_chunk = single_chunk_tasks(protocol)
    known, tasks = tuple(names), tasks_of(protocol)
    found = {kind: replicates(known, genomes, kind) for kind in {task in one_chunk for task in tasks}}
    return {task: found[task in one_chunk] for task in tasks}


def deviations_of_replicates(
    table: Mapping[str, Mapping[TaskName, float]], genomes: Mapping[str, Genome], protocol: str
) -> dict[TaskName, SeedDeviation]:
    """Standard deviation of one run per task, from a table of single runs. A task without replicates is absent."""
    found: dict[TaskName, SeedDeviation] = {}
    for task, groups in function_groups(table, genomes, protocol).items():
        scores = {name: row[task] for name, row in table.items() if task in row}
        inside = (tuple(name for name in group if name in scores) for group in groups)
        if (known := pooled_deviation(scores, (group for group in inside if len(group) > 1))) is not None:
            found[task] = known
    return found
