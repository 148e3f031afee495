"""`archer show`: one proposal, whole."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.markdown import Markdown
from rich.text import Text

from agent.analysis.boards.rungs import rungs
from agent.analysis.boards.sizes import record_size
from agent.analysis.differences.false_discovery import families, tests_json
from agent.commands.open_archive import existing_archive
from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, NoPagerOption, QuietOption
from agent.terminal.console import clean
from agent.terminal.discoveries import confirmation_lines, rung_lines, task_lines, tests_lines
from agent.terminal.measurements import measurements
from agent.terminal.speech import Speech
from agent.terminal.view import check_lines, protocol_text, record_summary, status_cell
from archive.records.record import Proposal, Record
from evaluator.statistics.lazy_trials import of_version
from evaluator.statistics.scorecards import losses_by_task, scorecard
from variants.contract import BASELINE, REFERENCE, short_name


def show(
    reference: Annotated[
        str, typer.Argument(metavar="ID", help="A number, a name or a short name, as `archer list` shows them.")
    ],
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    no_pager: NoPagerOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show one proposal: results, checks, report.

    It shows predictions beside results, learning curves, verdicts, every check, and who proposed it.

    Example: archer show 1
    """
    speech = Speech(as_json, quiet)
    archive = existing_archive(archive_path).held()
    record = archive.record(reference)
    report, commit = archive.report(record), archive.commit_of(record)
    name = record.proposal.variant.name
    test_families = families(archive, record.protocol, single=False)
    confirmation = archive.confirmations(record.protocol).get(name)
    climbed = rungs(archive, name, dict.fromkeys((record.proposal.parent, BASELINE, REFERENCE)))
    if as_json:
        check = record.check.model_dump(mode="json") if record.check else None
        provenance = record.proposal.provenance.model_dump(mode="json")
        more: dict[str, object] = {"report": report, "check": check, "provenance": provenance}
        more |= {"tests": tests_json(name, test_families), "size": record_size(record).json()}
        more |= {"confirmation": confirmation.model_dump(mode="json") if confirmation else None}
        more |= {"test_losses": losses_by_task(record.trials)}
        more |= {"rungs": [rung.model_dump(mode="json") for rung in climbed]}
        speech.answer(record_summary(record, commit) | more)
        return
    on_terminal = speech.out.is_terminal
    text: RenderableType = Markdown(clean(report), hyperlinks=False) if on_terminal else Text(clean(report))
    lines = (
        [
            *tests_lines(name, test_families, record.protocol),
            *confirmation_lines([confirmation] if confirmation else []),
        ]
        if record.scorecard
        else []
    )
    fresh_trials = of_version(archive.fresh_trials(record.protocol).get(name, ()), record.protocol_hash)
    if record.scorecard and fresh_trials:
        lines += task_lines(record.scorecard.scores, scorecard(fresh_trials).scores)
    lines += rung_lines(climbed, record.protocol)
    tests = map(Text.from_markup, lines)
    parts = (*_head(record, commit), *measurements(record), *tests, *_checks(record), Text(), text)
    speech.show(*parts, pager=not no_pager)


def _head(record: Record, commit: str | None) -> Iterator[RenderableType]:
    proposal, cost = record.proposal, record.cost
    provenance = proposal.provenance
    price = "" if not provenance.model else ", price unknown" if cost.usd is None else f", {cost.usd:.4f} USD"
    yield Text.assemble(
        status_cell(record.status, record.no_effect), f" {record.number}  ", (short_name(proposal.variant.name), "bold")
    )
    lines = [
        proposal.title,
        *([record.reason] if record.reason else []),
        f"{_parents(proposal)}; protocol {protocol_text(record.protocol, record.protocol_hash)}",
        *([f"size of a mixer: {size}"] if (size := record_size(record).words) else []),
        f"proposer {provenance.proposer}{f' ({provenance.model})' if provenance.model else ''}, "
        f"seed {provenance.seed}; {cost.cpu_seconds:.0f} CPU s, {cost.wall_seconds:.0f} s{price}",
        f"commit {(commit or 'none')[:12]}, created {record.created}",
    ]
    yield from (Text(clean(line), "dim" if line.startswith("commit") else "") for line in lines)


def _parents(proposal: Proposal) -> str:
    second = f", with a part of {short_name(proposal.second_parent)}" if proposal.second_parent else ""
    return f"parent {short_name(proposal.parent)}{second}"


def _checks(record: Record) -> Iterator[RenderableType]:
    if record.check is None:
        return
    yield Text()
    yield Text("Checks", "bold")
    yield from map(Text.from_markup, check_lines(record.check))
