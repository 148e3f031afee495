"""Which variants a prompt offers as parents: the nearest to the challenge, and those strong where it is weak.

A variant that computes or measures what the baseline or its own parent does is never offered: it would be that one
under another name.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.analysis.boards.board import Board, best_board
from agent.analysis.boards.challenge import distances, nearest_first
from agent.analysis.snapshot import ArchiveSnapshot
from agent.errors import UserError
from agent.proposers.evolution.selection import ParentPool
from agent.proposers.llm.configuration.settings import Form
from agent.proposers.llm.prompt.content.focus import ISLAND_SHARES, Focus
from agent.proposers.llm.prompt.content.weakness import weaknesses
from evaluator.statistics.scorecards import seed_accuracies
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, REFERENCE, Layer

MOST = 5
AS_NEAR = 1.0
"""Units of noise that a variant may lack more than the nearest and still be as near: noise decides between the two."""
FORCED, AFRESH = "the parent that was asked for", "the delta rule itself, to start afresh"


@dataclass(frozen=True)
class OfferedParent:
    """A variant that a reply may build on. why: in words, what speaks for it."""

    name: str
    why: str = ""


def select_parents(snapshot: ArchiveSnapshot, form: Form, focus: Focus) -> tuple[OfferedParent, ...]:
    """The structured form's one parent, or up to five, the leading one first: a function of snapshot and focus.

    The structured form's must be one that the catalogue can express. Raises UserError for a forced parent that it
    cannot.
    """
    board = best_board(snapshot)
    possible = [name for name in board.scores if _possible(snapshot, board, name, form)]
    if form == "structured":
        return (OfferedParent(_of_mechanisms(snapshot, board, possible)),)
    found: dict[str, OfferedParent] = {}
    for offered in _by_promise(snapshot, board, nearest_first(board, possible), focus):
        found.setdefault(offered.name, offered)
    first = list(found.values())[: MOST - 1]
    if BASELINE in snapshot.variants and all(offered.name != BASELINE for offered in first):
        first.append(OfferedParent(BASELINE, AFRESH))
    return tuple(first)


def _by_promise(
    snapshot: ArchiveSnapshot, board: Board, ranked: Sequence[str], focus: Focus
) -> Iterator[OfferedParent]:
    """The most promising first. `ranked`: possible parents, nearest to the challenge first."""
    if snapshot.forced_parent is not None:
        yield OfferedParent(snapshot.forced_parent, FORCED)
    if not ranked:
        return
    families = _families(snapshot, ranked)
    island = families[focus.island % len(families)]
    rank = ranked.index(island) + 1
    yield OfferedParent(island, _nearest(rank))
    yield OfferedParent(ranked[0], _nearest(1))
    yield from _runner_up(board, ranked)
    weak = weaknesses(board)
    for task in dict.fromkeys((focus.task, *sorted(weak, key=lambda task: -weak[task]))):
        if task is not None:
            yield OfferedParent(_strongest(board, ranked, task), f"the strongest on {task}")
    for name in families:
        yield OfferedParent(name, "the nearest of another family")


def _runner_up(board: Board, ranked: Sequence[str]) -> Iterator[OfferedParent]:
    """The second nearest, where noise decides between it and the nearest: another change may be as good."""
    far = [each for each in distances(board, ranked[:2]).values() if each is not None]
    if len(far) > 1 and far[1] - far[0] < AS_NEAR:
        yield OfferedParent(ranked[1], "as near, but for noise")


def _nearest(rank: int) -> str:
    return f"the nearest to beating `{REFERENCE}`" if rank == 1 else "the nearest of its family"


def _strongest(board: Board, ranked: Sequence[str], task: TaskName) -> str:
    """The best of a task, but the baseline, whose file is shown anyway; among equals the nearest to the challenge."""
    others = [name for name in ranked if name != BASELINE] or ranked
    return max(others, key=lambda name: board.scores[name][task].mean)


def _families(snapshot: ArchiveSnapshot, ranked: Sequence[str]) -> list[str]:
    """The nearest of each family, in order. A family are all that come of one seed variant, parent by parent."""
    parents = {line.name: line.parent for line in snapshot.lines}
    nearest: dict[str, str] = {}
    for name in ranked:
        root, seen = name, {name}
        while (above := parents.get(root)) is not None and above not in seen:
            root = above
            seen.add(root)
        nearest.setdefault(root, name)
    return list(nearest.values())[: len(ISLAND_SHARES)]


def _of_mechanisms(snapshot: ArchiveSnapshot, board: Board, possible: Sequence[str]) -> str:
    parent = snapshot.forced_parent
    if parent is not None and parent not in snapshot.genomes:
        raise UserError(f"--parent {parent}: no mechanisms of the catalogue make it; build on it with --form code")
    if parent is None and possible:
        parent, _ = ParentPool(board, possible).parents(random.Random(snapshot.seed))
    return parent or BASELINE


def _possible(snapshot: ArchiveSnapshot, board: Board, name: str, form: Form) -> bool:
    """Whether there are all scores, and code to show, of the layer that variants belong to, and it is no no-op."""
    if board.mean_of_all(name) is None or name not in snapshot.variants:
        return False
    if form == "structured" and name not in snapshot.genomes:
        return False
    return snapshot.variants[name].layer is Layer.DELTA_NET and not is_no_op(snapshot, board, name)


def is_no_op(snapshot: ArchiveSnapshot, board: Board, name: str) -> bool:
    """Whether it computes what the baseline or its parent does, or has its very scores in every seed."""
    parents = (line.parent for line in snapshot.lines if line.name == name)
    others = {BASELINE, *parents} & board.scores.keys() - {name}
    return any(
        all(board.one_function(name, other, task) for task in board.tasks) or _same_scores(snapshot, name, other)
        for other in others
    )


def _same_scores(snapshot: ArchiveSnapshot, name: str, other: str) -> bool:
    ours, theirs = (snapshot.trials.get(each, ()) for each in (name, other))
    return bool(ours) and bool(theirs) and seed_accuracies(ours) == seed_accuracies(theirs)
