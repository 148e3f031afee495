"""Scores seed by seed, and how fast training went: under a short protocol much is speed of learning.

Training losses are what the sandboxed trainer reports. They are for reading only: nothing is judged by them.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from agent.proposers.llm.prompt.facts import LeaderboardRow
from evaluator.outcomes import Trial
from evaluator.statistics.scorecards import seed_accuracies
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, short_name

SHARE = 0.95
LAST = 3
"""Points at the end of a curve whose mean is where it ends."""
NEVER = "not"


def seed_rows(
    trials: Mapping[str, Sequence[Trial]], names: Iterable[str], tasks: Sequence[TaskName]
) -> tuple[LeaderboardRow, ...]:
    """A row a variant: the accuracy of each seed, in the order of the seeds; empty where nobody has two seeds."""
    found = {name: seed_accuracies(trials[name]) for name in dict.fromkeys(names) if name in trials}
    if all(len(seeds) < 2 for own in found.values() for seeds in own.values()):
        return ()
    return tuple(
        LeaderboardRow(
            name=short_name(name),
            cells=tuple(
                " ".join(_short(own[task][seed]) for seed in sorted(own.get(task, {}))) or "–" for task in tasks
            ),
            rank=0.0,
        )
        for name, own in found.items()
    )


def _short(accuracy: float) -> str:
    """`.953`, or `1.00`."""
    return f"{accuracy:.3f}"[1:] if accuracy < 0.9995 else "1.00"


def speed_rows(
    trials: Mapping[str, Sequence[Trial]], names: Iterable[str], tasks: Sequence[TaskName]
) -> tuple[LeaderboardRow, ...]:
    """A row a variant: the share of its steps after which its training loss is as low as the baseline's gets, nearly.

    Nearly: after 95 % of the way that the baseline's loss comes down. A mean over seeds; empty without curves.
    """
    levels = {task: _level(trials.get(BASELINE, ()), task) for task in tasks}
    rows = []
    for name in dict.fromkeys(names):
        cells = tuple(_share(trials.get(name, ()), task, levels[task]) for task in tasks)
        if any(cell != "–" for cell in cells):
            rows.append(LeaderboardRow(name=short_name(name), cells=cells, rank=0.0))
    return tuple(rows)


def _level(trials: Sequence[Trial], task: TaskName) -> float | None:
    curves = [trial.curve for trial in trials if trial.task == task and len(trial.curve) > LAST]
    if not curves:
        return None
    first = fmean(curve[0].loss for curve in curves)
    last = fmean(point.loss for curve in curves for point in curve[-LAST:])
    return first - SHARE * (first - last)


def _share(trials: Sequence[Trial], task: TaskName, level: float | None) -> str:
    """`45 %`; `not` where the mean curve never gets there; a dash where it is not known."""
    curves = [trial.curve for trial in trials if trial.task == task and len(trial.curve) > LAST]
    if not curves or level is None or len({len(curve) for curve in curves}) > 1:
        return "–"
    for points in zip(*curves, strict=True):
        if fmean(point.loss for point in points) <= level:
            return f"{points[0].step / curves[0][-1].step:.0%}".replace("%", " %")
    return NEVER
