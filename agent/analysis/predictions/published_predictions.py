"""The predictions of five published reports, entered by hand, beside the scores that were published later.

A word ("higher", "at least", "preserved") becomes a direction and no more. A number becomes an interval of accuracies;
an open end is 1, the highest accuracy. No report states a confidence, so the intervals are scored as 80 % intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from agent.analysis.boards.board import PUBLISHED_NAME, PUBLISHED_PROTOCOL, Board, open_board
from agent.analysis.differences.paired_differences import Gap, PairedDifferences, open_paired_differences
from agent.analysis.predictions.calibration import Forecast, Interval, by_proposer, forecasts, no_change
from archive.files import read_shipped
from archive.store import Archive
from archive.tables.leaderboard_csv import PUBLISHED
from evaluator.outcomes import Outcome
from evaluator.tasks.names import TaskName
from evaluator.values import Value
from variants.contract import BASELINE, VariantName

PUBLISHED_PREDICTIONS = PUBLISHED.parents[1] / "ledger" / "published_reports.json"
PROPOSER = "published reports"


class Expectation(Value):
    """The prediction of a report for one task, in archer's words; never a quotation."""

    task: TaskName
    change: Literal["up", "not down", "unchanged"]
    low: float | None = Field(default=None, ge=-1, le=1)
    high: float | None = Field(default=None, ge=-1, le=1)
    relative_to: VariantName | None = None
    """The variant to whose score `low` and `high` are changes; None: `low` and `high` are accuracies."""
    note: str = Field(min_length=1)
    """The statement of the report, and how it became these fields."""

    @model_validator(mode="after")
    def _numbers_in_order(self) -> Self:
        if self.low is None and self.high is not None:
            raise ValueError("high without low: a report that states one number states the lower end")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("low is above high")
        if self.low is None and self.relative_to is not None:
            raise ValueError("relative_to without numbers")
        return self


class PublishedReport(Value):
    """One report and its variant."""

    report: int
    variant: VariantName
    parent: VariantName = BASELINE
    scored: bool
    """Whether the published leaderboard has a row of the variant."""
    expectations: tuple[Expectation, ...] = Field(min_length=1)


class PublishedPredictions(Value):
    """All reports that were entered."""

    source: str
    reports: tuple[PublishedReport, ...]


def read_published_predictions(path: Path = PUBLISHED_PREDICTIONS) -> PublishedPredictions:
    """Read the reports. Raises ArchiveError that names the file and the wrong field."""
    return read_shipped(path, PublishedPredictions, "mend the entry, or install archer again")


def published_forecasts(contrasts: PairedDifferences, ledger: PublishedPredictions) -> list[Forecast]:
    """The predictions of the reports beside the scores of a board, for the variants and tasks that the board has.

    The numbers of a report are accuracies under the published protocol. On a board of another protocol only the
    direction counts.
    """
    found, board = [], contrasts.board
    for report in ledger.reports:
        ours, theirs = board.scores.get(report.variant, {}), board.scores.get(report.parent, {})
        for expected in report.expectations:
            if expected.task in ours and expected.task in theirs:
                found.append(_forecast(report, expected, contrasts))
    return found


def _forecast(report: PublishedReport, expected: Expectation, contrasts: PairedDifferences) -> Forecast:
    task, board = expected.task, contrasts.board
    ours, theirs = board.scores[report.variant][task], board.scores[report.parent][task]
    interval = _interval(expected, board) if board.protocol == PUBLISHED_PROTOCOL else None
    centre = (interval.low + interval.high) / 2 if interval is not None and expected.high is not None else None
    return Forecast(
        proposer=PROPOSER,
        model=None,
        variant=report.variant,
        protocol=board.protocol,
        task=task,
        direction=expected.change,
        mean=centre,
        interval=interval,
        measured=ours.mean,
        parent=theirs.mean,
        outcome=_outcome(contrasts.gap(report.variant, report.parent, task)),
        no_change=no_change(board, task, theirs.mean, min(ours.n, theirs.n)),
        note=expected.note,
    )


def _interval(expected: Expectation, board: Board) -> Interval | None:
    if expected.low is None:
        return None
    origin = board.mean(expected.relative_to, expected.task) if expected.relative_to is not None else 0.0
    if origin is None:
        return None
    return Interval(origin + expected.low, 1.0 if expected.high is None else min(1.0, origin + expected.high))


def _outcome(gap: Gap) -> Outcome:
    """Better or worse if the difference to the parent is larger than noise makes it in 95 of 100 cases."""
    if gap.cannot_differ:
        return "inert"
    if not gap.beyond_noise:
        return "indistinguishable"
    return "better" if gap.difference > 0 else "worse"


UNSCORED_PROTOCOL = "quick"
"""The protocol under which the two variants were measured that a published report proposed and nobody scored."""


@dataclass(frozen=True)
class LedgerEntry:
    """One line of the calibration table: a proposer and its forecasts, oldest first."""

    title: str
    forecasts: Sequence[Forecast]


def ledger_entries(archive: Archive | None) -> list[LedgerEntry]:
    """Entries for the scored reports, for the reports never scored, then for each proposer of the archive.

    Raises ArchiveError and LeaderboardError for files that cannot be read.
    """
    board = cache(lambda protocol: open_board(protocol, archive))
    ledger = read_published_predictions()
    unscored = {report.variant for report in ledger.reports if not report.scored}
    published = published_forecasts(open_paired_differences(PUBLISHED_NAME, None), ledger)
    measured = published_forecasts(open_paired_differences(UNSCORED_PROTOCOL, None), ledger)
    own = forecasts(archive.history(), board) if archive is not None else []
    return [
        LedgerEntry("published reports, against the published scores", published),
        LedgerEntry(
            f"published reports never scored there, direction alone under {UNSCORED_PROTOCOL}",
            [forecast for forecast in measured if forecast.variant in unscored],
        ),
        *(LedgerEntry(f"{who} ({model})" if model else who, made) for (who, model), made in by_proposer(own).items()),
    ]
