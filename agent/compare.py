"""Proposers against each other at equal budget: each in archives of its own, and how good its best was when."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from archive.record import Record
from archive.store import Archive
from evaluator.effects import effect, seed_means
from evaluator.outcomes import Status, Value
from evaluator.plan import Protocol
from variants.contract import TASKS

DRAWS = 1_000
"""Of the bootstrap over training seeds."""


@dataclass(frozen=True)
class Budget:
    """What each proposer may spend in each repeat. `minutes`: of CPU time, all trials of its proposals together."""

    proposals: int
    minutes: float | None

    def spent(self, records: Sequence[Record]) -> tuple[int, float]:
        """Proposals made, and CPU-minutes. What was interrupted is asked for again, but its time is gone."""
        ended = sum(record.status is not Status.INTERRUPTED for record in records)
        return ended, sum(record.cost.cpu_seconds for record in records) / 60


class Point(Value):
    """Best mean of six among the proposals so far, over repeats, with a 95 % interval where there can be one."""

    at: float
    mean: float
    low: float | None
    high: float | None


class Curve(Value):
    """One proposer. `interval`: what it is over. Curves begin where each repeat has a score."""

    proposer: str
    repeats: int
    proposals: int
    scored: int
    cpu_minutes: float
    interval: str
    by_proposal: tuple[Point, ...]
    by_minute: tuple[Point, ...]


@dataclass(frozen=True)
class Arm:
    """One repeat of one proposer: after each proposal, the CPU-minutes so far and the scores by training seed."""

    minutes: tuple[float, ...]
    scores: tuple[tuple[float, ...], ...]
    """Mean of six by training seed; empty for a proposal without a score."""

    @classmethod
    def of(cls, archive: Archive, protocol: Protocol, budget: Budget) -> "Arm":
        """What an archive holds, up to the budget."""
        minutes: list[float] = []
        scores: list[tuple[float, ...]] = []
        spent = 0.0
        for record in archive.records():
            spent += record.cost.cpu_seconds / 60
            if record.status is Status.INTERRUPTED or record.protocol_hash != protocol.hash:
                continue
            if len(scores) == budget.proposals or (budget.minutes is not None and spent > budget.minutes):
                break
            minutes.append(spent)
            known = seed_means(record.trials, TASKS) if record.status is Status.SCORED else {}
            scores.append(tuple(known.values()))
        return cls(tuple(minutes), tuple(scores))

    def best(self, count: int, pick: Callable[[tuple[float, ...]], float] = fmean) -> float | None:
        """The best of the first `count` proposals."""
        return max((pick(seeds) for seeds in self.scores[:count] if seeds), default=None)

    def within(self, minutes: float) -> int:
        """How many proposals had ended by then."""
        return sum(each <= minutes for each in self.minutes)


def curve(proposer: str, arms: Sequence[Arm]) -> Curve:
    """Best so far over proposals and over CPU-minutes."""
    proposals = max((len(arm.scores) for arm in arms), default=0)
    minutes = sorted({each for arm in arms for each in arm.minutes})
    by_proposal = [_point(arms, count, [count] * len(arms)) for count in range(1, proposals + 1)]
    by_minute = [_point(arms, each, [arm.within(each) for arm in arms]) for each in minutes]
    seeds = max((len(seeds) for arm in arms for seeds in arm.scores), default=0)
    return Curve(
        proposer=proposer,
        repeats=len(arms),
        proposals=sum(len(arm.scores) for arm in arms),
        scored=sum(bool(seeds) for arm in arms for seeds in arm.scores),
        cpu_minutes=sum(arm.minutes[-1] for arm in arms if arm.minutes),
        interval="repeats" if len(arms) > 1 else "training seeds" if seeds > 1 else "none: one repeat, one seed",
        by_proposal=tuple(point for point in by_proposal if point is not None),
        by_minute=tuple(point for point in by_minute if point is not None),
    )


def _point(arms: Sequence[Arm], at: float, counts: Sequence[int]) -> Point | None:
    best = [arm.best(count) for arm, count in zip(arms, counts, strict=True)]
    known = [each for each in best if each is not None]
    if len(known) < len(arms) or not arms:
        return None
    if len(arms) > 1:
        found = effect(known, None)
        low, high = found.interval() if found is not None else (None, None)
    else:
        low, high = _bootstrap(arms[0], counts[0])
    return Point(at=at, mean=fmean(known), low=low, high=high)


def _bootstrap(arm: Arm, count: int) -> tuple[float | None, float | None]:
    """Percentiles of the best over training seeds drawn with replacement, the same for all proposals."""
    scores = [seeds for seeds in arm.scores[:count] if seeds]
    least = min(map(len, scores))
    if least < 2:
        return None, None
    table = np.array([seeds[:least] for seeds in scores])
    drawn = np.random.default_rng(0).integers(least, size=(DRAWS, least))
    best = table[:, drawn].mean(axis=2).max(axis=0)
    low, high = np.percentile(best, [2.5, 97.5])
    return float(low), float(high)


def differences(arms: dict[str, Sequence[Arm]]) -> list[dict[str, Any]]:
    """Best at the end of the budget, each proposer less the first, paired by repeat."""
    first, *others = arms
    rows = []
    for other in others:
        pairs = [
            (one.best(len(one.scores)), two.best(len(two.scores)))
            for one, two in zip(arms[first], arms[other], strict=True)
        ]
        known = [one - two for one, two in pairs if one is not None and two is not None]
        found = effect(known, None)
        low, high = found.interval() if found is not None else (None, None)
        mean = fmean(known) if known else None
        rows.append(
            {"proposer": first, "against": other, "difference": mean, "low": low, "high": high, "n": len(known)}
        )
    return rows
