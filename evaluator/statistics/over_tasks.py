"""The mean over the tasks of a protocol: of all of them, or there is none."""

from collections.abc import Mapping, Sequence

from evaluator.outcomes import Score
from evaluator.tasks.names import TaskName


def mean_over_tasks(scores: Mapping[TaskName, Score], tasks: Sequence[TaskName]) -> float | None:
    """Mean accuracy over all of `tasks`, 0 to 1; None where one of them was not measured, or there are none."""
    if not tasks or any(task not in scores for task in tasks):
        return None
    return sum(scores[task].mean for task in tasks) / len(tasks)
