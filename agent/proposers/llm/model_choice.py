"""Which of several models is asked next: the one that improves most for its cost, as far as the archive tells.

Every proposal is a try. A try is an improvement if it is clearly better than its parent on a task and clearly worse on
none; under a protocol of one seed, where nothing is clear, if its mean over the tasks is higher. What is drawn is the
chance of an improvement, from its posterior (Thompson 1933: a uniform prior, so Beta(1 + improvements, 1 + the rest)),
divided by the mean cost of a try. A floor keeps every model in use, so that one with an unlucky start is not given up.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from archive.records.outline import Outline
from archive.records.record import Record
from evaluator.outcomes import Status

FLOOR = 0.1
"""Share of all asks that every model gets; with more than five models, half of an even share."""
USD_PER_CPU_HOUR = 0.05
"""What a core costs to rent for an hour, roughly: beside a free model, training is not free."""


@dataclass(frozen=True)
class Try:
    """What one proposal of a model, or one ask without a proposal, came to."""

    model: str
    improved: bool = False
    seconds: float = 0.0
    """Asking, checking and training."""
    cpu_seconds: float = 0.0
    """Of training."""
    usd: float | None = None
    """What the model cost; None: unknown."""


def tries_of(history: Iterable[Record | Outline], protocol: str) -> list[Try]:
    """The tries of all models that the archive records under the protocol; what was interrupted is none."""
    return [
        Try(
            model=record.proposal.provenance.model,
            improved=improves(record),
            seconds=record.cost.wall_seconds,
            cpu_seconds=record.cost.cpu_seconds,
            usd=record.cost.usd,
        )
        for record in history
        if record.proposal.provenance.model is not None
        and record.protocol == protocol
        and record.status is not Status.INTERRUPTED
    ]


def improves(record: Record | Outline) -> bool:
    """Whether a proposal is better than its parent."""
    verdict = next((found for found in record.verdicts if found.against == record.proposal.parent), None)
    if record.status is not Status.SCORED or verdict is None or not verdict.tasks:
        return False
    compared = verdict.tasks.values()
    if max(comparison.n for comparison in compared) < 2:
        return fmean(comparison.difference for comparison in compared) > 0
    outcomes = {comparison.outcome for comparison in compared}
    return "better" in outcomes and "worse" not in outcomes


def choose(models: Sequence[str], tries: Iterable[Try], asked: Mapping[str, int], seed: int) -> str:
    """One of `models`. `asked`: how often each was asked so far, asks under way included. The seed decides."""
    total = sum(asked.get(model, 0) for model in models)
    least = min(FLOOR, 0.5 / len(models)) * (total + 1)
    neglected = [model for model in models if asked.get(model, 0) < least]
    if neglected:
        return min(neglected, key=lambda model: asked.get(model, 0))
    chance = random.Random(seed)
    values = value_of(models, list(tries))
    return max(models, key=lambda model: chance.betavariate(*values[model].chance) / values[model].cost)


@dataclass(frozen=True)
class Value:
    """What is known of a model: the parameters of the Beta posterior of its chance, and the mean cost of a try."""

    chance: tuple[int, int]
    cost: float


def value_of(models: Sequence[str], tries: Sequence[Try]) -> dict[str, Value]:
    """What the tries tell of each model.

    Costs are in US dollars, model and training together, where the price of every try is known, and else in seconds.
    One try at the mean cost of all counts for each model, so that its first own try does not decide.
    """
    own = [found for found in tries if found.model in models]
    priced = all(found.usd is not None for found in own)
    costs = [_usd(found) if priced else found.seconds for found in own]
    usual = fmean(costs) if sum(costs) > 0 else 1.0
    count = Counter(found.model for found in own)
    better = Counter(found.model for found in own if found.improved)
    spent = {
        model: sum(cost for cost, found in zip(costs, own, strict=True) if found.model == model) for model in models
    }
    return {
        model: Value((1 + better[model], 1 + count[model] - better[model]), (spent[model] + usual) / (count[model] + 1))
        for model in models
    }


def _usd(found: Try) -> float:
    return (found.usd or 0.0) + found.cpu_seconds / 3600 * USD_PER_CPU_HOUR
