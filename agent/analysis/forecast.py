"""One prediction beside what was measured: its interval, its score, and whether its direction was right."""

from dataclasses import dataclass
from typing import Literal

from archive.record import ROUNDING
from evaluator.tasks.registry import TaskName

CONFIDENCE = 0.8
"""Of every predicted interval (`archive.record.Prediction`); scored as this where a published report states none."""
NEGLIGIBLE = 0.005
"""A predicted change smaller than this predicts that nothing changes."""

Direction = Literal["up", "not down", "unchanged", "down"]
Outcome = Literal["better", "worse", "indistinguishable", "inert"]
Sign = Literal["right", "wrong", "open", "ruled out"]
SIGNS: dict[Sign, str] = {
    "right": "a change beyond noise, as predicted",
    "wrong": "a change beyond noise, in another direction",
    "open": "a change was predicted, and what was measured is within noise",
    "ruled out": "a change was predicted where structure allows none",
}


@dataclass(frozen=True)
class Interval:
    """Where a score is expected with some confidence."""

    low: float
    high: float
    confidence: float = CONFIDENCE

    def holds(self, x: float) -> bool:
        """Whether x lies inside, to the digits that predictions have."""
        return self.low - ROUNDING <= x <= self.high + ROUNDING

    def score(self, x: float) -> float:
        """Interval score, in accuracy; 0 is perfect, smaller is better. A width that is paid always, and misses dearly.

        S = (u - l) + 2/α (l - x)⁺ + 2/α (x - u)⁺ with α = 1 - confidence: Gneiting & Raftery 2007, eq. 43. It is
        proper: whoever states the quantiles that they believe in gets the best score that they can expect.
        """
        return self.high - self.low + 2 / (1 - self.confidence) * max(self.low - x, x - self.high, 0.0)


@dataclass(frozen=True)
class Forecast:
    """One prediction for one task beside what was measured."""

    proposer: str
    model: str | None
    variant: str
    protocol: str
    task: TaskName
    direction: Direction | None
    """Against the parent; None where the parent's score is not known."""
    mean: float | None
    interval: Interval | None
    """None where only a direction was predicted."""
    measured: float
    parent: float | None
    outcome: Outcome | None
    """Of the measured score against the parent's."""
    no_change: Interval | None
    """Where a replicate of the parent would lie: the forecast of whoever expects no effect at all."""
    note: str = ""

    @property
    def sign(self) -> Sign | None:
        """Whether the direction was right, where noise and structure let that be seen."""
        if self.direction is None or self.outcome is None:
            return None
        if self.outcome in ("inert", "indistinguishable"):
            if self.direction in ("unchanged", "not down"):
                return "right"
            return "ruled out" if self.outcome == "inert" else "open"
        allowed = ("up", "not down") if self.outcome == "better" else ("down",)
        return "right" if self.direction in allowed else "wrong"

    @property
    def claims_change(self) -> bool:
        """Whether more was predicted than that nothing gets worse."""
        return self.direction in ("up", "down")

    @property
    def exact(self) -> bool:
        """Whether one value was predicted: right by structure, and no test of judgement."""
        return self.interval is not None and self.interval.low == self.interval.high


def direction(change: float) -> Direction:
    """What a predicted change says."""
    if abs(change) < NEGLIGIBLE:
        return "unchanged"
    return "up" if change > 0 else "down"
