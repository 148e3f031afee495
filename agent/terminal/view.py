"""How values look on a terminal and in JSON answers: names, statuses, verdicts, scores."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import shorten
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from agent.analysis.differences.false_discovery import families
from agent.analysis.differences.fresh_seeds import FreshComparison
from agent.terminal.console import Cell, Fitting, Grid, clean
from agent.words import NO_EFFECT, accuracy, plain, signed, signed_interval, twin_words, verdict_words
from archive.records.lines import ProposalLine
from archive.records.record import Record
from archive.store import Archive
from evaluator.outcomes import CheckReport, Comparison, Finding, Score, Status, Verdict
from evaluator.protocols.built_in import protocol_of_today
from evaluator.tasks.names import TaskName
from variants.contract import short_name

Rows = Sequence[tuple[Cell, ...]]

STATUS_STYLE = {
    Status.SCORED: "green",
    Status.REJECTED: "red",
    Status.DUPLICATE: "yellow",
    Status.FAILED: "red",
    Status.PRUNED: "yellow",
    Status.INTERRUPTED: "yellow",
}
OUTCOME_STYLE = {"better": "green", "worse": "red", "indistinguishable": "dim", "inert": "cyan"}
OUTCOME_MARK = {"better": "▲", "worse": "▼", "indistinguishable": " ", "inert": "="}
"""The same where there are no colours."""
_FINDING_STYLE = {"pass": "green", "warn": "yellow", "fail": "bold red"}
_DIFF_STYLE = {"-": "red", "+": "green"}
DIFF = "diff"
"""Evidence that is a unified diff: lines of its own."""
DIFF_LINES = 10
MAX_EVIDENCE = 60
"""Characters of a piece of evidence; what is longer is for `--verbose` and JSON."""
INDENT = " " * 18
MAX_REASON = 160
"""Characters of the first failure's message in the last line; the whole of it stands above."""
MAX_MEMBERS = 60
"""Members of a module that are listed by name on a terminal."""


def status_cell(status: Status, no_effect: bool = False) -> tuple[str, str]:
    """The status of a proposal and its style; NO EFFECT in place of SCORED where the change never acted."""
    return (NO_EFFECT, "yellow") if no_effect else (str(status), STATUS_STYLE[status])


def name_markup(name: str) -> str:
    """The short name where Rich reads markup."""
    return escape(short_name(name))


def protocol_text(name: str, protocol_hash: str) -> str:
    """The protocol's name, with its hash where it is not the version of today: such scores do not compare."""
    return name if protocol_of_today(name, protocol_hash) is not None else f"{name}@{protocol_hash[:6]}"


def mean_text(line: ProposalLine) -> str:
    """Mean accuracy over the tasks, or nothing."""
    return "" if line.mean is None else accuracy(line.mean)


def stacked(items: Iterable[tuple[Sequence[Cell], Sequence[Cell]]]) -> RenderableType:
    """For narrow terminals: each item a line of cells, then lines of text indented under it."""
    blocks: list[RenderableType] = []
    for cells, lines in items:
        blocks.append(Text("  ").join(styled(cell) for cell in cells))
        blocks += [Padding(styled(line), (0, 0, 0, 5)) for line in lines]
    return Group(*blocks)


def fitted(header: Sequence[str], rows: Rows) -> RenderableType:
    """A table, or, where that is too wide, a block a row: its first cell, then a line a column."""
    wide = Grid(header, rows)
    names = max(len(name) for name in header[1:])
    blocks: list[tuple[tuple[Cell, ...], list[Cell]]] = [
        ((row[0],), [_named(name, cell, names) for name, cell in zip(header[1:], row[1:], strict=True)]) for row in rows
    ]
    return Fitting(((wide.width, lambda: wide), (0, lambda: stacked(blocks))))


def _named(name: str, cell: Cell, width: int) -> Cell:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return f"{'' if name.startswith('0 ') else name:{width}}  {text}", style


def styled(cell: Cell) -> Text:
    """A cell as Text."""
    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text(clean(text), style, overflow="fold")


def record_summary(record: Record, commit: str | None) -> dict[str, Any]:
    """A record as `--json` prints it."""
    proposal = record.proposal
    return {
        "id": record.number,
        "name": proposal.variant.name,
        "status": record.status,
        "reason": record.reason,
        "no_effect": record.no_effect,
        "proposer": proposal.provenance.proposer,
        "parent": proposal.parent,
        "commit": commit,
        "protocol": {"name": record.protocol, "hash": record.protocol_hash},
        "scores": scores_json(record.scorecard.scores) if record.scorecard else None,
        "verdict": [verdict.model_dump(mode="json") for verdict in record.verdicts],
        "predictions": {task: p.model_dump(mode="json") for task, p in proposal.predictions.items()},
        "cost": record.cost.model_dump(mode="json"),
    }


def outline_summary(outline: Mapping[str, Any], commit: str | None) -> dict[str, Any]:
    """The same of an outline as plain JSON."""
    proposal, card = outline["proposal"], outline["scorecard"]
    return {
        "id": outline["number"],
        "name": proposal["variant"]["name"],
        "status": outline["status"],
        "reason": outline["reason"],
        "no_effect": outline["no_effect"],
        "proposer": proposal["provenance"]["proposer"],
        "parent": proposal["parent"],
        "commit": commit,
        "protocol": {"name": outline["protocol"], "hash": outline["protocol_hash"]},
        "scores": card["scores"] if card else None,
        "verdict": outline["verdicts"],
        "predictions": proposal["predictions"],
        "cost": outline["cost"],
    }


def scores_json(scores: Mapping[TaskName, Score]) -> dict[str, Any]:
    """Scores by task as plain JSON."""
    return {task: score.model_dump(mode="json") for task, score in scores.items()}


def score_text(score: Score | None) -> str:
    """`0.412 ±0.012`, or a dash where there is none."""
    if score is None:
        return "–"
    return accuracy(score.mean) + (f" ±{accuracy(score.half_width)}" if score.n > 1 else "")


def loss_text(loss: float | None) -> str:
    """`1.303`, in nats, or a dash where there is none."""
    return "–" if loss is None else f"{loss:.3f}"


def difference_text(found: Comparison) -> str:
    """`+0.012 [-0.004, +0.028] within noise`: a difference, its interval and the verdict."""
    interval = f" {signed_interval(found.low, found.high)}" if found.n > 1 and found.outcome != "inert" else ""
    return f"{signed(found.difference)}{interval} {verdict_words(found.outcome, found.n)}"


def verdict_table(
    title: str,
    scores: Mapping[TaskName, Score],
    verdicts: Sequence[Verdict],
    tasks: Sequence[TaskName],
    floor: Mapping[TaskName, float],
    losses: Mapping[TaskName, float],
) -> Table:
    """Scores per task beside the test loss, the floor and the paired differences to each reference."""
    table = Table(
        "task",
        "score",
        "test loss",
        "n",
        "floor",
        *(f"vs {name_markup(v.against)}" for v in verdicts),
        title=title,
        title_justify="left",
    )
    for task in tasks:
        cells: list[str | Text] = []
        for verdict in verdicts:
            if (found := verdict.tasks.get(task)) is None:
                cells.append("–")
                continue
            cells.append(Text(difference_text(found), OUTCOME_STYLE[found.outcome]))
        score = scores.get(task)
        low = accuracy(floor[task]) if task in floor else "–"
        seeds = str(score.n) if score else "–"
        table.add_row(task, score_text(score), loss_text(losses.get(task)), seeds, low, *cells)
    return table


def finding_lines(finding: Finding, verbose: bool = False) -> list[str]:
    """One finding with its counterexample; verbose: with all of its evidence, else with what fits into some lines."""
    style = _FINDING_STYLE[finding.status]
    lines = [f"[{style}]{finding.status:4}[/] {finding.check:12} {escape(finding.message)}"]
    if finding.status == "pass":
        return lines
    said = finding.check == "state" and not verbose  # its message has all of its evidence
    evidence = {} if said else {key: plain(value) for key, value in finding.evidence.items() if key != DIFF}
    shown = ", ".join(f"{key} {value}" for key, value in evidence.items() if verbose or len(value) <= MAX_EVIDENCE)
    lines[0] += f" [dim]({escape(shown)})[/]" if shown else ""
    diff = str(finding.evidence.get(DIFF, "")).splitlines()
    kept = diff if verbose else diff[:DIFF_LINES]
    lines += [f"{INDENT}[{_DIFF_STYLE.get(line[:1], 'dim')}]{escape(clean(line))}[/]" for line in kept]
    if len(diff) > len(kept):
        lines.append(f"{INDENT}[dim]{len(diff) - len(kept)} more lines: archer check --verbose, or --json[/]")
    return lines


def check_lines(report: CheckReport, verbose: bool = False) -> list[str]:
    """The whole report: failures first, then warnings and what passed; the verdict with its reason is the last line."""
    order = {"fail": 0, "warn": 1, "pass": 2}
    found = sorted(report.findings, key=lambda finding: order[finding.status])
    lines = [line for finding in found for line in finding_lines(finding, verbose)]
    if report.no_op:
        lines.append("[yellow]a no-op: computes what its parent does at every setting, so there is nothing to train[/]")
    if report.duplicate_of:
        lines.append(f"[yellow]{escape(twin_text(report))}[/]")
    if told := inherited_text(report):
        lines.append(f"[cyan]{told}[/]")
    return [*lines, _verdict_line(report)]


def twin_text(report: CheckReport) -> str:
    """Which known variant computes the same."""
    return f"computes {twin_words(report.duplicate_of or '', report.multiple)}"


def _verdict_line(report: CheckReport) -> str:
    """The verdict, and why: the first failure, or that there is none."""
    style = "green" if report.verdict == "pass" else "bold red"
    failures = [found for found in report.findings if found.status == "fail"]
    warnings = [found.check for found in report.findings if found.status == "warn"]
    if failures:
        others = f", and {', '.join(found.check for found in failures[1:])}" if failures[1:] else ""
        reason = f"{failures[0].check}: {shorten(failures[0].message, MAX_REASON, placeholder=' …')}{others}"
    else:
        reason = "no check failed" + (f"; warnings of {', '.join(warnings)}" if warnings else "")
    where = f"sandbox grade {report.sandbox_grade}, {report.seconds:.1f} s"
    return f"[{style}]{report.verdict}[/]  {report.name}: {escape(reason)} ({where})"


def allowed_lines(allowed: Mapping[str, Mapping[str, Sequence[str]] | Sequence[str]]) -> Iterator[str]:
    """What the fence lets a kernel use, a line a module or kind of name."""
    for kind, names in allowed.items():
        if isinstance(names, Mapping):
            yield f"[bold]{kind}[/]"
            for module, members in names.items():
                count = f"{len(members)} names that compute; --json lists them"
                yield f"  {module}: {', '.join(members) if len(members) <= MAX_MEMBERS else count}"
        else:
            yield f"[bold]{kind}[/]: {', '.join(names)}"


def inherited_text(report: CheckReport) -> str:
    """On which tasks, and at which settings of others, a variant cannot differ from its parent; empty for none."""
    partly = [
        f"{task} at {', '.join(settings)}"
        for task, settings in report.inert_settings.items()
        if task not in report.inert_tasks
    ]
    if not report.inert_tasks and not partly:
        return ""
    return f"cannot differ from its parent on {'; '.join([*report.inert_tasks, *partly])}: results are inherited"


def summaries(archive: Archive, lines: Sequence[ProposalLine]) -> list[dict[str, Any]]:
    """Proposals as `--json` prints them, each with its tests."""
    tests: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    names = {line.name for line in lines}
    for protocol in {line.protocol for line in lines}:
        for rival, family in families(archive, protocol, single=False).items():
            for test in family.means.of(names):
                tests[protocol, test.name][rival] = test.model_dump(mode="json")
    commits = archive.commits()
    return [
        outline_summary(archive.raw_outline(line.id), commits.get(line.id))
        | {"tests": tests.get((line.protocol, line.name), {})}
        for line in lines
    ]


def fresh_json(found: FreshComparison) -> dict[str, Any]:
    """As `archer evaluate --confirm --json` prints it."""
    first, fresh = (
        each.model_dump(mode="json") if each else None for each in (found.first_difference, found.fresh_difference)
    )
    return {"first_scores": scores_json(found.first), "difference": {"first": first, "fresh": fresh}}
