"""How far up a variant has come: the protocols of the ladder under which it has a score on every task.

The rungs are the protocols that a search is judged by, from the smallest to the published suite; `smoke` shows only
that a variant trains.
"""

from collections.abc import Iterable

from agent.analysis.boards.board import open_board
from archive.store import Archive
from evaluator.protocols.built_in import JUDGING, SMOKE
from evaluator.values import Value
from variants.contract import VariantName

LADDER = tuple(protocol.name for protocol in JUDGING if protocol is not SMOKE)


class Rung(Value):
    """Means over all tasks of a protocol; of the others that a variant is compared with, those that have one."""

    protocol: str
    mean: float
    others: dict[VariantName, float]


def rungs(archive: Archive, name: VariantName, others: Iterable[VariantName]) -> tuple[Rung, ...]:
    """Of a variant, the lowest first; empty where no protocol of the ladder has all its scores."""
    found = []
    for protocol in LADDER:
        board = open_board(protocol, archive)
        mean = board.mean_of_all(name)
        if mean is not None:
            means = {other: board.mean_of_all(other) for other in others if other != name}
            known = {other: value for other, value in means.items() if value is not None}
            found.append(Rung(protocol=protocol, mean=mean, others=known))
    return tuple(found)
