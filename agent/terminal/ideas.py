"""What a search tells of its ideas: one line when a proposal is made, a few plain sentences at the end."""

from collections.abc import Iterator, Mapping, Sequence

from rich.markup import escape

from agent.analysis.boards.board import Board
from agent.analysis.boards.challenge import Challenge, distances, means_of, nearest_first
from agent.terminal.view import name_markup
from agent.words import NO_EFFECT, accuracy, distance
from archive.records.record import Proposal, Record
from evaluator.outcomes import Status
from evaluator.tasks.names import TaskName
from variants.contract import REFERENCE


def idea_line(proposal: Proposal, board: Board) -> str:
    """The idea, its parent, and the task on which the parent lacks most to beat the reference. With Rich's markup."""
    line = f"idea: [bold]{escape(proposal.title)}[/], a change of {name_markup(proposal.parent)}"
    challenge, scores = Challenge.of(board), board.scores.get(proposal.parent, {})
    lacking = challenge.lacking(means_of(scores)) if challenge else {}
    if not any(lacking.values()):
        return line
    worst = max(lacking, key=lambda task: lacking[task])
    return (
        f"{line}, which lacks most on {worst}: {accuracy(scores[worst].mean)}, "
        f"where {name_markup(REFERENCE)} has {accuracy(board.scores[REFERENCE][worst].mean)}"
    )


def learnt_lines(records: Sequence[Record], board: Board) -> Iterator[str]:
    """What the proposals of a search taught, who is nearest to the challenge now, and what to try next."""
    scored = [record for record in records if record.status is Status.SCORED]
    stopped = [record for record in records if record.status is Status.PRUNED]
    if not scored and not stopped:
        return
    challenge = Challenge.of(board)
    yield "[bold]what was learnt[/]"
    for record in scored:
        told = NO_EFFECT if record.no_effect else _against_parent(record) + _way(record, board)
        yield f"  {name_markup(record.proposal.variant.name)}: {told}"
    if stopped:
        names = ", ".join(name_markup(record.proposal.variant.name) for record in stopped)
        yield f"  stopped early, since they had no chance left to get ahead of their parents: {names}"
    ranked = nearest_first(board, board.whole)
    if not ranked:
        return
    own = {record.proposal.variant.name: record for record in scored}
    best_own = next((name for name in ranked if name in own), None)
    yield f"  nearest to the challenge: {_standing(ranked[0], board, challenge)}"
    if best_own is not None and best_own != ranked[0]:
        yield f"  nearest of this search: {_standing(best_own, board, challenge)}"
    if best_own is not None and own[best_own].proposal.next_steps:
        yield f"[bold]to try next[/]: {escape(own[best_own].proposal.next_steps[0])}"


def _against_parent(record: Record) -> str:
    """On which tasks it differs from its parent by more than noise."""
    found = next((verdict.tasks for verdict in record.verdicts if verdict.against == record.proposal.parent), {})
    if not found:
        return "no scores of its parent to compare with"
    if all(each.outcome == "inert" for each in found.values()):
        return "cannot differ from its parent"
    if all(each.n < 2 for each in found.values()):
        return "one seed tells nothing of noise"
    parts = [
        f"{word} than its parent on {', '.join(tasks)}"
        for word in ("better", "worse")
        if (tasks := [task for task, each in found.items() if each.outcome == word])
    ]
    return "; ".join(parts) or "within noise of its parent on every task"


def _way(record: Record, board: Board) -> str:
    """How far it is from the challenge, and how far its parent is."""
    name, parent = record.proposal.variant.name, record.proposal.parent
    far = distances(board, (name, parent))
    if far[name] is None or far[parent] is None:
        return ""
    return f"; to goal {distance(far[name])}, its parent {distance(far[parent])}"


def _standing(name: str, board: Board, challenge: Challenge | None) -> str:
    mean = board.mean_of_all(name) or 0.0
    lacking: Mapping[TaskName, float] = challenge.lacking(means_of(board.scores[name])) if challenge else {}
    most = sorted((task for task in lacking if lacking[task] > 0), key=lambda task: -lacking[task])[:3]
    far = f"to goal {sum(lacking.values()):.1f}, " if challenge else ""
    rest = f"; it lacks {', '.join(f'{task} {lacking[task]:.1f}' for task in most)}" if most else ""
    return f"{name_markup(name)}, {far}mean {accuracy(mean)}{rest}"
