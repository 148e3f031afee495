"""What was measured of a proposal, as a terminal shows it: intervals drawn, curves, verdicts against each reference."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from rich.console import RenderableType
from rich.text import Text

from agent.analysis.boards.floors import floor
from agent.terminal.console import Cell, sparkline, strip
from agent.terminal.view import OUTCOME_MARK, OUTCOME_STYLE, Rows, difference_text, fitted, loss_text
from agent.words import accuracy, interval
from archive.records.record import Prediction, Record
from evaluator.outcomes import Score, Trial, Verdict
from evaluator.protocols.built_in import tasks_of
from evaluator.statistics.scorecards import losses_by_task
from evaluator.tasks.names import TaskName
from variants.contract import short_name


def measurements(record: Record) -> Iterator[RenderableType]:
    """Predicted beside measured, learning curves, and a table of verdicts. Empty where nothing was measured."""
    scores = record.scorecard.scores if record.scorecard else {}
    predictions = record.proposal.predictions
    every = tasks_of(record.protocol)
    if tasks := [task for task in every if task in scores or task in predictions]:
        yield from _section("Predicted [80 %] and measured [95 %], drawn from 0 to 1: ╌○╌ predicted, ━●━ measured")
        low = floor(record.protocol, record.protocol_hash)
        losses = losses_by_task(record.trials)
        rows: Rows = [
            _expectation(task, predictions.get(task), scores.get(task), low.get(task), losses.get(task))
            for task in tasks
        ]
        header = ("task", "floor", "predicted", "measured", "test loss", "n", "inside", "0" + " " * 23 + "1")
        yield fitted(header, rows)
    if curves := [row for task in every if (row := _curve(task, record.trials))]:
        yield from _section("Learning curves: training loss, mean over the runs")
        yield fitted(("task", "steps", "from", "to", "loss"), curves)
    if record.verdicts:
        yield from _section("Difference, paired by seed, as judged when it was archived; `archer versus` judges anew")
        rows = [(task, *(_difference(verdict, task) for verdict in record.verdicts)) for task in every]
        yield fitted(("task", *(f"to {short_name(verdict.against)}" for verdict in record.verdicts)), rows)


def _section(title: str) -> Iterator[Text]:
    yield Text()
    yield Text(title, "bold")


def _expectation(
    task: TaskName, predicted: Prediction | None, score: Score | None, low: float | None, loss: float | None
) -> tuple[Cell, ...]:
    drawn = []
    if predicted:
        drawn.append((predicted.low, predicted.mean, predicted.high, "╌", "○"))
    if score:
        drawn.append((score.low, score.mean, score.high, "━", "●"))
    inside: Cell = "–"
    if predicted and score:
        inside = ("yes", "green") if predicted.holds(score.mean) else ("no", "red")
    return (
        task,
        "–" if low is None else accuracy(low),
        _with_interval(predicted),
        _with_interval(score),
        loss_text(loss),
        str(score.n) if score else "–",
        inside,
        strip(drawn),
    )


def _with_interval(found: Prediction | Score | None) -> str:
    if found is None:
        return "–"
    return accuracy(found.mean) + (f" {interval(found.low, found.high)}" if found.low < found.high else "")


def _curve(task: TaskName, trials: Sequence[Trial]) -> tuple[Cell, ...] | None:
    """Mean loss at each step that every run of the task reported; None where none did."""
    runs = [{point.step: point.loss for point in trial.curve} for trial in trials if trial.task == task and trial.curve]
    steps = sorted(set.intersection(*map(set, runs))) if runs else []
    losses = [fmean(run[step] for run in runs) for step in steps]
    return (task, str(steps[-1]), f"{losses[0]:.2f}", f"{losses[-1]:.2f}", sparkline(losses)) if losses else None


def _difference(verdict: Verdict, task: TaskName) -> Cell:
    found = verdict.tasks.get(task)
    if found is None:
        return "–"
    return f"{OUTCOME_MARK[found.outcome]} {difference_text(found)}", OUTCOME_STYLE[found.outcome]
