"""What an archive knows when a proposer asks: standings under the protocol, noise of one seed, code and genomes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from agent.catalogue import SEED_GENOMES, Genome
from agent.context import Context, Pruned
from archive.leaderboards import LEADERBOARDS, scorecards
from archive.record import Record
from archive.store import Archive
from evaluator.outcomes import Status, Trial
from variants.contract import TASKS, Task
from variants.leaderboard import read_leaderboard


def make_context(
    archive: Archive, protocol: str, *, seed: int, under_way: Sequence[str] = (), forced_parent: str | None = None
) -> Context:
    """Everything a proposer may know, read from the archive as it stands now."""
    records = archive.records()
    trials = archive.trials(protocol)
    return Context(
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
        pruned=pruned(records, protocol),
    )


def published(archive: Archive) -> pd.DataFrame:
    """The archive's published leaderboard, indexed by name."""
    return read_leaderboard(archive.root / LEADERBOARDS / "published.csv")


def genomes(records: Sequence[Record]) -> dict[str, Genome]:
    """Genomes by variant name: of the seeds, and of the scored proposals that have one."""
    scored = [record for record in records if record.status is Status.SCORED]
    own = {r.proposal.variant.name: r.proposal.provenance.mechanisms for r in scored}
    return SEED_GENOMES | {name: Genome.model_validate(found) for name, found in own.items() if found}


def pruned(records: Sequence[Record], protocol: str) -> dict[str, Pruned]:
    """What racing gave up under today's version of the protocol, of proposals made of the catalogue's mechanisms."""
    found = {}
    for record in records:
        mechanisms = record.proposal.provenance.mechanisms
        if record.status is Status.PRUNED and record.protocol == protocol and mechanisms:
            name = record.proposal.variant.name
            cards = scorecards(protocol, {name: record.trials} if record.trials else {})
            if name in cards:
                found[name] = Pruned(Genome.model_validate(mechanisms), cards[name].scores)
    return found


def noise(trials: Mapping[str, Sequence[Trial]]) -> dict[Task, float]:
    """Standard deviation of one seed's accuracy per task, pooled within variants; NaN-free: absent where unknown."""
    found: dict[Task, float] = {}
    for task in TASKS:
        spread, freedom = 0.0, 0
        for own in trials.values():
            by_setting: dict[tuple[str, float, float], list[float]] = {}
            for trial in own:
                if trial.task == task and trial.accuracy is not None and trial.inherited_from is None:
                    by_setting.setdefault((trial.setting, trial.lr, trial.weight_decay), []).append(trial.accuracy)
            for values in by_setting.values():
                spread += float(np.var(values)) * len(values)
                freedom += len(values) - 1
        if freedom:
            found[task] = (spread / freedom) ** 0.5
    return found
