"""The challenge of a protocol: to beat the reference on every task at once. How far a variant is from that, in noise.

The goal of a task is the score of the reference plus the noise of the task: a variant that reaches it beats the
reference by more than chance. No goal is above 1, the ceiling of an accuracy. Where the reference is at the ceiling
itself (nearer than half the noise), nothing can beat it, and the goal is a tie: 1 less the noise.

The distance of a variant is the sum over the tasks of what it lacks to the goal, in units of the noise. 0 says that
the challenge is met, as far as the means tell; a copy of the reference has 1 for each task that has room above the
reference. What a variant gains beyond a goal counts for nothing, so that no task pays for another. Variants of one
distance are ordered by their mean over the tasks.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agent.analysis.boards.board import Board
from evaluator.outcomes import Score
from evaluator.tasks.names import TaskName
from variants.contract import REFERENCE

CEILING = 1.0
LEAST = 1e-3
"""The least noise of a task: rows that happen to agree to the last digit still have some."""
BEYOND = 0.1
"""What a gain beyond a goal counts beside a gain below it, where a proposal is tested or chosen: a little."""

Means = Mapping[TaskName, float]


@dataclass(frozen=True)
class Challenge:
    """Per task of a protocol, the score to reach (0 to 1) and the noise of a difference between two means."""

    goals: Means
    noise: Means

    @classmethod
    def of(cls, board: Board) -> Self | None:
        """The challenge of a board; None if the reference lacks the score of a task."""
        reference = board.scores.get(REFERENCE, {})
        if not board.tasks or any(task not in reference for task in board.tasks):
            return None
        noise = {
            task: max(LEAST, board.least_difference(task, reference[task].n, reference[task].n)) for task in board.tasks
        }
        return cls({task: _goal(reference[task].mean, noise[task]) for task in board.tasks}, noise)

    def lacking(self, means: Means) -> dict[TaskName, float]:
        """What a variant lacks to the goal of each task that it has a score on, in units of the noise; 0 if nothing."""
        return {
            task: max(0.0, (goal - means[task]) / self.noise[task])
            for task, goal in self.goals.items()
            if task in means
        }

    def distance(self, means: Means) -> float | None:
        """How far a variant is from meeting the challenge, in units of noise; None if it lacks the score of a task."""
        lacking = self.lacking(means)
        return sum(lacking.values()) if len(lacking) == len(self.goals) else None

    def distances(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """The distance of many variants, `[N]`, from their accuracies on all tasks, `[N, tasks]`; NaN as for None."""
        goals, noise = (np.array(list(known.values())) for known in (self.goals, self.noise))
        return _in_order(np.maximum(0.0, (goals - means) / noise))

    def worth(self, means: Means) -> float:
        """Minus the distance, with a little for what is beyond the goals, over the tasks that have a score."""
        tasks = [task for task in self.goals if task in means]
        return float(self.worths(tasks, np.array([[means[task] for task in tasks]]))[0])

    def worths(self, tasks: Sequence[TaskName], accuracies: NDArray[np.float64]) -> NDArray[np.float64]:
        """The worth of many variants, `[N]`, from their accuracies on `tasks`, `[N, tasks]`."""
        goals, noise = (np.array([known[task] for task in tasks]) for known in (self.goals, self.noise))
        ahead = (accuracies - goals) / noise
        worths: NDArray[np.float64] = (np.minimum(ahead, 0) + BEYOND * np.maximum(ahead, 0)).sum(1)
        return worths

    def weights(self, ours: Means, theirs: Means) -> dict[TaskName, float]:
        """What one unit of accuracy on each task changes in the worth, between two variants; the sum is 1.

        They turn "nearer to the goals" into one number that is linear in the scores, so that a paired test of means
        can decide on it.
        """
        steps = {}
        for task, goal in self.goals.items():
            low, high = sorted((ours[task], theirs[task]))
            below = 1.0 if high <= goal else 0.0 if low >= goal else (goal - low) / (high - low)
            steps[task] = (below + BEYOND * (1 - below)) / self.noise[task]
        whole = sum(steps.values())
        return {task: step / whole for task, step in steps.items()}


def _goal(reference: float, noise: float) -> float:
    return CEILING - noise if CEILING - reference < noise / 2 else min(reference + noise, CEILING)


def means_of(scores: Mapping[TaskName, Score]) -> dict[TaskName, float]:
    """Mean accuracies, without their intervals."""
    return {task: score.mean for task, score in scores.items()}


def distances(board: Board, names: Iterable[str]) -> dict[str, float | None]:
    """The distance of each name, in the order of `nearest_first`; None where a score or the reference is missing."""
    asked, challenge = list(names), Challenge.of(board)
    there = [place for place, name in enumerate(asked) if name in board.rows]
    means = np.full((len(asked), len(board.tasks)), np.nan)
    means[there] = board.means[[board.rows[asked[place]] for place in there]]
    mean = _in_order(means) / len(board.tasks)
    far = challenge.distances(means) if challenge else np.full(len(asked), np.nan)
    order = np.lexsort((-np.nan_to_num(mean), np.nan_to_num(far), np.isnan(mean)))
    known = far.tolist()
    return {asked[place]: None if math.isnan(known[place]) else known[place] for place in order.tolist()}


def _in_order(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum over the columns, one after the other as `sum` has it, so that the last bit is that of a single row."""
    return sum(values.T, start=np.zeros(len(values)))


def nearest_first(board: Board, names: Iterable[str]) -> list[str]:
    """Names by how near they are to the challenge, then by their mean; without a reference, by their mean alone.

    Names that lack the score of a task come last, in their order.
    """
    return list(distances(board, names))
