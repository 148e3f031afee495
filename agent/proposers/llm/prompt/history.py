"""Earlier attempts as a prompt tells them: what was tried, what became of it and why, and how good predictions were."""

from collections.abc import Callable, Sequence
from statistics import fmean

from agent.analysis.board import Board, measured_board
from agent.analysis.calibration import Forecast, Summary, forecasts, summarise
from agent.analysis.snapshot import ArchiveSnapshot
from agent.words import NO_EFFECT
from archive.outline import Outline
from archive.record import Record
from evaluator.outcomes import Status, Verdict
from evaluator.tasks.registry import TASKS
from variants.contract import short_name

LONGEST_REASON = 220
NO_DIFFERENCE = 1e-9


def history_lines(snapshot: ArchiveSnapshot) -> tuple[str, ...]:
    """One line an attempt, the newest first."""
    return tuple(_line(record) for record in sorted(snapshot.history, key=lambda record: -record.number))


def _line(record: Record | Outline) -> str:
    proposal = record.proposal
    ended = NO_EFFECT if record.no_effect else record.status
    start = f"`{short_name(proposal.variant.name)}` from `{short_name(proposal.parent)}`, {ended}: {proposal.title}"
    if record.no_effect:
        return f"{start}. Its first trainings ended in its parent's very bits: at these sizes the change never acted."
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
    moved = [found.difference for found in verdict.tasks.values() if found.outcome != "inert"]
    if moved and all(abs(difference) < NO_DIFFERENCE for difference in moved):
        return "Exactly its parent's scores on every task: the change never took effect at these sizes"
    order = ("better", "worse", "indistinguishable", "inert")
    said = [f"{outcome} on {', '.join(groups[outcome])}" for outcome in order if outcome in groups]
    return "Against its parent: " + "; ".join(said) if said else "No task was compared"


def calibration_lines(snapshot: ArchiveSnapshot, model: str) -> tuple[str, ...]:
    """How good this model's predictions were: a summary, then a line a task; empty where none was scored."""
    own = [record for record in snapshot.history if record.proposal.provenance.model == model]
    found = [forecast for forecast in forecasts(own, _boards(snapshot)) if not forecast.exact]
    if not found:
        return ()
    by_task = ((task, [forecast for forecast in found if forecast.task == task]) for task in TASKS)
    return (_summary(summarise(found)), *(f"{task}: {_bias(made)}" for task, made in by_task if made))


def _boards(snapshot: ArchiveSnapshot) -> Callable[[str], Board]:
    """The noise of the protocol that is searched under; that of another is not at hand."""
    measured = measured_board(snapshot)
    return lambda protocol: measured if protocol == snapshot.protocol else Board(protocol, protocol, {}, {})


def _summary(known: Summary) -> str:
    share = known.coverage or 0.0
    advice = "widen them" if share < 0.7 else "narrow them" if share > 0.9 else "keep their width"
    told = (
        f"Of your {known.intervals} predictions so far, {known.inside} ({share:.0%}) lay inside of their 80 % "
        f"interval: {advice}."
    )
    if known.error is not None and known.error_of_no_change is not None:
        told += (
            f" Mean absolute error {known.error:.3f}; predicting the parent's score would have had "
            f"{known.error_of_no_change:.3f}."
        )
    if known.skill is not None:
        told += (
            f" Skill by the interval score: {known.skill:+.2f} (0: no better than predicting no change; 1: perfect)."
        )
    moved = known.signs.get("right", 0) + known.signs.get("wrong", 0)
    if moved:
        told += (
            f" Where you predicted a change and the task clearly moved, the direction was right in "
            f"{known.signs.get('right', 0)} of {moved} cases."
        )
    if lost := known.signs.get("open", 0):
        told += f" Of the other changes that you predicted, {lost} did not show above the noise."
    if impossible := known.signs.get("ruled out", 0):
        told += f" {impossible} times you predicted a change where the structure allows none."
    return told


def _bias(made: Sequence[Forecast]) -> str:
    differences = [forecast.mean - forecast.measured for forecast in made if forecast.mean is not None]
    bias, error = fmean(differences), fmean(map(abs, differences))
    return f"on average {abs(bias):.3f} too {'high' if bias > 0 else 'low'}, error {error:.3f} (n={len(differences)})"
