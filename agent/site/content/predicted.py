"""The predictions of a board's proposals beside what was measured, summarised as `archer calibration` does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.analysis.predictions.calibration import Forecast, Interval, Summary, by_proposer, direction, summarise
from agent.analysis.predictions.published_predictions import ledger_entries
from agent.site.content.board import SiteBoard
from agent.site.content.row import UNIT, Row


@dataclass(frozen=True)
class Calibration:
    """All predictions together, per task, and per proposer and model."""

    whole: Summary
    tasks: dict[str, Summary]
    proposers: dict[str, Summary]


def calibration(board: SiteBoard) -> Calibration | None:
    """None where nothing was predicted and measured."""
    found = [forecast for row in board.proposals for forecast in _forecasts(row, board)]
    if not found:
        return None
    tasks = {task: [forecast for forecast in found if forecast.task == task] for task in board.tasks}
    return Calibration(
        whole=summarise(found),
        tasks={task: summarise(own) for task, own in tasks.items() if own},
        proposers={_name(key): summarise(own) for key, own in by_proposer(found).items()},
    )


def ledger() -> dict[str, Sequence[Forecast]]:
    """What the published reports expected beside what was measured, by title; the same for every archive."""
    return {entry.title: entry.forecasts for entry in ledger_entries(None)}


def _forecasts(row: Row, board: SiteBoard) -> Iterator[Forecast]:
    against: Sequence[object] = row.versus.get("parent", ())
    for index, task in enumerate(board.tasks):
        predicted = row.predictions[index] if row.predictions else None
        score = row.scores[index] if row.scores else None
        if predicted is None or score is None:
            continue
        found = row.versus["parent"][index] if against else None
        parent = (score[0] - found[1]) / UNIT if found else None
        yield Forecast(
            proposer=row.proposer,
            model=row.model or None,
            variant=row.name,
            protocol=board.protocol,
            task=task,
            direction=None if parent is None else direction(predicted[0] / UNIT - parent),
            mean=predicted[0] / UNIT,
            interval=Interval(predicted[1] / UNIT, predicted[2] / UNIT),
            measured=score[0] / UNIT,
            parent=parent,
            outcome=found[0] if found else None,
            no_change=None,
        )


def _name(key: tuple[str, str | None]) -> str:
    proposer, model = key
    return f"{proposer}, {model}" if model else proposer
