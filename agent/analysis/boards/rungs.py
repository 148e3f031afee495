"""How far up a variant has come: the protocols of the ladder under which it has a score on every task.

The rungs are the protocols that a search is judged by, from the smallest to the published suite; `smoke` shows only
that a variant trains.
"""

from collections.abc import Iterable

from archive.store import Archive
from archive.tables.leaderboards import standings
from evaluator.protocols.built_in import JUDGING, SMOKE, tasks_of
from evaluator.statistics.over_tasks import mean_over_tasks
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
    names = dict.fromkeys((name, *others))
    for protocol in LADDER:
        trials = archive.trials(protocol)
        rows = standings(protocol, {each: trials[each] for each in names if each in trials})
        means = {each: mean_over_tasks(scores, tasks_of(protocol)) for each, scores in rows.items()}
        known = {each: mean for each, mean in means.items() if mean is not None}
        if (mean := known.pop(name, None)) is not None:
            found.append(Rung(protocol=protocol, mean=mean, others=known))
    return tuple(found)
