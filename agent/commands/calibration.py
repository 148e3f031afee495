"""`archer calibration`: how good the predictions were, of the published reports and of every proposer of an archive."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from agent.analysis.board import PUBLISHED_NAME, open_board
from agent.analysis.calibration import Summary, by_proposer, forecasts, over_time, summarise
from agent.analysis.forecast import CONFIDENCE, SIGNS, Forecast
from agent.analysis.paired_differences import open_paired_differences
from agent.analysis.published_predictions import published_forecasts, read_published_predictions
from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption, Speech
from agent.reports.calibration_plot import plot_calibration
from agent.search.find_variant import archive_if_any
from agent.terminal.view import name_markup
from archive.store import Archive

UNSCORED_PROTOCOL = "quick"
"""Where the two variants were measured that were proposed in a published report and never scored there."""


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: whose predictions, and what became of them, oldest first."""

    title: str
    forecasts: Sequence[Forecast]


def calibration(
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it, too: FILE.png, .svg or .pdf.")] = None,
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show how good predictions were: direction, share of intervals that held, error, interval score.

    The first entry is what the published reports expected, beside what was published after. The others are the
    proposers of the archive, over all proposals of theirs that were scored.
    Example: archer calibration --plot calibration.svg
    """
    speech = Speech(as_json, quiet)
    entries = ledger_entries(archive_if_any(archive))
    if plot is not None:
        plot_calibration([(entry.title, entry.forecasts) for entry in entries], plot)
        speech.progress.print(f"drawn to {plot}", markup=False)
    if as_json:
        speech.answer({"confidence": CONFIDENCE, "entries": [_entry_json(entry) for entry in entries]})
        return
    speech.out.print(_table(entries))
    for line in _course(entries[2:]):
        speech.out.print(line, markup=False)


def ledger_entries(archive: Archive | None) -> list[Entry]:
    """The published reports, scored and unscored ones apart, then each proposer of an archive.

    Raises ArchiveError and LeaderboardError for what cannot be read.
    """
    board = cache(lambda protocol: open_board(protocol, archive))
    ledger = read_published_predictions()
    unscored = {report.variant for report in ledger.reports if not report.scored}
    published = published_forecasts(open_paired_differences(PUBLISHED_NAME, None), ledger)
    measured = published_forecasts(open_paired_differences(UNSCORED_PROTOCOL, None), ledger)
    own = forecasts(archive.outlines(), board) if archive is not None else []
    return [
        Entry("published reports, against the published scores", published),
        Entry(
            f"published reports never scored there, direction alone under {UNSCORED_PROTOCOL}",
            [forecast for forecast in measured if forecast.variant in unscored],
        ),
        *(Entry(f"{who} ({model})" if model else who, made) for (who, model), made in by_proposer(own).items()),
    ]


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {
        "title": entry.title,
        "summary": _summary_json(summarise(entry.forecasts)),
        "over_time": [{"after": name} | _summary_json(found) for name, found in over_time(entry.forecasts)],
        "forecasts": [asdict(forecast) | {"sign": forecast.sign} for forecast in entry.forecasts],
    }


def _summary_json(summary: Summary) -> dict[str, Any]:
    return asdict(summary) | {"coverage": summary.coverage, "skill": summary.skill}


def _table(entries: Sequence[Entry]) -> Table:
    legend = "; ".join(f"{sign}: {meaning}" for sign, meaning in SIGNS.items())
    table = Table(
        "whose", "predictions", f"intervals that held ({CONFIDENCE:.0%} should)", "error", "of no change",
        "interval score", "of no change", "skill", *SIGNS, "no loss, right",
        title="predictions beside results; smaller errors and scores are better, a skill above 0 beats no change",
        caption=f"Changes predicted: {legend}. Exact predictions of an inherited score count in none of this.",
        title_justify="left", caption_justify="left", box=None,
    )  # fmt: skip
    for entry in entries:
        found = summarise(entry.forecasts)
        held = f"{found.inside} of {found.intervals} ({found.coverage:.0%})" if found.coverage is not None else "–"
        numbers = (found.error, found.error_of_no_change, found.score, found.score_of_no_change)
        table.add_row(
            name_markup(entry.title),
            f"{found.n}" + (f", {found.exact} exact" if found.exact else ""),
            held,
            *("–" if number is None else f"{number:.3f}" for number in numbers),
            "–" if found.skill is None else f"{found.skill:+.2f}",
            *(str(found.signs.get(sign, 0)) for sign in SIGNS),
            f"{found.steady_right} of {found.steady}",
        )
    return table


def _course(entries: Sequence[Entry]) -> list[str]:
    """How coverage and error went from proposal to proposal."""
    lines = []
    for entry in entries:
        course = [found for _, found in over_time(entry.forecasts) if found.coverage is not None]
        if len(course) > 1:
            shown = course if len(course) <= 10 else [course[i * (len(course) - 1) // 9] for i in range(10)]
            told = ", ".join(f"{found.coverage:.0%}" for found in shown)
            lines.append(f"{entry.title}, intervals that held, all so far, over {len(course)} proposals: {told}")
    return lines
