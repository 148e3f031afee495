"""Selection of parents: the Pareto front of the six tasks, thinned by crowding, and a tournament on it."""

import random
from collections.abc import Mapping, Sequence

from agent.analysis.board import Board
from agent.analysis.leaderboard_facts import shortfall
from variants.contract import TASKS, Task

Scores = Mapping[str, Mapping[Task, float]]

FRONT = 8
"""How many of the front take part: with six noisy tasks, half of all variants are on it."""


def pareto_front(scores: Scores) -> list[str]:
    """Names that no other is at least as good as on every task and better on one; in alphabetical order."""
    return [name for name in sorted(scores) if not any(_dominates(scores[other], scores[name]) for other in scores)]


def crowding(scores: Scores, names: Sequence[str]) -> dict[str, float]:
    """Sum over tasks of the gap between a variant's neighbours, in units of the range; infinite at either end."""
    distance = dict.fromkeys(names, 0.0)
    for task in TASKS:
        ranked = sorted(names, key=lambda name: scores[name][task])
        extent = scores[ranked[-1]][task] - scores[ranked[0]][task]
        distance[ranked[0]] = distance[ranked[-1]] = float("inf")
        if extent > 0:
            for below, name, above in zip(ranked, ranked[1:], ranked[2:], strict=False):
                distance[name] += (scores[above][task] - scores[below][task]) / extent
    return distance


def choose_parents(board: Board, possible: Sequence[str], chance: random.Random) -> tuple[str, str]:
    """Winners of two tournaments of two, by how little they are short of the reference; both may be the same.

    `possible`: names with all six scores. Among the front's best-spread variants, ties in crowding fall at random.
    """
    scores = {name: {task: board.scores[name][task].mean for task in TASKS} for name in possible}
    front = pareto_front(scores)
    spread = crowding(scores, front)
    chance.shuffle(front)
    pool = sorted(front, key=lambda name: -spread[name])[:FRONT]

    def winner() -> str:
        return min(chance.choices(pool, k=2), key=lambda name: shortfall(board, name))

    return winner(), winner()


def _dominates(one: Mapping[Task, float], other: Mapping[Task, float]) -> bool:
    return all(one[task] >= other[task] for task in TASKS) and any(one[task] > other[task] for task in TASKS)
