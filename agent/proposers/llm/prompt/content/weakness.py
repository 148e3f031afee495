"""The weak tasks of what is nearest to the challenge, and what moved them so far."""

import math

from agent.analysis.boards.board import Board, best_board
from agent.analysis.boards.challenge import Challenge, means_of, nearest_first
from agent.analysis.boards.sizes import sizes_of, state_words
from agent.analysis.snapshot import ArchiveSnapshot
from agent.proposers.llm.prompt.content.stopped import stopped_early
from agent.words import signed
from evaluator.outcomes import Status
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, REFERENCE, short_name

CEILED = 0.05
"""What a task at its ceiling counts as, where nothing is lacking anywhere."""
MOST_MOVED = 3
AS_GOOD = 0.25
"""Units of noise that may be lacking at a goal that is as good as reached: to gain so little cannot be shown."""
SHOWN = 0.0005
"""The least difference that three digits show; less is no rise."""


def nearest(board: Board) -> str | None:
    """The variant that is nearest to the challenge, the reference aside; None where nothing has all scores."""
    return next((name for name in nearest_first(board, board.whole) if name != REFERENCE), None)


def weaknesses(board: Board) -> dict[TaskName, float]:
    """What the variant nearest to the challenge lacks, in units of noise, on the tasks whose goal it has not reached.

    Where it has as good as reached them all: what it is below 1, on every task.
    """
    best = nearest(board)
    if best is None:
        return dict.fromkeys(board.tasks, 1.0)
    means = means_of(board.scores[best])
    return _lacking(board, Challenge.of(board), best) or {task: max(CEILED, 1 - mean) for task, mean in means.items()}


def _lacking(board: Board, challenge: Challenge | None, name: str) -> dict[TaskName, float]:
    lacking = challenge.lacking(means_of(board.scores[name])) if challenge else {}
    return {task: lack for task, lack in lacking.items() if lack >= AS_GOOD}


def _reached_sentence(snapshot: ArchiveSnapshot, board: Board, challenge: Challenge, best: str) -> str:
    """What is left to gain where every goal is as good as reached: the same with less; empty where one is not."""
    if _lacking(board, challenge, best):
        return ""
    carried = state_words(sizes_of(snapshot).of(best))
    which = f"`{short_name(best)}`{f', which {carried}' if carried else ''}"
    return (
        f"Every goal is reached, as far as noise can tell, by {which}. Worth knowing now: whether the scores hold with "
        f"{'less of that, or with ' if carried else ''}a shorter loop; predict them as unchanged then."
    )


def _weakness_sentence(board: Board, challenge: Challenge, best: str, task: TaskName) -> str:
    """How far the variant nearest to the challenge is from the goal of a task."""
    mean, goal = board.scores[best][task].mean, challenge.goals[task]
    lack = challenge.lacking({task: mean})[task]
    if lack >= AS_GOOD:
        far = f"{lack:.1f} units of noise short of the goal, {goal:.3f}"
    else:
        reached = "is reached" if not lack else "is reached but for noise"
        far = f"where the goal, {goal:.3f}, {reached}: a gain there counts little, and is room for other tasks"
    return f"`{short_name(best)}`, the nearest to the challenge, has {mean:.3f} on {task}, {far}."


def moved_lines(snapshot: ArchiveSnapshot, task: TaskName | None) -> tuple[str, ...]:
    """Whether all goals are reached, how far the nearest is from that of a task, what raised it and lowered it most."""
    board = best_board(snapshot)
    best, challenge = nearest(board), Challenge.of(board)
    stands = []
    if best is not None and challenge is not None:
        stands.append(_reached_sentence(snapshot, board, challenge, best))
        stands += [] if task is None else [_weakness_sentence(board, challenge, best, task)]
    found = _moves(snapshot, board, task) if task is not None else {}
    up = sorted((name for name in found if found[name][1] >= SHOWN), key=lambda name: -found[name][1])[:MOST_MOVED]
    down = sorted((name for name in found if found[name][1] <= -SHOWN), key=lambda name: found[name][1])[:MOST_MOVED]
    said = (("raised", up), ("lowered", down))
    moved = (
        f"What {how} {task} most: {', '.join(_told(n, *found[n]) for n in names)}." for how, names in said if names
    )
    return tuple(filter(None, (*stands, *moved)))


def _told(name: str, parent: str, difference: float, beyond: bool) -> str:
    doubt = "" if beyond else " (within noise)"
    return f"`{short_name(name)}` {signed(difference)} against `{short_name(parent)}`{doubt}"


def _moves(snapshot: ArchiveSnapshot, board: Board, task: TaskName) -> dict[str, tuple[str, float, bool]]:
    """By variant: its parent, the difference on the task, and whether that is more than noise.

    The seeds that one was stopped after count as noise.
    """
    found = {
        record.proposal.variant.name: (record.proposal.parent, differences[task], False)
        for record, differences in stopped_early(snapshot)
        if task in differences
    }
    for change in snapshot.changes:
        if (known := change.differences.get(task)) is not None:
            found[change.name] = (change.parent, known.mean, abs(known.mean) > 2 * math.sqrt(known.variance))
    if not found and not snapshot.history and BASELINE in board.scores:
        base = board.scores[BASELINE]
        found = {
            name: (BASELINE, gap, abs(gap) > board.least_difference(task, row[task].n, base[task].n))
            for name, row in board.scores.items()
            if name not in (BASELINE, REFERENCE) and task in row and task in base
            for gap in (row[task].mean - base[task].mean,)
        }
    for record in snapshot.proposals(lambda line: line.status is Status.SCORED):
        for verdict in record.verdicts:
            compared = verdict.tasks.get(task)
            if verdict.against == record.proposal.parent and compared is not None and compared.outcome != "inert":
                name = record.proposal.variant.name
                found[name] = (verdict.against, compared.difference, compared.outcome in ("better", "worse"))
    return found
