"""Selection of parents: the Pareto front over the tasks, thinned by crowding, and a tournament on it."""

import random
from collections.abc import Mapping, Sequence

import numpy as np

from agent.analysis.boards.board import Board
from agent.analysis.boards.challenge import nearest_first
from evaluator.statistics.pareto import undominated
from evaluator.tasks.names import TaskName

Scores = Mapping[str, Mapping[TaskName, float]]

FRONT = 8
"""How many of the front take part: with several noisy tasks, half of all variants are on it."""


def pareto_front(scores: Scores) -> list[str]:
    """Names that no other is at least as good as on every task and better on one; in alphabetical order."""
    names = sorted(scores)
    means = np.array([list(scores[name].values()) for name in names]).reshape(len(names), -1)
    return sorted(names[row] for row in undominated(means))


def crowding(scores: Scores, names: Sequence[str]) -> dict[str, float]:
    """Sum over tasks of the gap between a variant's neighbours, in units of the range; infinite at either end."""
    distance = dict.fromkeys(names, 0.0)
    for task in scores[names[0]] if names else ():
        ranked = sorted(names, key=lambda name: scores[name][task])
        extent = scores[ranked[-1]][task] - scores[ranked[0]][task]
        distance[ranked[0]] = distance[ranked[-1]] = float("inf")
        if extent > 0:
            for below, name, above in zip(ranked, ranked[1:], ranked[2:], strict=False):
                distance[name] += (scores[above][task] - scores[below][task]) / extent
    return distance


class ParentPool:
    """The Pareto front of a board, to draw parents from: it is found once, for as many draws as there are."""

    def __init__(self, board: Board, possible: Sequence[str]) -> None:
        """`possible`: names with the scores of all tasks; one or more."""
        means = board.means[[board.rows[name] for name in possible]].tolist()
        scores = {name: dict(zip(board.tasks, own, strict=True)) for name, own in zip(possible, means, strict=True)}
        self._board, self._front = board, pareto_front(scores)
        self._distance = crowding(scores, self._front)

    def parents(self, chance: random.Random) -> tuple[str, str]:
        """Winners of two tournaments of two, by how near they are to the challenge; both may be the same.

        Among the best-spread of the front, ties in crowding fall at random.
        """
        front = list(self._front)
        chance.shuffle(front)
        pool = sorted(front, key=lambda name: -self._distance[name])[:FRONT]

        def winner() -> str:
            return nearest_first(self._board, chance.choices(pool, k=2))[0]

        return winner(), winner()
