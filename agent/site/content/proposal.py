"""What the page of one proposal shows, drawn from its record and its neighbours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agent.site.content.code import difference, highlighted
from agent.site.content.curves import intervals, learning_curves
from agent.site.content.provenance import exchange_shown, provenance, trial_shown
from agent.site.content.row import UNIT, Row, Span, spans
from agent.site.content.text import markdown, seen, visible
from agent.words import plain
from archive.records.record import Record
from evaluator.outcomes import Finding, Trial
from evaluator.protocols.built_in import tasks_of
from evaluator.statistics.scorecards import scorecard
from evaluator.tasks.names import TaskName
from variants.source import loop_source

_ORDER = {"fail": 0, "warn": 1, "pass": 2}


@dataclass(frozen=True)
class Parent:
    """What a proposal is compared with: its parent's code and training runs under the same protocol."""

    source: str
    trials: Sequence[Trial]


def proposal_page(
    record: Record, row: Row, report: str, parent: Parent | None, commit: str | None, fresh: Sequence[Trial] = ()
) -> dict[str, Any]:
    """Everything that the template needs but the links. `fresh`: its trials on fresh seeds."""
    source = record.proposal.variant.source
    loop, whole = [], []
    if parent is not None:
        old, new = visible(parent.source), visible(source)
        loop = difference(old, new, (_loop_lines(parent.source), _loop_lines(source)))
        whole = difference(old, new)
    tasks = tasks_of(record.protocol)
    curves = learning_curves(record.trials, parent.trials if parent else (), tasks)
    return {
        "row": row,
        "record": record,
        "name": record.proposal.variant.name,
        "why_all": visible(record.proposal.motivation, 4_000),
        "mathematics": visible(record.proposal.mathematics, 4_000),
        "why": {task: visible(p.why, 500) for task, p in record.proposal.predictions.items()},
        "loop": loop,
        "whole": whole,
        "source": highlighted(visible(source)),
        "findings": _findings(record.check.findings if record.check else ()),
        "curves": curves,
        "figures": {"curves": curves, "intervals": intervals(row, tasks), "unit": UNIT},
        "again": _again(row, fresh, tasks),
        "report": markdown(report),
        "provenance": provenance(record, commit),
        "exchanges": [exchange_shown(exchange) for exchange in record.exchanges],
        "trials": [trial_shown(trial) for trial in record.trials],
    }


def _again(row: Row, fresh: Sequence[Trial], tasks: Sequence[TaskName]) -> list[tuple[TaskName, Span | None, Span]]:
    """Each task's score on the seeds that it was chosen by, and on fresh ones."""
    found = spans(scorecard(fresh).scores, tasks) if fresh else ()
    first = row.scores or (None,) * len(tasks)
    return [(task, before, now) for task, before, now in zip(tasks, first, found, strict=False) if now]


def _loop_lines(source: str) -> tuple[int, int]:
    """The loop's first line, counted from 0, and its end."""
    loop = loop_source(source)
    start = source[: max(0, source.find(loop))].count("\n")
    return start, start + len(loop.splitlines())


def _findings(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Failures first; evidence only where there is some."""
    return [
        {
            "check": found.check,
            "status": found.status,
            "message": visible(found.message, 2_000),
            "evidence": [(key, _evidence(value)) for key, value in seen(found.evidence).items()],
        }
        for found in sorted(findings, key=lambda found: _ORDER[found.status])
    ]


def _evidence(value: Any) -> str:
    return visible(plain(value), 2_000)
