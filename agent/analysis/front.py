"""The Pareto front of a leaderboard over its tasks, and who comes nearest to beating the reference on all of them.

What is called sure is tested, and corrected for how much was looked at. A row is surely dominated if some other is
above it on every task on which the two can differ (the largest of the tasks' p-values, times the number of rivals);
it is surely on the front if it is above each other row on some task (the smallest, times the number of tasks); it
surely beats the reference if it is above it on all of them. Over the rows of the board, each of the three is adjusted
by Benjamini and Hochberg's procedure, as are the marks of single cells over the cells of the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from agent.analysis.paired_differences import Array, Gap, Lead, PairedDifferences
from evaluator.statistics.pareto import dominating
from evaluator.tasks.names import TaskName
from variants.contract import REFERENCE

RATE = 0.05
"""False discovery rate of everything that is called sure."""
Standing = Literal["surely front", "front", "dominated", "surely dominated"]


@dataclass(frozen=True)
class Place:
    """Where one variant stands: on the front or below whom, and its distance to the reference on each task."""

    name: str
    mean: float
    """Of all tasks."""
    scores: Mapping[TaskName, float]
    dominated_by: tuple[str, ...]
    """Rows that are at least as good on all means, and better on one."""
    surely_dominated_by: str | None
    """The row that is most surely above it; None where none is, for all that noise leaves open."""
    surely_front: bool
    gaps: Mapping[TaskName, Gap]
    """To the reference; empty where the board has none."""
    sure: frozenset[TaskName] = frozenset()
    """Tasks on which that gap is more than chance, counting all cells of the table."""
    p_beats: float = 1.0
    """Of being above the reference on all tasks, adjusted for all rows."""

    @property
    def standing(self) -> Standing:
        """`front`: undominated on the means, `dominated`: dominated on the means; noise may have made either."""
        if self.surely_dominated_by:
            return "surely dominated"
        if self.dominated_by:
            return "dominated"
        return "surely front" if self.surely_front else "front"

    @property
    def above(self) -> tuple[TaskName, ...]:
        """Tasks on which the mean is above the reference's."""
        return tuple(task for task, gap in self.gaps.items() if gap.difference > 0)

    @property
    def missing(self) -> dict[TaskName, Gap]:
        """Tasks on which it is not."""
        return {task: gap for task, gap in self.gaps.items() if gap.difference <= 0}

    @property
    def shortfall(self) -> float:
        """Sum over tasks of how far the mean is below the reference's, in accuracy."""
        return sum(-gap.difference for gap in self.missing.values())


def places(contrasts: PairedDifferences, reference: str = REFERENCE) -> tuple[Place, ...]:
    """Every row with all tasks, the nearest to beating the reference first: most tasks above, then least short."""
    names = contrasts.names
    looked = [look(contrasts, own, reference) for own in range(len(names))]
    surely_below, surely_front = (
        adjusted([each.p_dominated for each in looked]) <= RATE,
        adjusted([each.p_front for each in looked]) <= RATE,
    )
    gaps = {name: each.gaps for name, each in zip(names, looked, strict=True) if each.gaps}
    sure = sure_cells(contrasts, reference)
    beats = dict(zip(gaps, adjusted([p_beats(row) for row in gaps.values()]).tolist(), strict=True))
    found = []
    for own, (name, each) in enumerate(zip(names, looked, strict=True)):
        scores = {task: contrasts.board.scores[name][task].mean for task in contrasts.board.tasks}
        found.append(
            Place(
                name=name,
                mean=sum(scores.values()) / len(scores),
                scores=scores,
                dominated_by=tuple(names[row] for row in each.dominating),
                surely_dominated_by=names[each.above] if surely_below[own] else None,
                surely_front=bool(surely_front[own]),
                gaps=each.gaps,
                sure=frozenset(task for task in contrasts.board.tasks if (name, task) in sure),
                p_beats=beats.get(name, 1.0),
            )
        )
    return tuple(sorted(found, key=lambda place: (-len(place.above), place.shortfall, -place.mean, place.name)))


def nearest(found: tuple[Place, ...]) -> Place | None:
    """Who comes nearest to beating the reference on all tasks; None without a reference or a rival."""
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


def sure_cells(contrasts: PairedDifferences, reference: str = REFERENCE) -> set[tuple[str, TaskName]]:
    """Rows and tasks whose difference to the reference is more than chance, counting all cells of the table."""
    if reference not in contrasts.names:
        return set()
    lead = contrasts.lead(reference)  # of the reference over each row: the sizes are those of each row over it
    rows, columns = np.nonzero(~lead.same)
    chances = adjusted(lead.p_either()[rows, columns])
    return {
        (contrasts.names[row], contrasts.board.tasks[column])
        for row, column, p in zip(rows, columns, chances, strict=True)
        if p <= RATE
    }


@dataclass(frozen=True)
class Look:
    """One row against all others: by which it is dominated on the means, and what is likely of that."""

    dominating: Sequence[int]
    p_dominated: float
    above: int
    """The row that dominates it most surely."""
    p_front: float
    gaps: Mapping[TaskName, Gap]


def look(contrasts: PairedDifferences, own: int, reference: str) -> Look:
    """One row of a board against all others, and its gaps to the reference."""
    name, names = contrasts.names[own], contrasts.names
    lead = contrasts.lead(name)
    p_dominated, above = _p_dominated(lead, own)
    gaps = {}
    if reference in names and name != reference:
        gaps = {task: lead.gap(names.index(reference), task) for task in contrasts.board.tasks}
    return Look(dominating(-lead.difference, own), p_dominated, above, _p_front(lead, own), gaps)


def _p_dominated(lead: Lead, own: int) -> tuple[float, int]:
    """Of being dominated by some row, and by which most likely.

    Tasks on which the two tie to the last digit are no obstacle: paired seeds tie where a result was inherited, or
    where a change never took effect.
    """
    tie = lead.same | (lead.difference == 0)
    p = np.where(tie, 0.0, lead.p_below()).max(axis=1)
    p[tie.all(axis=1)] = 1.0
    p[own] = 1.0
    row = int(p.argmin())
    return min(1.0, float(p[row]) * (len(p) - 1)), row


def _p_front(lead: Lead, own: int) -> float:
    """Of being above each other row on some task, whichever."""
    p = np.minimum(1.0, lead.difference.shape[1] * lead.p_above().min(axis=1))
    return float(np.delete(p, own).max()) if len(p) > 1 else 1.0


def p_beats(gaps: Mapping[TaskName, Gap]) -> float:
    """p of being above on all tasks: the largest of the single one-sided ones."""
    return max(gap.p / 2 if gap.difference > 0 else 1 - gap.p / 2 for gap in gaps.values())


def adjusted(ps: Sequence[float] | Array) -> Array:
    """p-values, adjusted by Benjamini and Hochberg's procedure."""
    found: Array = np.asarray(stats.false_discovery_control(ps, method="bh") if len(ps) else [], dtype=np.float64)
    return found
