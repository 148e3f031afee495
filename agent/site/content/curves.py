"""The figures of one proposal: learning curves, and predicted against measured."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from agent.site.content.row import Row
from evaluator.outcomes import Trial
from evaluator.tasks.names import TaskName

SHOWN_LOSSES = 5
"""Significant digits of a loss: more cannot be seen in a curve."""
LARGEST_LOSS = 1e30


def learning_curves(
    trials: Iterable[Trial], parents: Iterable[Trial], tasks: Sequence[TaskName]
) -> list[dict[str, Any]]:
    """Per task: the training loss of every run, the mean of the parent's runs, and the figure in words."""
    ours, theirs = _by_task(trials), _by_task(parents)
    return [
        {
            "task": task,
            "runs": [{"label": _run_label(t), "points": _points(t)} for t in ours[task]],
            "parent": _mean_curve(theirs.get(task, [])),
            "words": _in_words(task, ours[task]),
        }
        for task in tasks
        if ours.get(task)
    ]


def intervals(row: Row, tasks: Sequence[TaskName]) -> list[dict[str, Any]]:
    """Per task: predicted, measured, parent and gated reference."""
    found = []
    for index, task in enumerate(tasks):
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
