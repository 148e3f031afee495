"""How good a model's own predictions were, in words."""

from collections.abc import Callable, Sequence
from statistics import fmean

from agent.analysis.boards.board import Board, measured_board
from agent.analysis.predictions.calibration import Forecast, Summary, forecasts, summarise
from agent.analysis.snapshot import ArchiveSnapshot
from evaluator.tasks.registry import TASKS


def calibration_lines(snapshot: ArchiveSnapshot, model: str) -> tuple[str, ...]:
    """How good this model's predictions were: a summary, then a line a task; empty where none was scored."""
    own = snapshot.proposals(lambda line: line.model == model)
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
