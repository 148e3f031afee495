"""Where an ask is to look first: at a weak task of what is nearest to the challenge, and at a place of the loop.

Asks of one run share the weak tasks in proportion to what is lacking there, and the places of the loop in proportion
to what changes there did for the task. So the evidence leads, and asks at the same time differ.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from agent.analysis.boards.board import Board, best_board
from agent.analysis.boards.challenge import Challenge
from agent.analysis.snapshot import ArchiveSnapshot
from agent.catalogue import CATALOGUE
from agent.proposers.llm.configuration.settings import Form
from agent.proposers.llm.prompt.content.loops import loop_diff
from agent.proposers.llm.prompt.content.weakness import weaknesses
from evaluator.protocols.built_in import single_chunk_tasks
from evaluator.tasks.names import TaskName

FOCUSES: dict[str, str] = {
    "scores": "how q and k become scores inside the chunk (`attn`)",
    "error": "what happens to the error `u_i` before it is read and written",
    "decay": "what of the state S is forgotten from chunk to chunk, and when",
    "update": "how the outer product of keys and errors enters S, with carried state if need be",
    "readout": "what a query reads from S (`o_inter`), and how it meets the part from inside the chunk",
    "write": "which errors are written at all, and how strongly",
    "output": "what the output gets beside the reads: the own value or error, an echo of earlier ones",
}
"""Places of the loop, in words. The catalogue has a slot for most."""
ISLAND_SHARES = {"0": 1.0, "1": 0.6, "2": 0.4, "3": 0.3}
"""Families of variants, the nearest to the challenge first, and how often each leads among the parents that are
offered: asks that run at the same time start from different places."""
LEAST = 0.05
"""What a place that cannot reach the task deserves beside others."""
REMEMBERED = 200
"""The newest proposals whose code is looked at for the places that they changed."""
_MARKS = {
    "scores": r"\battn\s*=",
    "error": r"\bu_i\s*=",
    "decay": r"\bS\s*=.*(?:\*\s*S\b|\bS\s*[*/])",
    "update": r"\bS\s*=",
    "readout": r"\bo_inter\s*=",
    "output": r"\bo_n\.append",
}
"""What a changed line of the loop says of the place that was changed; a line is of the first that fits."""


Shares = Mapping[str, float]
"""Choices, and the share of asks that each deserves."""


@dataclass(frozen=True)
class Focus:
    """What one ask is pointed at. island: which family of variants leads among the parents that are offered."""

    task: TaskName | None = None
    slot: str | None = None
    island: int = 0


def focus_of(snapshot: ArchiveSnapshot, form: Form, share: Callable[[str, Shares], str | None]) -> Focus:
    """The focus of the next ask. `share`: from a kind of choice and its shares to the choice that is due.

    The structured form is pointed at a place of the loop only: its parents are few, and its tasks are told elsewhere.
    """
    board = best_board(snapshot)
    weak = weaknesses(board)
    worst = max(weak, key=lambda task: weak[task], default=None)
    task = share("task", weak) if form == "code" else worst
    places = _places(snapshot, board, task)
    if form == "structured":
        return Focus(slot=share("place", {slot: places[slot] for slot in places if slot in CATALOGUE}))
    return Focus(task, share(f"place for {task}", places), int(share("island", ISLAND_SHARES) or 0))


def _places(snapshot: ArchiveSnapshot, board: Board, task: TaskName | None) -> dict[str, float]:
    """Each place by the best that a change there did for the task, in units of noise; 1 for what was never tried.

    The most deserving first. A place that cannot reach the task deserves next to nothing.
    """
    unit = challenge.noise.get(task or "", 1.0) if (challenge := Challenge.of(board)) else 1.0
    gains: dict[str, float] = {}
    for slots, difference in _changes(snapshot, task):
        for slot in slots:
            gains[slot] = max(gains.get(slot, -math.inf), difference / unit)
    one_chunk = task in single_chunk_tasks(board.protocol)
    out = {slot for slot, kinds in CATALOGUE.items() if one_chunk and not any(kind.first_chunk for kind in kinds)}
    found = {slot: LEAST if slot in out else max(LEAST, 1 + min(1.0, gains.get(slot, 0.0))) for slot in FOCUSES}
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def _changes(snapshot: ArchiveSnapshot, task: TaskName | None) -> Iterator[tuple[set[str], float]]:
    """The places that each change was made at, by genome or else by code, and what it did for the task."""
    for change in snapshot.changes:
        if (known := change.differences.get(task or "")) is not None:
            genomes = (change.genome, change.origin)
            ours, theirs = ({slot: getattr(genome, slot, None) for slot in FOCUSES} for genome in genomes)
            yield {slot for slot in FOCUSES if ours[slot] != theirs[slot]}, known.mean
    for record in snapshot.history[-REMEMBERED:]:
        proposal, variants = record.proposal, snapshot.variants
        compared = [v.tasks[task] for v in record.verdicts if v.against == proposal.parent and task in v.tasks]
        both = variants.get(proposal.parent), variants.get(proposal.variant.name)
        if compared and not proposal.provenance.mechanisms and both[0] is not None and both[1] is not None:
            yield changed_places(loop_diff(both[0].source, both[1].source)), compared[0].difference


def changed_places(diff: Iterable[str]) -> set[str]:
    """The places of the loop whose lines a diff adds or takes away."""
    found = (next((slot for slot, mark in _MARKS.items() if re.search(mark, line)), None) for line in diff)
    return {slot for slot in found if slot is not None}


def focus_sentence(focus: Focus) -> str:
    """What to look at first, to follow `Look first at`."""
    place = FOCUSES[focus.slot] if focus.slot is not None else ""
    if focus.task is None:
        return place
    return f"{focus.task}, and there at {place}" if place else focus.task
