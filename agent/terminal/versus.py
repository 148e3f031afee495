"""Two variants side by side on a terminal."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from agent.analysis.differences.versus import Versus
from agent.terminal.console import Cell
from agent.terminal.view import OUTCOME_STYLE, difference_text, fitted, score_text
from agent.words import accuracy, number, signed, signed_interval
from evaluator.tasks.names import TaskName
from variants.contract import short_name


def versus_view(found: Versus, protocol: str) -> Iterator[RenderableType]:
    """A line a task, then one on the mean."""
    ours, theirs = short_name(found.name), short_name(found.against)
    yield Text(f"{ours} against {theirs}, protocol {protocol}; differences are of the seeds of both", "italic")
    rows = [_row(found, task) for task in found.tasks]
    rows.append(("mean", *("–" if mean is None else accuracy(mean) for mean in found.means), _mean(found)))
    yield fitted(("task", ours, theirs, "difference"), rows)
    if None in found.means:
        yield Text(f"no mean: one of the two lacks a score on some of the {number(len(found.tasks))} tasks", "dim")


def _row(found: Versus, task: TaskName) -> tuple[Cell, ...]:
    compared = found.verdict.tasks.get(task)
    told: Cell = "–" if compared is None else (difference_text(compared), OUTCOME_STYLE[compared.outcome])
    return task, score_text(found.ours.get(task)), score_text(found.theirs.get(task)), told


def _mean(found: Versus) -> str:
    if found.mean is None:
        return "–"
    return f"{signed(found.mean.mean)} {signed_interval(*found.mean.interval())}, n {found.mean.n}"
