"""Sentences about a leaderboard: the best of each task, the distance to the reference, the size of the noise."""

from collections.abc import Mapping
from itertools import compress

import numpy as np

from agent.analysis.boards.board import Board
from agent.analysis.boards.challenge import Challenge, means_of, nearest_first
from agent.analysis.boards.floors import ceiling, floor
from agent.words import counted, lacking_words, listed, number, signed
from evaluator.protocols.built_in import single_chunk_tasks
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, REFERENCE, short_name


def leaderboard_facts(board: Board) -> tuple[str, ...]:
    """Sentences for a researcher. A sentence is left out if the board does not have the scores for it."""
    found = (best_of_each_task(board), challenge(board), open_tasks(board), noise(board), twins(board))
    return tuple(text for text in (*found, *one_chunk(board)) if text)


def ends(board: Board) -> tuple[str, ...]:
    """Sentences on where scores begin and end under the board's protocol; none where neither was measured."""
    return tuple(text for text in (floors(board), ceilings(board)) if text)


def leader(board: Board, task: TaskName) -> str | None:
    """The best variant of a task; among equals, the variant with the shortest name. None without any score."""
    column = board.means[:, board.tasks.index(task)]
    best = compress(board.scores, (column == np.fmax.reduce(column, initial=0.0)).tolist())
    return min(best, key=lambda name: (len(name), name), default=None)


def gaps(board: Board, name: str, other: str) -> dict[TaskName, float]:
    """Score of variant `name` less that of `other`, for each task that both have."""
    ours, theirs = board.scores.get(name, {}), board.scores.get(other, {})
    return {task: ours[task].mean - theirs[task].mean for task in board.tasks if task in ours and task in theirs}


def best_of_each_task(board: Board) -> str:
    """`Best per task: …`."""
    leaders = {task: leader(board, task) for task in board.tasks}
    parts = [f"{task} {board.mean(name, task):.3f} (`{short_name(name)}`)" for task, name in leaders.items() if name]
    return f"Best per task: {', '.join(parts)}." if parts else ""


def challenge(board: Board) -> str:
    """The variant that is nearest to beating the reference on all tasks, and what it lacks."""
    goal = Challenge.of(board)
    rivals = [name for name in nearest_first(board, board.whole) if name != REFERENCE]
    if goal is None or not rivals:
        return ""
    best, every = rivals[0], number(len(board.tasks))
    missing = lacking_words(goal.lacking(means_of(board.scores[best])), gaps(board, best, REFERENCE))
    if not missing:
        return (
            f"`{short_name(best)}` is above `{REFERENCE}` by more than noise, or within noise of the ceiling, on all "
            f"{every} tasks."
        )
    return (
        f"No variant beats `{REFERENCE}` by more than noise on all {every} tasks. `{short_name(best)}` comes closest; "
        f"it lacks, in units of noise (and its difference): {missing}."
    )


def open_tasks(board: Board) -> str:
    """The tasks on which the reference leads the baseline, and those where this lead may be noise."""
    leads = gaps(board, REFERENCE, BASELINE)
    if not leads:
        return ""
    small = [task for task, gap in leads.items() if abs(gap) < _least(board, task, REFERENCE, BASELINE)]
    doubt = f" Within noise: {listed(small)}." if small else ""
    return f"`{REFERENCE}` less `{BASELINE}`: {_told(leads)}.{doubt}"


def noise(board: Board) -> str:
    """How large a difference between single runs must be to exceed noise."""
    parts = [f"{task} {board.least_difference(task):.3f}" for task in board.spreads]
    return f"Noise alone moves the difference of two single runs by up to (95 %): {', '.join(parts)}." if parts else ""


def twins(board: Board) -> str:
    """Pairs of rows that compute the same function and still have different scores."""
    whole = [task for task in board.spreads if task not in single_chunk_tasks(board.protocol)]
    pairs = {group for task in whole for group in board.spreads[task].groups if len(group) == 2}
    told = [(b, a, gaps(board, b, a)) for a, b in sorted(pairs)]
    return " ".join(
        f"`{short_name(b)}` computes the same as `{short_name(a)}`, and differs by {_told(own)} all the same."
        for b, a, own in told
    )


def floors(board: Board) -> str:
    """Where a score begins: what is reached without any memory."""
    told = ", ".join(f"{task} {mean:.3f}" for task, mean in floor(board.protocol).items())
    if not told:
        return ""
    return (
        f"Floor, the better of two controls that read no memory (o = v; o = 0): {told}. A score at the floor, however "
        "high, says nothing of a memory."
    )


def ceilings(board: Board) -> str:
    """Tasks that a variant has brought to their end."""
    full = ceiling(board.protocol)
    told = [f"{task} {end:.3f}" for task, end in full.items()]
    if not told:
        return ""
    return f"Ceiling, reached by shipped variants: {listed(told)}. A variant can only tie or lose there."


def one_chunk(board: Board) -> list[str]:
    """For each task of one chunk: the rows that cannot differ on it, and how far apart their scores still are."""
    sentences = []
    for task in single_chunk_tasks(board.protocol):
        groups = board.spreads[task].groups if task in board.spreads else ()
        if groups:
            group = max(groups, key=len)
            values = [board.scores[name][task].mean for name in group]
            some = listed([f"`{short_name(name)}`" for name in group[:3]])
            sentences.append(
                f"{task} fits into one chunk, where the state is zero throughout: {counted(len(group), 'row')}, "
                f"among them {some}, cannot differ on it. "
                f"They span {min(values):.3f} to {max(values):.3f}, and that is noise."
            )
    return sentences


def _least(board: Board, task: TaskName, name: str, other: str) -> float:
    return board.least_difference(task, board.scores[name][task].n, board.scores[other][task].n)


def _told(differences: Mapping[TaskName, float]) -> str:
    return ", ".join(f"{task} {signed(gap)}" for task, gap in differences.items())
