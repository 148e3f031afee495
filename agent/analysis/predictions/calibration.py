"""How good predictions were: direction, coverage of the interval, error, interval score; per proposer and over time."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from agent.analysis.boards.board import Board
from archive.records.outline import Outline
from archive.records.record import ROUNDING, Prediction, Record
from evaluator.outcomes import Comparison, Outcome
from evaluator.tasks.names import TaskName

CONFIDENCE = 0.8
"""Confidence of every predicted interval (see `Prediction`), also of published reports that state none."""
NEGLIGIBLE = 0.005
"""A predicted change smaller than this predicts that nothing changes."""

Direction = Literal["up", "not down", "unchanged", "down"]
Sign = Literal["right", "wrong", "open", "ruled out"]
SIGNS: dict[Sign, str] = {
    "right": "a change beyond noise, as predicted",
    "wrong": "a change beyond noise, in another direction",
    "open": "a change was predicted, and what was measured is within noise",
    "ruled out": "a change was predicted where structure allows none",
}


@dataclass(frozen=True)
class Interval:
    """The interval in which a score is expected with some confidence."""

    low: float
    high: float
    confidence: float = CONFIDENCE

    def holds(self, x: float) -> bool:
        """Whether x lies in the interval, to the digits that predictions have."""
        return self.low - ROUNDING <= x <= self.high + ROUNDING

    def score(self, x: float) -> float:
        """Interval score, in accuracy; 0 is perfect, smaller is better: the width, plus a penalty if x lies outside.

        S = (u - l) + 2/α (l - x)⁺ + 2/α (x - u)⁺ with α = 1 - confidence: Gneiting & Raftery 2007, eq. 43. It is
        proper: the quantiles that a forecaster believes in give the best expected score.
        """
        return self.high - self.low + 2 / (1 - self.confidence) * max(self.low - x, x - self.high, 0.0)


@dataclass(frozen=True)
class Forecast:
    """One prediction for one task, and the measured score."""

    proposer: str
    model: str | None
    variant: str
    protocol: str
    task: TaskName
    direction: Direction | None
    """Direction of the predicted change to the parent; None if the parent's score is not known."""
    mean: float | None
    interval: Interval | None
    """None if only a direction was predicted."""
    measured: float
    parent: float | None
    outcome: Outcome | None
    """The verdict on the measured score against the parent's score."""
    no_change: Interval | None
    """The interval of a replicate of the parent: the forecast that nothing changes."""
    note: str = ""

    @property
    def sign(self) -> Sign | None:
        """Whether the direction was right; None if none was predicted, or nothing was compared."""
        return None if self.direction is None or self.outcome is None else sign_of(self.direction, self.outcome)

    @property
    def claims_change(self) -> bool:
        """Whether a change was predicted, not only that nothing gets worse."""
        return self.direction in ("up", "down")

    @property
    def exact(self) -> bool:
        """Whether a single value was predicted: it is right by structure, so it does not test the proposer."""
        return self.interval is not None and self.interval.low == self.interval.high


def sign_of(predicted: Direction, outcome: Outcome) -> Sign:
    """Whether a predicted direction was right, wrong, open or ruled out, given noise and structure."""
    if outcome in ("inert", "indistinguishable"):
        if predicted in ("unchanged", "not down"):
            return "right"
        return "ruled out" if outcome == "inert" else "open"
    allowed = ("up", "not down") if outcome == "better" else ("down",)
    return "right" if predicted in allowed else "wrong"


def direction(change: float) -> Direction:
    """The direction of a predicted change of accuracy."""
    if abs(change) < NEGLIGIBLE:
        return "unchanged"
    return "up" if change > 0 else "down"


Key = tuple[str, str | None]
"""Proposer and model."""


@dataclass(frozen=True)
class Summary:
    """Summary of many forecasts. Exact forecasts are left out. A mean over no forecasts is None."""

    n: int
    exact: int
    intervals: int
    inside: int
    error: float | None
    """Mean absolute error of the predicted means, in accuracy."""
    error_of_no_change: float | None
    """The same error of the forecast that nothing changes (the parent's score), over the same forecasts."""
    score: float | None
    """Mean interval score."""
    score_of_no_change: float | None
    signs: Mapping[Sign, int]
    """How often each sign occurred among the predicted changes."""
    steady: int
    """How often no change, or no loss, was predicted."""
    steady_right: int

    @property
    def coverage(self) -> float | None:
        """Share of the intervals that held the measured score; `CONFIDENCE` of the intervals should."""
        return self.inside / self.intervals if self.intervals else None

    @property
    def skill(self) -> float | None:
        """1 - score / score of the forecast of no change. Above 0: better; 1: perfect (Gneiting & Raftery 2007)."""
        if self.score is None or not self.score_of_no_change:
            return None
        return 1 - self.score / self.score_of_no_change


def summarise(forecasts: Iterable[Forecast]) -> Summary:
    """Coverage, error, interval score and signs of some forecasts."""
    found = list(forecasts)
    judged = [f for f in found if not f.exact]
    ranged = [(f, f.interval) for f in judged if f.interval is not None]
    known = [(f, interval, f.no_change) for f, interval in ranged if f.no_change is not None]
    means = [(f.measured, f.mean, f.parent) for f in judged if f.mean is not None and f.parent is not None]
    return Summary(
        n=len(found),
        exact=len(found) - len(judged),
        intervals=len(ranged),
        inside=sum(interval.holds(f.measured) for f, interval in ranged),
        error=_mean(abs(mean - x) for x, mean, _ in means),
        error_of_no_change=_mean(abs(parent - x) for x, _, parent in means),
        score=_mean(interval.score(f.measured) for f, interval, _ in known),
        score_of_no_change=_mean(naive.score(f.measured) for f, _, naive in known),
        signs=dict(Counter(f.sign for f in judged if f.sign is not None and f.claims_change)),
        steady=sum(f.sign is not None and not f.claims_change for f in judged),
        steady_right=sum(f.sign == "right" and not f.claims_change for f in judged),
    )


def by_proposer(forecasts: Iterable[Forecast]) -> dict[Key, list[Forecast]]:
    """The forecasts of each proposer and model, in the order of `forecasts`."""
    found: dict[Key, list[Forecast]] = {}
    for forecast in forecasts:
        found.setdefault((forecast.proposer, forecast.model), []).append(forecast)
    return found


def over_time(forecasts: Sequence[Forecast]) -> list[tuple[str, Summary]]:
    """Per variant, the summary of all forecasts up to that variant. forecasts: in the order they were made."""
    names = list(dict.fromkeys(forecast.variant for forecast in forecasts))
    ends = {name: max(i for i, f in enumerate(forecasts) if f.variant == name) + 1 for name in names}
    return [(name, summarise(forecasts[: ends[name]])) for name in names]


def forecasts(records: Iterable[Record | Outline], board: Callable[[str], Board]) -> list[Forecast]:
    """The predictions of scored records, oldest first. board: from a protocol to its board, for the noise of a seed."""
    found = []
    for record in sorted(records, key=lambda record: record.number):
        scores = record.scorecard.scores if record.scorecard else {}
        verdict = next((v for v in record.verdicts if v.against == record.proposal.parent), None)
        for task, predicted in record.proposal.predictions.items():
            if task in scores:
                against = verdict.tasks.get(task) if verdict else None
                found.append(_forecast(record, task, predicted, scores[task].mean, against, board(record.protocol)))
    return found


def no_change(board: Board, task: TaskName, parent: float, n: int) -> Interval | None:
    """The interval for a mean of n seeds if the variant computes what its parent does.

    parent: the parent's mean, which is itself a mean of n seeds with noise. None if the noise is not known.
    """
    if task not in board.spreads:
        return None
    half = board.half_width(task, confidence=CONFIDENCE) * (2 / n) ** 0.5
    return Interval(max(0.0, parent - half), min(1.0, parent + half))


def _forecast(
    record: Record | Outline,
    task: TaskName,
    predicted: Prediction,
    measured: float,
    against: Comparison | None,
    board: Board,
) -> Forecast:
    parent = measured - against.difference if against is not None else None
    return Forecast(
        proposer=record.proposal.provenance.proposer,
        model=record.proposal.provenance.model,
        variant=record.proposal.variant.name,
        protocol=record.protocol,
        task=task,
        direction=None if parent is None else direction(predicted.mean - parent),
        mean=predicted.mean,
        interval=Interval(predicted.low, predicted.high),
        measured=measured,
        parent=parent,
        outcome=against.outcome if against is not None else None,
        no_change=no_change(board, task, parent, against.n) if against is not None and parent is not None else None,
    )


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return fmean(found) if found else None
