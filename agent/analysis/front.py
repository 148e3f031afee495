"""The Pareto front of a leaderboard over its six tasks, and who comes nearest to beating the reference on all six.

What is called sure is tested, and corrected for how much was looked at. A row is surely dominated if some other is
above it on every task on which the two can differ (the largest of the tasks' p-values, times the number of rivals); it
is surely on the front if it is above each other row on some task (the smallest, times the number of tasks); it surely
beats the reference if it is above it on all six. Over the rows of the board, each of the three is adjusted by Benjamini
and Hochberg's procedure, as are the marks of single cells over the cells of the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agent.analysis.dominance import adjusted, look, p_beats
from agent.analysis.gaps import Gap
from agent.analysis.paired_differences import PairedDifferences
from variants.contract import REFERENCE, TASKS, Task

RATE = 0.05
"""False discovery rate of everything that is called sure."""
Standing = Literal["surely front", "front", "dominated", "surely dominated"]


@dataclass(frozen=True)
class Place:
    """Where one variant stands: on the front or below whom, and its distance to the reference on each task."""

    name: str
    mean: float
    """Of the six tasks."""
    scores: Mapping[Task, float]
    dominated_by: tuple[str, ...]
    """Rows that are at least as good on all six means, and better on one."""
    surely_dominated_by: str | None
    """The row that is most surely above it; None where none is, for all that noise leaves open."""
    surely_front: bool
    gaps: Mapping[Task, Gap]
    """To the reference; empty where the board has none."""
    sure: frozenset[Task] = frozenset()
    """Tasks on which that gap is more than chance, counting all cells of the table."""
    p_beats: float = 1.0
    """Of being above the reference on all six tasks, adjusted for all rows."""

    @property
    def standing(self) -> Standing:
        """`front`: undominated on the means, `dominated`: dominated on the means; noise may have made either."""
        if self.surely_dominated_by:
            return "surely dominated"
        if self.dominated_by:
            return "dominated"
        return "surely front" if self.surely_front else "front"

    @property
    def above(self) -> tuple[Task, ...]:
        """Tasks on which the mean is above the reference's."""
        return tuple(task for task, gap in self.gaps.items() if gap.difference > 0)

    @property
    def missing(self) -> dict[Task, Gap]:
        """Tasks on which it is not."""
        return {task: gap for task, gap in self.gaps.items() if gap.difference <= 0}

    @property
    def shortfall(self) -> float:
        """Sum over tasks of how far the mean is below the reference's, in accuracy."""
        return sum(-gap.difference for gap in self.missing.values())


def places(contrasts: PairedDifferences, reference: str = REFERENCE) -> tuple[Place, ...]:
    """Every row with all six tasks, the nearest to beating the reference first: most tasks above, then least short."""
    names = contrasts.names
    looked = [look(contrasts, own, reference) for own in range(len(names))]
    surely_below, surely_front = (
        adjusted([each.p_dominated for each in looked]) <= RATE,
        adjusted([each.p_front for each in looked]) <= RATE,
    )
    gaps = {name: each.gaps for name, each in zip(names, looked, strict=True) if each.gaps}
    sure = _sure_cells(gaps)
    beats = dict(zip(gaps, adjusted([p_beats(row) for row in gaps.values()]).tolist(), strict=True))
    found = []
    for own, (name, each) in enumerate(zip(names, looked, strict=True)):
        scores = {task: contrasts.board.scores[name][task].mean for task in TASKS}
        found.append(
            Place(
                name=name,
                mean=sum(scores.values()) / len(TASKS),
                scores=scores,
                dominated_by=tuple(names[row] for row in each.dominating),
                surely_dominated_by=names[each.above] if surely_below[own] else None,
                surely_front=bool(surely_front[own]),
                gaps=each.gaps,
                sure=frozenset(task for task in TASKS if (name, task) in sure),
                p_beats=beats.get(name, 1.0),
            )
        )
    return tuple(sorted(found, key=lambda place: (-len(place.above), place.shortfall, -place.mean, place.name)))


def nearest(found: tuple[Place, ...]) -> Place | None:
    """Who comes nearest to beating the reference on all six tasks; None without a reference or a rival."""
    return next((place for place in found if place.gaps), None)


def front_json(contrasts: PairedDifferences, found: tuple[Place, ...]) -> dict[str, Any]:
    """The document of `archer leaderboard --front --json`."""
    best = nearest(found)
    return {
        "board": contrasts.board.title,
        "reference": REFERENCE,
        "paired": contrasts.paired,
        "false_discovery_rate": RATE,
        "front": sorted(place.name for place in found if place.standing.endswith("front")),
        "nearest": best.name if best else None,
        "rows": [_row_json(place) for place in found],
    }


def _row_json(place: Place) -> dict[str, Any]:
    return {
        "name": place.name,
        "standing": place.standing,
        "mean": place.mean,
        "scores": place.scores,
        "dominated_by": place.dominated_by,
        "surely_dominated_by": place.surely_dominated_by,
        "above_reference": place.above,
        "shortfall": place.shortfall if place.gaps else None,
        "p_beats_reference_on_all": place.p_beats if place.gaps else None,
        "versus_reference": {
            task: {"difference": gap.difference, "noise": gap.noise, "p": gap.p, "sure": task in place.sure}
            for task, gap in place.gaps.items()
        },
    }


def _sure_cells(gaps: Mapping[str, Mapping[Task, Gap]]) -> set[tuple[str, Task]]:
    cells = [(name, task) for name, row in gaps.items() for task, gap in row.items() if not gap.cannot_differ]
    chances = adjusted([gaps[name][task].p for name, task in cells])
    return {cell for cell, p in zip(cells, chances, strict=True) if p <= RATE}
