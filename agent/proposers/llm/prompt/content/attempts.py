"""The best and the most telling of the earlier attempts: change, mathematics, and predicted against measured."""

from collections.abc import Collection

from agent.analysis.boards.board import Board, best_board
from agent.analysis.boards.challenge import Challenge, nearest_first
from agent.analysis.boards.sizes import Sizes, sizes_of, state_words
from agent.analysis.snapshot import ArchiveSnapshot
from agent.proposers.llm.prompt.content.history import NEVER_ACTED, outcome
from agent.proposers.llm.prompt.content.loops import loop_diff
from agent.proposers.llm.prompt.content.stopped import stopped_early
from agent.proposers.llm.prompt.facts import ShownAttempt
from agent.words import accuracy, signed, signed_interval
from archive.confirmations import Confirmation
from archive.records.outline import Outline
from archive.records.record import Prediction, Record
from evaluator.outcomes import Status
from evaluator.tasks.registry import TASKS
from variants.contract import short_name

BEST, SURPRISING, HARMFUL, NEWEST, DECIDED, STOPPED = 3, 2, 1, 1, 2, 3
"""How many of each kind are told of in full."""
CLEAR = 0.005
"""How far outside of its interval a score lies that refutes a reason; less is a near miss."""
WORTH_A_LOOK = 0.25
"""Units of noise that a stopped proposal gained on a task at least, to be told of in full."""
LONGEST_DIFF, LONGEST_TEXT = 24, 700


def shown_attempts(
    snapshot: ArchiveSnapshot, by_loop: Collection[str] = (), sizes: Sizes | None = None
) -> tuple[ShownAttempt, ...]:
    """The nearest to the challenge, those decided on fresh seeds, the worst predicted, the most harmful, the newest.

    And of those that were stopped early, the ones that gained most on some task, for what may be added up. Each once.
    by_loop: variants whose loop the prompt shows anyway, so that their diff can be left out.
    """
    of_protocol = snapshot.proposals(lambda line: line.status is Status.SCORED and line.protocol == snapshot.protocol)
    scored = {r.proposal.variant.name: r for r in of_protocol if r.scorecard is not None}
    board = best_board(snapshot)
    ranked = [name for name in nearest_first(board, board.whole) if name in scored]
    known = [scored[name] for name in ranked] or list(scored.values())
    surprises = sorted(known, key=lambda record: -_surprise(record))
    harm = sorted(known, key=_gain)
    newest = sorted(known, key=lambda record: -record.number)
    decided = [record for record in newest if record.proposal.variant.name in snapshot.confirmations][:DECIDED]
    kinds = (known[:BEST], decided, surprises[:SURPRISING], harm[:HARMFUL], newest[:NEWEST])
    chosen = {record.id: record for kind in (*kinds, _stopped_with_a_gain(snapshot, board)) for record in kind}
    sizes = sizes or sizes_of(snapshot)
    found = (_shown(snapshot, record, by_loop, sizes) for record in chosen.values())
    return tuple(attempt for attempt in found if attempt is not None)


def _stopped_with_a_gain(snapshot: ArchiveSnapshot, board: Board) -> list[Record]:
    """Of the newest that were stopped, those with the largest gain on a task, in units of its noise."""
    challenge = Challenge.of(board)
    if challenge is None:
        return []
    gains = {
        record.id: (record, max((gain / challenge.noise[task] for task, gain in gained.items()), default=0.0))
        for record, gained in stopped_early(snapshot)
    }
    worth = [each for each in gains.values() if each[1] >= WORTH_A_LOOK]
    return [record for record, _ in sorted(worth, key=lambda each: -each[1])[:STOPPED]]


def _surprise(record: Record | Outline) -> float:
    """Of all tasks, how far outside of its interval a score lay at most, in widths of the interval."""
    scores = record.scorecard.scores if record.scorecard else {}
    misses = [
        max(found.low - scores[task].mean, scores[task].mean - found.high) / max(found.high - found.low, 0.01)
        for task, found in record.proposal.predictions.items()
        if task in scores
    ]
    return max(misses, default=0.0)


def _gain(record: Record | Outline) -> float:
    """The sum of the differences to the parent over all tasks."""
    compared = (v.tasks.values() for v in record.verdicts if v.against == record.proposal.parent)
    return sum(found.difference for tasks in compared for found in tasks)


def _shown(
    snapshot: ArchiveSnapshot, known: Record | Outline, by_loop: Collection[str], sizes: Sizes
) -> ShownAttempt | None:
    record = snapshot.whole(known)
    if record is None:
        return None
    proposal, parent = record.proposal, snapshot.variants.get(record.proposal.parent)
    diff: tuple[str, ...] = ()
    if parent is not None and proposal.variant.name not in by_loop:
        diff = loop_diff(parent.source, proposal.variant.source)
    verdict = next((found for found in record.verdicts if found.against == proposal.parent), None)
    confirmation = snapshot.confirmations.get(proposal.variant.name)
    held, missed = _predictions(record)
    told = NEVER_ACTED if record.no_effect else outcome(verdict) if verdict else _stopped(record)
    size = state_words(sizes.of(proposal.variant.name))
    lines = [told, size[:1].upper() + size[1:], held, *missed, confirmed(confirmation) if confirmation else ""]
    return ShownAttempt(
        name=short_name(proposal.variant.name),
        parent=short_name(proposal.parent),
        second_parent=short_name(proposal.second_parent) if proposal.second_parent else "",
        title=proposal.title,
        diff=diff[:LONGEST_DIFF],
        is_parent=proposal.variant.name in by_loop,
        mathematics=_short(proposal.mathematics),
        lines=tuple(f"{line}." for line in lines if line),
    )


def _stopped(record: Record) -> str:
    reason = " ".join(record.reason.split()).removeprefix(f"{record.status}: ")
    return f"Stopped early, not refuted on every task: {reason}" if record.status is Status.PRUNED else ""


def _predictions(record: Record) -> tuple[str, list[str]]:
    """The predictions that held, in a phrase; and those that did not, each with its refuted reason."""
    scores = record.scorecard.scores if record.scorecard else {}
    held, missed = [], []
    for task in TASKS:
        if (found := record.proposal.predictions.get(task)) is None or task not in scores:
            continue
        measured = scores[task].mean
        if found.holds(measured):
            held.append(f"{task} {_predicted(found)}, measured {accuracy(measured)}")
        else:
            far = max(found.low - measured, measured - found.high) > CLEAR
            why = f', because "{_short(found.why.rstrip("."))}"' if found.why and far else ""
            how = "Refuted" if far else "Missed narrowly"
            missed.append(f"{how}: {task} {_predicted(found)}{why}; measured {accuracy(measured)}")
    return (f"Predictions that held: {'; '.join(held)}" if held else "", missed)


def _predicted(found: Prediction) -> str:
    return f"{accuracy(found.low)} to {accuracy(found.high)}"


def confirmed(found: Confirmation) -> str:
    """What fresh seeds said, in a phrase."""
    if found.fresh is None:
        return f"On fresh seeds: {found.outcome}" + (f", {found.reason}" if found.reason else "")
    fresh, how = found.fresh, ", weighted by what each is short of its goal" if found.weights else ""
    return (
        f"On fresh seeds {found.outcome}: {signed(fresh.mean)} {signed_interval(fresh.low, fresh.high)} against "
        f"`{short_name(found.against)}` in the mean over tasks{how}, n {fresh.n}"
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT].rstrip()} ..."
