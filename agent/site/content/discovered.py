"""Which proposals of a board are better once it is counted how many were tried: the false discovery rate."""

from dataclasses import replace

from agent.analysis.differences.false_discovery import PARENT, families
from agent.site.content.board import SiteBoard
from agent.site.content.row import Role
from archive.store import Archive
from variants.contract import BASELINE, REFERENCE, short_name

_ROLES: dict[str, Role] = {PARENT: "parent", BASELINE: "baseline", REFERENCE: "reference"}


def with_tests(board: SiteBoard, archive: Archive) -> SiteBoard:
    """The board with each proposal's adjusted p-values, where it is of today's version of its protocol."""
    if not board.is_of_today:
        return board
    found: dict[str, dict[Role, float]] = {}
    for rival, family in families(archive, board.protocol, single=False).items():
        for test in family.means:
            found.setdefault(short_name(test.name), {})[_ROLES[rival]] = test.adjusted
    rows = (row.model_copy(update={"discovered": found.get(row.name, {})}) if row.page else row for row in board.rows)
    return replace(board, rows=tuple(rows))
