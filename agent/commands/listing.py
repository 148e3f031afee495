"""`archer list`: the proposals of an archive."""

from typing import Annotated

import typer
from rich.table import Table

from agent.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption, Speech
from agent.subject import existing_archive
from agent.tried import summaries
from agent.view import STATUS_STYLE, short_name
from evaluator.outcomes import Status


def list_(
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    status: Annotated[Status | None, typer.Option(help="Only proposals that ended so.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List the proposals of an archive, oldest first.

    Example: archer list --status SCORED
    """
    speech = Speech(as_json, quiet)
    found = existing_archive(archive)
    records = [record for record in found.records() if status in (None, record.status)]
    if as_json:
        speech.answer(summaries(found, records))
        return
    table = Table("ID", "proposal", "status", "parent", "proposer", "protocol", "mean", box=None, pad_edge=False)
    for record in records:
        scores = record.scorecard.scores if record.scorecard else {}
        mean = f"{sum(s.mean for s in scores.values()) / len(scores):.3f}" if scores else ""
        table.add_row(
            str(record.number),
            short_name(record.proposal.variant.name),
            f"[{STATUS_STYLE[record.status]}]{record.status}[/]",
            short_name(record.proposal.parent),
            record.proposal.provenance.proposer,
            record.protocol,
            mean,
        )
    speech.out.print(table if records else "no proposals yet; next: archer propose --n 5")
