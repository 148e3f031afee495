"""The mean over all tasks of a protocol. It does not exist if a task was not measured."""

from collections.abc import Mapping, Sequence

from evaluator.outcomes import Score
from evaluator.tasks.names import TaskName


def mean_over_tasks(scores: Mapping[TaskName, Score], tasks: Sequence[TaskName]) -> float | None:
    """Mean accuracy over all of `tasks`, 0 to 1; None if a task was not measured, or without tasks."""
    if not tasks or any(task not in scores for task in tasks):
        return None
    return sum(scores[task].mean for task in tasks) / len(tasks)
