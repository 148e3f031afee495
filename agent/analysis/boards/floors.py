"""Where a score begins and where it ends: the floor and the ceiling of each task under a protocol, both measured.

The floor of a task is the better of the two controls (`variants.controls`), which read no memory. A score at the floor
says nothing of a memory, however high it is. A ceiling is stated where it was reached.
"""

from collections.abc import Mapping, Sequence
from functools import cache

from archive.seeding import shipped_by_variant, shipped_controls
from archive.tables.leaderboards import standings
from evaluator.outcomes import Score, Trial
from evaluator.protocols.built_in import PROTOCOLS, protocol_of_today, tasks_of
from evaluator.statistics.lazy_trials import comparable
from evaluator.statistics.scorecards import lazy_trials
from evaluator.statistics.verdicts import TaskNoise, verdict
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import TASKS

REACHED = 0.9995
"""A mean over seeds from here on is 1.000 in every table."""


@cache
def control_scores(protocol: str) -> Mapping[str, Mapping[TaskName, Score]]:
    """What each control scored under the protocol as it is now, by name; empty where none was measured.

    Raises ArchiveError for a damaged file.
    """
    return standings(protocol, shipped_controls(protocol))


def floor(protocol: str, protocol_hash: str | None = None) -> dict[TaskName, float]:
    """Per task, the mean of the better control, 0 to 1; a task on which no control was measured is absent.

    protocol_hash: the version of the protocol that the scores beside the floor are of; only today's has one.
    """
    if protocol_hash is not None and protocol_of_today(protocol, protocol_hash) is None:
        return {}
    return {task: control_scores(protocol)[name][task].mean for task, name in _better_control(protocol).items()}


@cache
def ceiling(protocol: str) -> Mapping[TaskName, float]:
    """1.0 for each task on which a shipped variant's mean over its seeds is 1.000, to three digits.

    A variant at a ceiling can only tie or lose there. The other tasks are absent: nothing known has reached their end.
    Raises ArchiveError for a damaged file.
    """
    rows = standings(protocol, shipped_by_variant(protocol)).values()
    reached = {task for row in rows for task, score in row.items() if score.mean >= REACHED}
    return {task: 1.0 for task in TASKS if task in reached}


def at_floor(trials: Mapping[str, Sequence[Trial]], protocol: str, noise: TaskNoise) -> dict[str, frozenset[TaskName]]:
    """Per variant, the tasks on which it is not better than the better control, by a verdict on that task.

    A task on which the two share no two seeds is left out: nothing tells. trials: by variant, under the protocol;
    those of its version of today are compared. noise: of all variants.
    """
    today = PROTOCOLS[protocol].hash if protocol in PROTOCOLS else None
    trials, controls = comparable(trials, today), comparable(shipped_controls(protocol), today)
    against = {name: lazy_trials(own) for name, own in controls.items()}
    best = _better_control(protocol)
    found = {}
    for name, own in trials.items():
        verdicts = {other: verdict(own, theirs, other, noise).tasks for other, theirs in against.items()}
        low = {task: verdicts[other].get(task) for task, other in best.items()}
        found[name] = frozenset(task for task, gap in low.items() if gap and gap.n > 1 and gap.outcome != "better")
    return found


def _better_control(protocol: str) -> dict[TaskName, str]:
    """Which control has the better mean, per task."""
    scores = control_scores(protocol)
    tasks = [task for task in tasks_of(protocol) if any(task in own for own in scores.values())]
    return {task: max((n for n in scores if task in scores[n]), key=lambda n: scores[n][task].mean) for task in tasks}
