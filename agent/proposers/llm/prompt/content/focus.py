"""Where an ask is to look first: at the weakest task of what is nearest to the challenge, and at what moved it.

Asks of one run share the weak tasks in proportion to what is lacking there; in the structured form the places of the
loop, in proportion to what changes there did for the weakest task. So the evidence leads, and asks at the same time differ.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from agent.analysis.board import Board, best_board
from agent.analysis.challenge import Challenge, means_of, nearest_first
from agent.analysis.snapshot import ArchiveSnapshot
from agent.catalogue import CATALOGUE
from agent.proposers.llm.configuration.settings import Form
from agent.words import signed
from evaluator.protocols.built_in import single_chunk_tasks
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, REFERENCE, short_name

FOCUSES: dict[str, str] = {
    "scores": "how q and k become scores inside the chunk (`attn`)",
    "error": "what happens to the error `u_i` before it is read and written",
    "decay": "what of the state S is forgotten from chunk to chunk, and when",
    "update": "how the outer product of keys and errors enters S, with carried state if need be",
    "readout": "what a query reads from S (`o_inter`), and how it meets the part from inside the chunk",
    "write": "which errors are written at all, and how strongly",
}
"""Places of the loop that the catalogue fills: slot -> in words."""
LEAST = 0.05
"""Of a task that lacks nothing, beside tasks that do."""
MOST_MOVED = 3


@dataclass(frozen=True)
class Focus:
    """What one ask is pointed at. island: which family of variants leads among the parents that are offered."""

    task: TaskName | None = None
    slot: str | None = None
    island: int = 0


def choices(snapshot: ArchiveSnapshot, form: Form) -> dict[str, float]:
    """What an ask may be pointed at, with the share of asks that each deserves, the most deserving first."""
    board = best_board(snapshot)
    weak = weaknesses(board)
    found = weak if form == "code" else _slots(snapshot, board, max(weak, key=lambda task: weak[task]) if weak else None)
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def focus_on(choice: str | None, form: Form, island: int = 0) -> Focus:
    """The focus of an ask that was given this choice."""
    return Focus(task=choice, island=island) if form == "code" else Focus(slot=choice, island=island)


def nearest(board: Board) -> str | None:
    """The variant that is nearest to the challenge, the reference aside; None where nothing has all scores."""
    return next((name for name in nearest_first(board, board.whole) if name != REFERENCE), None)


def weaknesses(board: Board) -> dict[TaskName, float]:
    """What the variant nearest to the challenge lacks on each task, in units of noise; to 1 where that is nothing."""
    best = nearest(board)
    if best is None:
        return dict.fromkeys(board.tasks, 1.0)
    means = means_of(board.scores[best])
    challenge = Challenge.of(board)
    lacking = challenge.lacking(means) if challenge else {}
    if not any(lacking.values()):
        lacking = {task: 1 - mean for task, mean in means.items()}
    return {task: max(LEAST, lack) for task, lack in lacking.items()}


def _slots(snapshot: ArchiveSnapshot, board: Board, task: TaskName | None) -> dict[str, float]:
    """Each place by the best that a change there did for the task, in units of noise; 1 for what was never tried."""
    unit = challenge.noise.get(task or "", 1.0) if (challenge := Challenge.of(board)) else 1.0
    gains: dict[str, float] = {}
    for change in snapshot.changes:
        if task in change.differences:
            for slot in FOCUSES:
                if getattr(change.genome, slot) != getattr(change.origin, slot):
                    gains[slot] = max(gains.get(slot, -math.inf), change.differences[task].mean / unit)
    reach = {
        slot: any(kind.first_chunk for kind in CATALOGUE.get(slot, ())) or task not in single_chunk_tasks(board.protocol)
        for slot in FOCUSES
    }
    return {slot: max(LEAST, 1 + min(1.0, gains.get(slot, 0.0))) if reach[slot] else LEAST for slot in FOCUSES}


def focus_sentence(snapshot: ArchiveSnapshot, focus: Focus) -> str:
    """What to look at first, to follow `Look first at`."""
    if focus.slot is not None:
        return FOCUSES[focus.slot]
    board = best_board(snapshot)
    best, challenge = nearest(board), Challenge.of(board)
    if focus.task is None or best is None or challenge is None:
        return f"{focus.task or 'the weakest task'}"
    lack = challenge.lacking(means_of(board.scores[best]))[focus.task]
    return (
        f"{focus.task}: `{short_name(best)}`, the nearest to the challenge, has {board.scores[best][focus.task].mean:.3f}"
        f" there, {lack:.1f} units of noise short of {challenge.goals[focus.task]:.3f}"
        if lack
        else f"{focus.task}: `{short_name(best)}` has {board.scores[best][focus.task].mean:.3f} there, and 1 is the end"
    )


def moved_lines(snapshot: ArchiveSnapshot, task: TaskName | None) -> tuple[str, ...]:
    """What raised the task most, and what lowered it most, each change against its own parent; empty without any."""
    found = _moves(snapshot, task) if task is not None else {}
    up = sorted((name for name in found if found[name][1] > 0), key=lambda name: -found[name][1])[:MOST_MOVED]
    down = sorted((name for name in found if found[name][1] < 0), key=lambda name: found[name][1])[:MOST_MOVED]
    said = (("raised", up), ("lowered", down))
    return tuple(f"What {how} {task} most: {', '.join(_told(n, *found[n]) for n in names)}." for how, names in said if names)


def _told(name: str, parent: str, difference: float, beyond: bool) -> str:
    doubt = "" if beyond else " (within noise)"
    return f"`{short_name(name)}` {signed(difference)} against `{short_name(parent)}`{doubt}"


def _moves(snapshot: ArchiveSnapshot, task: TaskName) -> dict[str, tuple[str, float, bool]]:
    """By variant: its parent, the difference on the task, and whether that is more than noise."""
    found: dict[str, tuple[str, float, bool]] = {}
    for change in snapshot.changes:
        if (known := change.differences.get(task)) is not None:
            found[change.name] = (change.parent, known.mean, abs(known.mean) > 2 * math.sqrt(known.variance))
    board = best_board(snapshot)
    if not found and not snapshot.history and BASELINE in board.scores:
        base = board.scores[BASELINE]
        found = {
            name: (BASELINE, gap, abs(gap) > board.least_difference(task, row[task].n, base[task].n))
            for name, row in board.scores.items()
            if name not in (BASELINE, REFERENCE) and task in row and task in base
            for gap in (row[task].mean - base[task].mean,)
        }
    for record in snapshot.history:
        for verdict in record.verdicts:
            compared = verdict.tasks.get(task)
            if verdict.against == record.proposal.parent and compared is not None and compared.outcome != "inert":
                name = record.proposal.variant.name
                found[name] = (verdict.against, compared.difference, compared.outcome in ("better", "worse"))
    return found
