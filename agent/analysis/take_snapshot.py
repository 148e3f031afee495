"""What an archive knows when a proposer asks: standings under the protocol, noise of one seed, code and genomes."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from agent.analysis.snapshot import ArchiveSnapshot, Pruned
from agent.catalogue import SEED_GENOMES, Genome
from archive.leaderboards import LEADERBOARDS, scorecards
from archive.outline import Outline
from archive.record import Record
from archive.store import Archive
from evaluator.outcomes import Status, Trial
from evaluator.statistics.lazy_trials import LazyTrials
from evaluator.statistics.scorecards import squares_between_seeds
from variants.contract import TASKS, Task
from variants.leaderboard import read_leaderboard


def take_snapshot(
    archive: Archive, protocol: str, *, seed: int, under_way: Sequence[str] = (), forced_parent: str | None = None
) -> ArchiveSnapshot:
    """Everything a proposer may know, read from the archive as it stands now."""
    archive.require_sound()
    records = tuple(archive.outlines())
    trials = archive.trials(protocol)
    return ArchiveSnapshot(
        protocol=protocol,
        standings={name: card.scores for name, card in scorecards(protocol, trials).items()},
        published=published(archive),
        noise=noise(trials),
        history=records,
        under_way=tuple(under_way),
        variants=archive.variants(),
        genomes=genomes(records),
        seed=seed,
        forced_parent=forced_parent,
        pruned=pruned(archive, records, protocol),
    )


def published(archive: Archive) -> pd.DataFrame:
    """The archive's published leaderboard, indexed by name."""
    return read_leaderboard(archive.root / LEADERBOARDS / "published.csv")


def genomes(records: Iterable[Record | Outline]) -> dict[str, Genome]:
    """Genomes by variant name: of the seeds, and of the scored proposals that have one."""
    scored = [record for record in records if record.status is Status.SCORED]
    own = {r.proposal.variant.name: r.proposal.provenance.mechanisms for r in scored}
    return SEED_GENOMES | {name: Genome.model_validate(found) for name, found in own.items() if found}


def pruned(archive: Archive, records: Iterable[Record | Outline], protocol: str) -> dict[str, Pruned]:
    """What racing gave up under today's version of the protocol, of proposals made of the catalogue's mechanisms."""
    cards, found = scorecards(protocol, archive.pruned_trials(protocol)), {}
    for record in records:
        name, mechanisms = record.proposal.variant.name, record.proposal.provenance.mechanisms
        if name in cards and mechanisms:
            found[name] = Pruned(Genome.model_validate(mechanisms), cards[name].scores)
    return found


def noise(trials: Mapping[str, Sequence[Trial]]) -> dict[Task, float]:
    """Standard deviation of one seed's accuracy per task, pooled within variants; NaN-free: absent where unknown."""
    spread: dict[Task, float] = dict.fromkeys(TASKS, 0.0)
    freedom: dict[Task, int] = dict.fromkeys(TASKS, 0)
    for own in trials.values():
        for task, (squares, more) in (
            own.digest.spreads if isinstance(own, LazyTrials) else squares_between_seeds(own)
        ).items():
            spread[task] += squares
            freedom[task] += more
    return {task: (spread[task] / freedom[task]) ** 0.5 for task in TASKS if freedom[task]}
