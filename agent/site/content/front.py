"""The Pareto front of a board: the same rows, differences and marks as `archer leaderboard --front`."""

from dataclasses import dataclass, replace

import numpy as np

from agent.analysis.boards.board import PUBLISHED_NAME
from agent.analysis.boards.challenge import distances
from agent.analysis.differences.front import sure_cells, surely_front
from agent.analysis.differences.paired_differences import open_paired_differences
from agent.site.content.board import SiteBoard, SiteGap
from agent.site.content.row import Row, units
from archive.store import Archive
from evaluator.statistics.pareto import undominated
from variants.contract import REFERENCE, short_name


@dataclass(frozen=True)
class Nearest:
    """Who comes nearest to beating the gated reference on every task. `above`, `sure`: numbers of tasks."""

    row: Row
    above: int
    sure: int


def front_rows(board: SiteBoard) -> list[Row]:
    """Rows with a score on every task that no other row equals or beats on all and beats on one; best mean first."""
    rows = [row for row in board.rows if row.whole and all(row.scores)]
    means = np.array([[score[0] for score in row.scores if score] for row in rows], dtype=np.int64)
    return [rows[place] for place in undominated(means.reshape(len(rows), len(board.tasks)))]


def with_gaps(board: SiteBoard, archive: Archive) -> SiteBoard:
    """The board with distances to the challenge, differences to the reference, and who is surely on the front.

    Unchanged if it is neither of today's version of its protocol nor published.
    """
    if not board.is_of_today and (board.protocol, board.hash) != (PUBLISHED_NAME, ""):
        return board
    contrasts = open_paired_differences(board.protocol, archive)
    if REFERENCE not in contrasts.names:
        return board
    lead, sure = contrasts.lead(REFERENCE), sure_cells(contrasts)
    gaps: dict[str, tuple[SiteGap, ...]] = {}
    for place, name in enumerate(contrasts.names):
        if name != REFERENCE:
            gaps[short_name(name)] = tuple(
                SiteGap(units(-float(lead.difference[place, at])), _mark(-lead.difference[place, at], found, same))
                for at, task in enumerate(board.tasks)
                for found, same in [((name, task) in sure, bool(lead.same[place, at]))]
            )
    far = {short_name(name): distance for name, distance in distances(contrasts.board, contrasts.names).items()}
    rows = tuple(
        row.model_copy(update={"distance": far[row.name]}) if row.whole and row.name in far else row
        for row in board.rows
    )
    surely = frozenset(map(short_name, surely_front(contrasts)))
    return replace(board, gaps=gaps, rows=rows, surely=surely)


def _mark(difference: float, sure: bool, same: bool) -> str:
    if same:
        return "="
    return ("▲" if difference > 0 else "▼") if sure else ""


def nearest(board: SiteBoard) -> Nearest | None:
    """The row with the least distance to the challenge; None without a reference or a rival."""
    rivals = [(row.distance, row) for row in board.rows if row.distance is not None and row.name in board.gaps]
    if not rivals:
        return None
    _, best = min(rivals, key=lambda found: (found[0], -(found[1].whole or (0,))[0], found[1].name))
    own = board.gaps[best.name]
    return Nearest(best, _above(own), sum(gap.mark == "▲" for gap in own))


def _above(gaps: tuple[SiteGap, ...]) -> int:
    return sum(gap.difference > 0 for gap in gaps)
