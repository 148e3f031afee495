"""`archer calibration`: how good the predictions were, of the published reports and of every proposer of an archive."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from agent.analysis.predictions.calibration import (
    CONFIDENCE,
    SIGNS,
    Summary,
    over_time,
    summarise,
)
from agent.analysis.predictions.published_predictions import (
    LedgerEntry,
    ledger_entries,
)
from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption, archive_or_shipped
from agent.reports.calibration_plot import plot_calibration
from agent.terminal.speech import Speech
from agent.terminal.view import fitted
from variants.contract import short_name


def calibration(
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw it to this file: .png, .svg or .pdf.")
    ] = None,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show how good the predictions were.

    It counts directions that were right and intervals that held, and shows errors and interval scores. The first entry
    is the published reports. The others are the proposers of the archive, over all their scored proposals.

    Example: archer calibration --plot calibration.svg
    """
    speech = Speech(as_json, quiet)
    entries = ledger_entries(archive_or_shipped(archive_path, speech))
    if plot is not None:
        plot_calibration([(entry.title, entry.forecasts) for entry in entries], plot)
        speech.progress.print(f"drawn to {plot}", markup=False)
    if as_json:
        speech.answer({"confidence": CONFIDENCE, "entries": [_entry_json(entry) for entry in entries]})
        return
    speech.out.print(_table(entries))
    for line in _course(entries[2:]):
        speech.out.print(line, markup=False)


def _entry_json(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "title": entry.title,
        "summary": _summary_json(summarise(entry.forecasts)),
        "over_time": [{"after": name} | _summary_json(found) for name, found in over_time(entry.forecasts)],
        "forecasts": [asdict(forecast) | {"sign": forecast.sign} for forecast in entry.forecasts],
    }


def _summary_json(summary: Summary) -> dict[str, Any]:
    return asdict(summary) | {"coverage": summary.coverage, "skill": summary.skill}


def _table(entries: Sequence[LedgerEntry]) -> RenderableType:
    legend = "; ".join(f"{sign}: {meaning}" for sign, meaning in SIGNS.items())
    header = (
        "whose", "predictions", f"intervals that held ({CONFIDENCE:.0%} should)", "error", "of no change",
        "interval score", "of no change", "skill", *SIGNS, "no loss, right",
    )  # fmt: skip
    return Group(
        Text(
            "predictions beside results; smaller errors and scores are better, a skill above 0 beats no change",
            "italic",
        ),
        fitted(header, [_row(entry) for entry in entries]),
        Text(f"Changes predicted: {legend}. Exact predictions of an inherited score count in none of this.", "dim"),
    )


def _row(entry: LedgerEntry) -> tuple[str, ...]:
    found = summarise(entry.forecasts)
    held = f"{found.inside} of {found.intervals} ({found.coverage:.0%})" if found.coverage is not None else "–"
    numbers = (found.error, found.error_of_no_change, found.score, found.score_of_no_change)
    return (
        short_name(entry.title),
        f"{found.n}" + (f", {found.exact} exact" if found.exact else ""),
        held,
        *("–" if number is None else f"{number:.3f}" for number in numbers),
        "–" if found.skill is None else f"{found.skill:+.2f}",
        *(str(found.signs.get(sign, 0)) for sign in SIGNS),
        f"{found.steady_right} of {found.steady}",
    )


def _course(entries: Sequence[LedgerEntry]) -> list[str]:
    """How coverage and error went from proposal to proposal."""
    lines = []
    for entry in entries:
        course = [found for _, found in over_time(entry.forecasts) if found.coverage is not None]
        if len(course) > 1:
            shown = course if len(course) <= 10 else [course[i * (len(course) - 1) // 9] for i in range(10)]
            told = ", ".join(f"{found.coverage:.0%}" for found in shown)
            lines.append(f"{entry.title}, intervals that held, all so far, over {len(course)} proposals: {told}")
    return lines
