"""`archer show`: one proposal, whole."""

from typing import Annotated

import typer
from rich.markdown import Markdown

from agent.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption, Speech
from agent.subject import existing_archive
from agent.tried import families, tests_json, tests_lines
from agent.view import STATUS_STYLE, check_lines, record_summary, verdict_table
from archive.folders import PROPOSALS


def show(
    reference: Annotated[str, typer.Argument(metavar="ID", help="Number, folder name or variant name.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show one proposal: report, predictions beside results, checks, provenance.

    Example: archer show 1
    """
    speech = Speech(as_json, quiet)
    found = existing_archive(archive)
    record = found.record(reference)
    report = (found.root / PROPOSALS / record.id / "report.md").read_text(encoding="utf-8")
    commit = found.commit_of(record)
    name, tried = record.proposal.variant.name, families(found, record.protocol)
    if as_json:
        check = record.check.model_dump(mode="json") if record.check else None
        provenance = record.proposal.provenance.model_dump(mode="json")
        more = {"report": report, "check": check, "provenance": provenance, "tests": tests_json(name, tried)}
        speech.answer(record_summary(record, commit) | more)
        return
    out = speech.out
    out.print(Markdown(report) if out.is_terminal else report, markup=False)
    out.rule("record")
    out.print(
        f"[{STATUS_STYLE[record.status]}]{record.status}[/] {record.id}  commit {commit}  created {record.created}"
    )
    if record.scorecard:
        out.print(verdict_table("measured", record.scorecard.scores, record.verdicts))
        for line in tests_lines(name, tried):
            out.print(line)
    if record.check:
        out.print("\n".join(check_lines(record.check)))
    cost = record.cost
    price = "price unknown" if cost.usd is None else f"{cost.usd:.4f} USD"
    model = record.proposal.provenance.model
    out.print(
        f"proposer {record.proposal.provenance.proposer}{f' ({model})' if model else ''}, seed "
        f"{record.proposal.provenance.seed}; protocol {record.protocol} {record.protocol_hash[:12]}; "
        f"{cost.cpu_seconds:.0f} CPU s, {cost.wall_seconds:.0f} s" + (f", {price}" if model else ""),
        markup=False,
    )
