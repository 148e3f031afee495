"""Best-so-far curves of proposers that are compared, with intervals, and the differences at the end of the budget."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np

from agent.comparing.arms import Arm
from evaluator.statistics.moderated_t_test import effect
from evaluator.values import Value

DRAWS = 1_000
"""Of the bootstrap over training seeds."""


class Point(Value):
    """Best mean of all tasks among the proposals so far, over repeats, with a 95 % interval where there can be one."""

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
    asking_minutes: float
    """Wall time of the language model's replies, which is no part of the budget."""
    interval: str
    by_proposal: tuple[Point, ...]
    by_minute: tuple[Point, ...]


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
        asking_minutes=sum(arm.asking_minutes for arm in arms),
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
    """Best at the end of the budget, the first proposer less each other one, paired by repeat."""
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
