"""Which variants a prompt shows as parents: a good one to build on, and one that is strong where it is weak."""

import random

from agent.analysis.board import Board, best_board
from agent.analysis.leaderboard_facts import leader
from agent.analysis.snapshot import ArchiveSnapshot
from agent.errors import UserError
from agent.proposers.evolution.selection import choose_parents
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, Layer


def select_parents(snapshot: ArchiveSnapshot, structured: bool) -> tuple[str, ...]:
    """One or two names, the parent first. A function of the snapshot alone: its seed decides.

    The structured form shows one, which the catalogue must be able to express. Raises UserError for a forced parent
    that it cannot.
    """
    board = best_board(snapshot)
    possible = [name for name in board.scores if _possible(snapshot, board, name, structured)]
    if snapshot.forced_parent is not None:
        parent = snapshot.forced_parent
        if structured and parent not in snapshot.genomes:
            raise UserError(f"--parent {parent}: no mechanisms of the catalogue make it; build on it with --form code")
        other = parent
    elif possible:
        parent, other = choose_parents(board, possible, random.Random(snapshot.seed))
    else:
        return (BASELINE,)
    if structured:
        return (parent,)
    if other == parent and parent in possible:
        other = leader(board, _weakest(board, parent)) or parent
    return (parent,) if other == parent or other not in possible else (parent, other)


def _weakest(board: Board, parent: str) -> TaskName:
    """The task on which the parent is furthest behind the best."""

    def gap(task: TaskName) -> float:
        best = max(row[task].mean for row in board.scores.values() if task in row)
        return best - board.scores[parent][task].mean

    return max(board.tasks, key=gap)


def _possible(snapshot: ArchiveSnapshot, board: Board, name: str, structured: bool) -> bool:
    """Whether there are all scores, and code to show, of the layer that variants belong to."""
    if board.mean_of_all(name) is None or name not in snapshot.variants:
        return False
    if structured and name not in snapshot.genomes:
        return False
    return snapshot.variants[name].layer is Layer.DELTA_NET
