"""What proposals that were stopped early had gained or lost by then: within noise, but it may add up."""

from collections.abc import Iterator, Mapping
from statistics import fmean

from agent.analysis.snapshot import ArchiveSnapshot
from archive.records.record import Record
from evaluator.outcomes import Status
from evaluator.statistics.scorecards import seed_accuracies
from evaluator.tasks.names import TaskName

LOOKED_AT = 20
"""Of the proposals that were stopped early, the newest are looked at."""


def stopped_early(snapshot: ArchiveSnapshot) -> Iterator[tuple[Record, Mapping[TaskName, float]]]:
    """The newest of them, and per task the mean difference to the parent over the seeds that both have."""
    stopped = snapshot.proposals(lambda line: line.status is Status.PRUNED and line.protocol == snapshot.protocol)
    for outline in reversed(stopped[-LOOKED_AT:]):
        if (record := snapshot.whole(outline)) is not None:
            yield record, _differences(snapshot, record)


def _differences(snapshot: ArchiveSnapshot, record: Record) -> dict[TaskName, float]:
    own, parent = (
        seed_accuracies(trials) for trials in (record.trials, snapshot.trials.get(record.proposal.parent, ()))
    )
    both = {
        task: [found - parent[task][seed] for seed, found in by_seed.items() if seed in parent.get(task, {})]
        for task, by_seed in own.items()
    }
    return {task: fmean(found) for task, found in both.items() if found}
