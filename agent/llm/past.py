"""Earlier attempts as a prompt tells them: what was tried, what became of it and why, and how good predictions were."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from agent.context import Context
from agent.insights import short
from archive.record import Record
from evaluator.outcomes import Status, Verdict
from variants.contract import TASKS, Task

LONGEST_REASON = 220


def history_lines(context: Context) -> tuple[str, ...]:
    """One line an attempt, the newest first."""
    return tuple(_line(record) for record in sorted(context.history, key=lambda record: -record.number))


def _line(record: Record) -> str:
    proposal = record.proposal
    start = f"`{short(proposal.variant.name)}` from `{short(proposal.parent)}`, {record.status}: {proposal.title}"
    if record.status is Status.SCORED:
        found = next((verdict for verdict in record.verdicts if verdict.against == proposal.parent), None)
        return f"{start}. {_outcome(found) if found else 'Not compared with its parent'}."
    reason = " ".join(record.reason.split())
    if len(reason) > LONGEST_REASON:
        reason = reason[: LONGEST_REASON - 3] + "..."
    return f"{start}. {reason or 'No reason was recorded'}."


def _outcome(verdict: Verdict) -> str:
    groups: dict[str, list[str]] = {}
    for task in TASKS:
        found = verdict.tasks.get(task)
        if found is not None:
            number = "" if found.outcome == "inert" else f" {found.difference:+.3f}"
            groups.setdefault(found.outcome, []).append(f"{task}{number}")
    order = ("better", "worse", "indistinguishable", "inert")
    said = [f"{outcome} on {', '.join(groups[outcome])}" for outcome in order if outcome in groups]
    return "Against its parent: " + "; ".join(said) if said else "No task was compared"


def calibration_lines(context: Context, model: str) -> tuple[str, ...]:
    """How good this model's predictions were: a summary, then a line a task; empty where none was scored."""
    own = [record for record in context.history if record.proposal.provenance.model == model and record.scorecard]
    pairs = {task: pairs for task in TASKS if (pairs := _pairs(own, task))}
    if not pairs:
        return ()
    everything = [pair for found in pairs.values() for pair in found]
    inside = sum(low <= actual <= high for _, low, high, actual in everything)
    share = inside / len(everything)
    advice = "widen them" if share < 0.7 else "narrow them" if share > 0.9 else "keep their width"
    summary = (
        f"Of your {len(everything)} predictions so far, {inside} ({share:.0%}) lay inside of their 80 % interval: "
        f"{advice}. "
        f"Mean absolute error {_error(everything):.3f}; {_direction(own, context)}"
    )
    return (summary, *(f"{task}: {_bias(found)}" for task, found in pairs.items()))


Pair = tuple[float, float, float, float]
"""Predicted mean, low, high; measured mean."""


def _pairs(records: Iterable[Record], task: Task) -> list[Pair]:
    found = []
    for record in records:
        predicted, scores = record.proposal.predictions.get(task), record.scorecard.scores if record.scorecard else {}
        if predicted is not None and task in scores:
            found.append((predicted.mean, predicted.low, predicted.high, scores[task].mean))
    return found


def _error(pairs: Sequence[Pair]) -> float:
    return fmean(abs(mean - actual) for mean, _, _, actual in pairs)


def _bias(pairs: Sequence[Pair]) -> str:
    bias = fmean(mean - actual for mean, _, _, actual in pairs)
    return f"on average {abs(bias):.3f} too {'high' if bias > 0 else 'low'}, error {_error(pairs):.3f} (n={len(pairs)})"


def _direction(records: Iterable[Record], context: Context) -> str:
    """How often the predicted direction against the parent was right, where the verdict says that there was one."""
    right = total = 0
    for record in records:
        parent = context.standings.get(record.proposal.parent, {})
        verdict = next((found for found in record.verdicts if found.against == record.proposal.parent), None)
        for task, comparison in verdict.tasks.items() if verdict else ():
            predicted = record.proposal.predictions.get(task)
            if comparison.outcome in ("better", "worse") and predicted is not None and task in parent:
                total += 1
                right += (predicted.mean > parent[task].mean) == (comparison.outcome == "better")
    if not total:
        return "no task moved clearly enough yet to judge directions."
    return f"the direction was right in {right} of the {total} cases where a task clearly moved."
