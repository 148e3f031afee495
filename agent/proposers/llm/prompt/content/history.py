"""Earlier attempts, a line each: what was tried, what became of it and why."""

from collections.abc import Collection

from agent import words
from agent.analysis.snapshot import ArchiveSnapshot
from agent.words import counted
from archive.records.outline import Outline
from archive.records.record import Record
from evaluator.outcomes import Status, Verdict
from evaluator.tasks.registry import TASKS
from variants.contract import short_name

LONGEST_REASON = 220
MOST_LINES, MOST_NAMES = 16, 40
NO_DIFFERENCE = 1e-9
NO_EFFECT = "Exactly its parent's scores on every task: the change never took effect at these sizes"
NEVER_ACTED = "Its first trainings ended in its parent's very bits: at these sizes the change never acted"


def history_lines(snapshot: ArchiveSnapshot, told: Collection[str] = ()) -> tuple[str, ...]:
    """One line an attempt, the newest first; the oldest of many by their names alone.

    told: short names of what the prompt tells of otherwise.
    """
    records = snapshot.proposals(lambda line: short_name(line.name) not in told)
    lines = [_line(record) for record in reversed(records[-MOST_LINES:])]
    if old := records[-MOST_LINES - MOST_NAMES : -MOST_LINES]:
        names = (f"`{short_name(record.proposal.variant.name)}` {record.status}" for record in reversed(old))
        lines.append(f"{counted(len(records) - MOST_LINES, 'older one')}, among them {', '.join(names)}.")
    return tuple(lines)


def _line(record: Record | Outline) -> str:
    proposal = record.proposal
    ended = words.NO_EFFECT if record.no_effect else record.status
    start = f"`{short_name(proposal.variant.name)}` from `{short_name(proposal.parent)}`, {ended}: {proposal.title}"
    if record.no_effect:
        return f"{start}. {NEVER_ACTED}."
    if record.status is Status.SCORED:
        found = next((verdict for verdict in record.verdicts if verdict.against == proposal.parent), None)
        return f"{start}. {_brief(found) if found else 'Not compared with its parent'}."
    reason = " ".join(record.reason.split())
    if len(reason) > LONGEST_REASON:
        reason = reason[: LONGEST_REASON - 3] + "..."
    return f"{start}. {reason or 'No reason was recorded'}."


def _brief(verdict: Verdict) -> str:
    """A verdict by the tasks that are clearly better or worse."""
    if without_effect(verdict):
        return NO_EFFECT
    clear = [
        f"{task} {found.difference:+.3f}"
        for task in TASKS
        if (found := verdict.tasks.get(task)) is not None and found.outcome in ("better", "worse")
    ]
    return f"Against its parent: {', '.join(clear)}; else within noise" if clear else "All within noise of its parent"


def without_effect(verdict: Verdict) -> bool:
    """Whether every score is exactly that of the other variant, on tasks where the two can differ."""
    moved = [found.difference for found in verdict.tasks.values() if found.outcome != "inert"]
    return bool(moved) and all(abs(difference) < NO_DIFFERENCE for difference in moved)


def outcome(verdict: Verdict) -> str:
    """A verdict on all tasks in a phrase, with the differences."""
    groups: dict[str, list[str]] = {}
    for task in TASKS:
        found = verdict.tasks.get(task)
        if found is not None:
            number = "" if found.outcome == "inert" else f" {found.difference:+.3f}"
            groups.setdefault(found.outcome, []).append(f"{task}{number}")
    if without_effect(verdict):
        return NO_EFFECT
    said = [f"{said_as} on {', '.join(groups[found])}" for found, said_as in words.VERDICTS.items() if found in groups]
    return "Against its parent: " + "; ".join(said) if said else "No task was compared"
