"""Where a score begins and where it ends: the floor and the ceiling of each task under a protocol, both measured.

The floor of a task is the better of the two controls (`variants.controls`), which read no memory. A score at the floor
says nothing of a memory, however high it is. A ceiling is stated where it was reached.
"""

from collections.abc import Mapping
from functools import cache

from archive.leaderboards import scorecards
from archive.seeding import shipped_by_variant, shipped_controls
from evaluator.outcomes import Score
from evaluator.tasks.names import TaskName

REACHED = 0.9995
"""A mean over seeds from here on is 1.000 in every table."""


@cache
def control_scores(protocol: str) -> Mapping[str, Mapping[TaskName, Score]]:
    """What each control scored under the protocol as it is now, by name; empty where none was measured.

    Raises ArchiveError for a damaged file.
    """
    return {name: card.scores for name, card in scorecards(protocol, shipped_controls(protocol)).items()}


def floor(protocol: str) -> dict[TaskName, float]:
    """Per task, the mean of the better control, 0 to 1; a task on which no control was measured is absent."""
    found: dict[TaskName, float] = {}
    for scores in control_scores(protocol).values():
        for task, score in scores.items():
            found[task] = max(score.mean, found.get(task, 0.0))
    return found


@cache
def ceiling(protocol: str) -> Mapping[TaskName, float]:
    """1.0 for each task on which a shipped variant's mean over its seeds is 1.000, to three digits.

    A variant at a ceiling can only tie or lose there. The other tasks are absent: nothing known has reached their end.
    Raises ArchiveError for a damaged file.
    """
    cards = scorecards(protocol, shipped_by_variant(protocol)).values()
    return {task: 1.0 for card in cards for task, score in card.scores.items() if score.mean >= REACHED}
