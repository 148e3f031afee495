"""Sentences about a leaderboard: the best of each task, the distance to the reference, the size of the noise."""

from collections.abc import Iterable, Mapping

from agent.analysis.board import Board
from agent.words import counted, number, signed
from evaluator.protocols.built_in import single_chunk_tasks
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, REFERENCE, short_name

CEILING = 0.99


def leaderboard_facts(board: Board) -> tuple[str, ...]:
    """Sentences for a researcher. A sentence is left out if the board does not have the scores for it."""
    found = (best_of_each_task(board), challenge(board), open_tasks(board), noise(board), twins(board), ceilings(board))
    return tuple(text for text in (*found, *one_chunk(board)) if text)


def leader(board: Board, task: TaskName) -> str | None:
    """The best variant of a task; among equals, the variant with the shortest name. None without any score."""
    scored = sorted((name for name in board.scores if task in board.scores[name]), key=lambda name: (len(name), name))
    return max(scored, key=lambda name: board.scores[name][task].mean, default=None)


def shortfall(board: Board, name: str) -> float:
    """Sum over tasks of how far a variant is below the reference. A task without both scores is left out."""
    return sum(max(0.0, -gap) for gap in gaps(board, name, REFERENCE).values())


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
    """The variant that is nearest to beating the reference on all tasks."""
    leads = {name: gaps(board, name, REFERENCE) for name in sorted(board.scores, key=len) if name != REFERENCE}
    leads = {name: own for name, own in leads.items() if len(own) == len(board.tasks)}
    if not leads:
        return ""
    every = number(len(board.tasks))
    best = max(leads, key=lambda name: (_wins(leads[name]), -shortfall(board, name)))
    if _wins(leads[best]) == len(board.tasks):
        return f"`{short_name(best)}` is above `{REFERENCE}` on all {every} tasks."
    missing = {task: gap for task, gap in leads[best].items() if gap <= 0}
    return (
        f"No variant is above `{REFERENCE}` on all {every} tasks. `{short_name(best)}` comes closest, above it on "
        f"{_wins(leads[best])}; it is missing {_told(missing)}."
    )


def open_tasks(board: Board) -> str:
    """The tasks on which the reference leads the baseline, and those where this lead may be noise."""
    leads = gaps(board, REFERENCE, BASELINE)
    if not leads:
        return ""
    small = [task for task, gap in leads.items() if abs(gap) < _least(board, task, REFERENCE, BASELINE)]
    doubt = f" Within noise: {_listed(small)}." if small else ""
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


def ceilings(board: Board) -> str:
    """Tasks on which the baseline is at its ceiling."""
    full = [task for task in board.tasks if (board.mean(BASELINE, task) or 0) >= CEILING]
    return f"{_listed(full)}: the baseline is at the ceiling, and a variant can only lose." if full else ""


def one_chunk(board: Board) -> list[str]:
    """For each task of one chunk: the rows that cannot differ on it, and how far apart their scores still are."""
    sentences = []
    for task in single_chunk_tasks(board.protocol):
        groups = board.spreads[task].groups if task in board.spreads else ()
        if groups:
            group = max(groups, key=len)
            values = [board.scores[name][task].mean for name in group]
            some = _listed([f"`{short_name(name)}`" for name in group[:3]])
            sentences.append(
                f"{task} fits into one chunk, where the state is zero throughout: {counted(len(group), 'row')}, "
                f"among them {some}, cannot differ on it. "
                f"They span {min(values):.3f} to {max(values):.3f}, and that is noise."
            )
    return sentences


def _wins(leads: Mapping[TaskName, float]) -> int:
    return sum(gap > 0 for gap in leads.values())


def _least(board: Board, task: TaskName, name: str, other: str) -> float:
    return board.least_difference(task, board.scores[name][task].n, board.scores[other][task].n)


def _told(differences: Mapping[TaskName, float]) -> str:
    return ", ".join(f"{task} {signed(gap)}" for task, gap in differences.items())


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
