"""What the page of one proposal shows, drawn from its record and its neighbours."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from agent.insights import short
from agent.site.code import difference, highlighted
from agent.site.row import Row, Span, spans
from agent.site.text import markdown, seen, visible
from archive.record import Exchange, Record
from evaluator.outcomes import Finding, Trial
from evaluator.statistics import scorecard
from variants.contract import TASKS, Task
from variants.source import loop_source

SHOWN_LOSSES = 5
"""Significant digits of a loss: more cannot be seen in a curve."""
LARGEST_LOSS = 1e30
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
    curves = learning_curves(record.trials, parent.trials if parent else ())
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
        "figures": {"curves": curves, "intervals": intervals(row)},
        "again": _again(row, fresh),
        "report": markdown(report),
        "provenance": _provenance(record, commit),
        "exchanges": [_exchange(exchange) for exchange in record.exchanges],
        "trials": [_trial(trial) for trial in record.trials],
    }


def _again(row: Row, fresh: Sequence[Trial]) -> list[tuple[Task, Span | None, Span]]:
    """Each task's score on the seeds that it was chosen by, and on fresh ones."""
    found = spans(scorecard(fresh).scores) if fresh else ()
    first = row.scores or (None,) * len(TASKS)
    return [(task, before, now) for task, before, now in zip(TASKS, first, found, strict=False) if now]


def _loop_lines(source: str) -> tuple[int, int]:
    """The loop's first line, counted from 0, and its end."""
    loop = loop_source(source)
    start = source[: max(0, source.find(loop))].count("\n")
    return start, start + len(loop.splitlines())


def learning_curves(trials: Iterable[Trial], parents: Iterable[Trial]) -> list[dict[str, Any]]:
    """Per task: the training loss of every run, the mean of the parent's runs, and the figure in words."""
    ours, theirs = _by_task(trials), _by_task(parents)
    return [
        {
            "task": task,
            "runs": [{"label": _run_label(t), "points": _points(t)} for t in ours[task]],
            "parent": _mean_curve(theirs.get(task, [])),
            "words": _in_words(task, ours[task]),
        }
        for task in TASKS
        if ours.get(task)
    ]


def intervals(row: Row) -> list[dict[str, Any]]:
    """Per task: predicted, measured, parent and gated reference."""
    found = []
    for index, task in enumerate(TASKS):
        predicted = row.predictions[index] if row.predictions else None
        measured = row.scores[index] if row.scores else None
        if predicted or measured:
            others = {role: _other(row, role, index) for role in ("parent", "reference")}
            found.append({"task": task, "predicted": predicted, "measured": measured, **others})
    return found


def _other(row: Row, role: str, index: int) -> int | None:
    """The other's score, from the difference to it."""
    against = row.versus.get(role)  # type: ignore[call-overload]
    measured = row.scores[index]
    return measured[0] - against[index][1] if measured and against and against[index] else None


def _by_task(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """Trials that have a curve of their own."""
    found: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if len(_points(trial)) > 1 and not trial.inherited_from:
            found[trial.task].append(trial)
    return found


def _run_label(trial: Trial) -> str:
    return f"seed {trial.seed}, lr {trial.lr:g}"


def _points(trial: Trial) -> list[tuple[int, float]]:
    """Step and loss. A curve is what the training process said: what no figure could hold is left out."""
    return [(point.step, _rounded(point.loss)) for point in trial.curve if abs(point.loss) < LARGEST_LOSS]


def _mean_curve(trials: Sequence[Trial]) -> list[tuple[int, float]]:
    losses: dict[int, list[float]] = defaultdict(list)
    for trial in trials:
        for step, loss in _points(trial):
            losses[step].append(loss)
    return [(step, _rounded(fmean(found))) for step, found in sorted(losses.items())]


def _rounded(value: float) -> float:
    return float(f"{value:.{SHOWN_LOSSES}g}")


def _in_words(task: str, trials: Sequence[Trial]) -> str:
    curves = [_points(trial) for trial in trials]
    first, last = (fmean(curve[end][1] for curve in curves) for end in (0, -1))
    runs = f"{len(trials)} runs" if len(trials) > 1 else "1 run"
    return f"Training loss on {task}, {runs}: from {first:.3g} to {last:.3g} in {curves[0][-1][0]} steps."


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
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return visible(text, 2_000)


def _provenance(record: Record, commit: str | None) -> list[tuple[str, str]]:
    proposal, origin, cost = record.proposal, record.proposal.provenance, record.cost
    runs = record.trials
    price = "unknown" if cost.usd is None else f"{cost.usd:.4f} USD"
    known = {
        "Proposer": origin.proposer,
        "Model": origin.model,
        "Seed of the ask": str(origin.seed),
        "Prompt (hash)": origin.prompt_hash,
        "Parents": ", ".join(short(name) for name in origin.parents),
        "Mechanisms": json.dumps(origin.mechanisms, ensure_ascii=False) if origin.mechanisms else None,
        "Created": record.created,
        "Commit": commit,
        "Predictions committed": record.predicted,
        "Source (sha256)": proposal.variant.source_hash,
        "Protocol": f"{record.protocol}, hash {record.protocol_hash}",
        "Training seeds": ", ".join(map(str, sorted({run.seed for run in runs}))),
        "Sandbox grade": ", ".join(sorted({run.sandbox_grade.value for run in runs}))
        or (record.check.sandbox_grade.value if record.check else None),
        "Isolation": ", ".join(sorted({run.isolation for run in runs})),
        "Device": ", ".join(sorted({run.device for run in runs})),
        "Versions": "; ".join(sorted({", ".join(f"{k} {v}" for k, v in run.versions.items()) for run in runs})),
        "Cost": f"{cost.cpu_seconds:.0f} CPU s, {cost.wall_seconds:.0f} s of wall time",
        "Tokens": f"{cost.prompt_tokens} in, {cost.completion_tokens} out, price {price}" if origin.model else None,
    }
    return [(key, visible(value, 2_000)) for key, value in known.items() if value]


def _exchange(exchange: Exchange) -> dict[str, Any]:
    return {
        "attempt": exchange.attempt,
        "prompt": visible(exchange.prompt),
        "reply": visible(exchange.reply or ""),
        "error": visible(exchange.error or "", 2_000),
        "usage": ", ".join(f"{key} {value}" for key, value in seen(exchange.usage).items()),
        "seconds": exchange.seconds,
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "task": trial.task,
        "setting": visible(trial.setting, 80),
        "seed": trial.seed,
        "lr": trial.lr,
        "weight_decay": trial.weight_decay,
        "status": trial.status,
        "accuracy": trial.accuracy,
        "loss": trial.test_loss,
        "steps": trial.steps,
        "cpu": trial.cpu_seconds,
        "certificate": trial.certificate,
        "inherited": visible(short(trial.inherited_from), 120) if trial.inherited_from else "",
        "failure": visible(f"{trial.failure.kind}: {trial.failure.message}", 1_000) if trial.failure else "",
    }
