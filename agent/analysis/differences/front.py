"""The Pareto front of a leaderboard over its tasks, and the row that is nearest to the challenge.

Statements with "surely" are tested, and corrected for the number of comparisons:

* A row is surely dominated if another row is above it on every task on which the two can differ (p: the largest
  p-value of the tasks, times the number of rivals).
* A row is surely on the front if it is above every other row on some task (p: the smallest p-value of the tasks, times
  the number of tasks).
* A row surely beats the reference if it is above the reference on all tasks.

Benjamini and Hochberg's procedure adjusts each of the three p-values over the rows of the board. It also adjusts the
p-values of single cells over the cells of the table. Where no row shows any noise, nothing is sure.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agent.analysis.boards.challenge import Challenge, distances
from agent.analysis.boards.sizes import Sizes
from agent.analysis.differences.paired_differences import Gap, Lead, PairedDifferences
from evaluator.statistics.false_discovery import benjamini_hochberg
from evaluator.statistics.pareto import dominate, undominated
from evaluator.statistics.seed_table import Array
from evaluator.tasks.names import TaskName
from variants.contract import REFERENCE

RATE = 0.05
"""False discovery rate of all statements with "surely"."""
FEW = 32
"""Rivals that are looked at first."""
Standing = Literal["surely front", "front", "dominated", "surely dominated"]


@dataclass(frozen=True)
class Place:
    """The place of one variant: on the front or dominated, and its gap to the reference on each task."""

    name: str
    mean: float
    """Mean over all tasks."""
    scores: Mapping[TaskName, float]
    dominated: bool
    """Whether `dominators` names any row."""
    surely_dominated_by: str | None
    """The row that most surely dominates this one; None if no row surely does."""
    surely_front: bool
    gaps: Mapping[TaskName, Gap]
    """Gaps to the reference; empty if the board lacks the reference."""
    sure: frozenset[TaskName] = frozenset()
    """Tasks on which the gap exceeds chance, corrected for all cells of the table."""
    p_beats: float = 1.0
    """p-value of being above the reference on all tasks, adjusted for all rows."""
    distance: float | None = None
    """To the challenge, in units of noise; None without a reference."""
    lacking: Mapping[TaskName, float] = field(default_factory=dict)
    """What it lacks to the goal of each task, in units of noise."""

    @property
    def standing(self) -> Standing:
        """Whether the variant is dominated or on the front by its means (noise may decide this), or surely so."""
        if self.surely_dominated_by:
            return "surely dominated"
        if self.dominated:
            return "dominated"
        return "surely front" if self.surely_front else "front"

    @property
    def above(self) -> tuple[TaskName, ...]:
        """Tasks on which the mean is above the reference's."""
        return tuple(task for task, gap in self.gaps.items() if gap.difference > 0)

    @property
    def missing(self) -> dict[TaskName, Gap]:
        """Gaps of the tasks on which the mean is not above the reference's."""
        return {task: gap for task, gap in self.gaps.items() if gap.difference <= 0}

    @property
    def shortfall(self) -> float:
        """Sum over tasks of how far the mean is below the reference's, in accuracy."""
        return sum(-gap.difference for gap in self.missing.values())


def places(contrasts: PairedDifferences, reference: str = REFERENCE) -> tuple[Place, ...]:
    """The place of every row that has all tasks, nearest to the challenge first."""
    names = contrasts.names
    if not names:
        return ()
    versus = contrasts.lead(reference) if reference in names else None
    least = contrasts.least_sure(RATE / max(1, len(names) - 1))
    looked = [look(contrasts, own, reference, versus, least) for own in range(len(names))]
    below = benjamini_hochberg([each.p_dominated for each in looked]) <= RATE
    surely_below = below & (not contrasts.board.noise_is_assumed)
    front = surely_front(contrasts)
    gaps = {name: each.gaps for name, each in zip(names, looked, strict=True) if each.gaps}
    sure = sure_cells(contrasts, reference)
    beats = dict(zip(gaps, benjamini_hochberg(_p_beats(versus, names, gaps)).tolist(), strict=True))
    challenge, far = Challenge.of(contrasts.board), distances(contrasts.board, names)
    found = {}
    for own, (name, each) in enumerate(zip(names, looked, strict=True)):
        scores = dict(zip(contrasts.board.tasks, contrasts.means[own].tolist(), strict=True))
        found[name] = Place(
            name=name,
            mean=sum(scores.values()) / len(scores),
            scores=scores,
            dominated=each.dominated,
            surely_dominated_by=names[each.above] if surely_below[own] else None,
            surely_front=name in front,
            gaps=each.gaps,
            sure=frozenset(task for task in contrasts.board.tasks if (name, task) in sure),
            p_beats=beats.get(name, 1.0),
            distance=far[name],
            lacking=challenge.lacking(scores) if challenge else {},
        )
    return tuple(found[name] for name in far)


def dominators(contrasts: PairedDifferences, name: str) -> tuple[str, ...]:
    """Rows whose means are at least as good as those of row `name` on all tasks, and better on one.

    Of a large board they are asked for one row at a time: all names of all rows take more memory than all else.
    """
    own = contrasts.place(name)
    rivals = contrasts.not_behind(own)
    return tuple(contrasts.names[row] for row in rivals[dominate(-contrasts.difference(own, rivals))])


def nearest(found: tuple[Place, ...]) -> Place | None:
    """The variant nearest to the challenge; None without a reference or a rival."""
    return next((place for place in found if place.gaps), None)


def front_json(
    contrasts: PairedDifferences, found: tuple[Place, ...], sizes: Sizes, limit: int | None = None
) -> dict[str, Any]:
    """The document of `archer leaderboard --front --json`. limit: how many rows it has at most."""
    best = nearest(found)
    return {
        "board": contrasts.board.title,
        "reference": REFERENCE,
        "paired": contrasts.paired,
        "false_discovery_rate": RATE,
        "front": sorted(place.name for place in found if place.standing.endswith("front")),
        "nearest": best.name if best else None,
        "rows": [_row_json(place, contrasts) | {"size": sizes.of(place.name).json()} for place in found[:limit]],
    }


def _row_json(place: Place, contrasts: PairedDifferences) -> dict[str, Any]:
    return {
        "name": place.name,
        "standing": place.standing,
        "mean": place.mean,
        "scores": place.scores,
        "dominated_by": dominators(contrasts, place.name) if place.dominated else (),
        "surely_dominated_by": place.surely_dominated_by,
        "above_reference": place.above,
        "shortfall": place.shortfall if place.gaps else None,
        "distance": place.distance,
        "lacking": place.lacking,
        "p_beats_reference_on_all": place.p_beats if place.gaps else None,
        "versus_reference": {
            task: {"difference": gap.difference, "noise": gap.noise, "p": gap.p, "sure": task in place.sure}
            for task, gap in place.gaps.items()
        },
    }


def sure_cells(contrasts: PairedDifferences, reference: str = REFERENCE) -> set[tuple[str, TaskName]]:
    """Rows and tasks whose difference to the reference is more than chance, counting all cells of the table."""
    if reference not in contrasts.names or contrasts.board.noise_is_assumed:
        return set()
    lead = contrasts.lead(reference)  # of the reference over each row: the sizes are those of each row over it
    rows, columns = np.nonzero(~lead.same)
    chances = benjamini_hochberg(lead.p_either()[rows, columns])
    return {
        (contrasts.names[row], contrasts.board.tasks[column])
        for row, column, p in zip(rows, columns, chances, strict=True)
        if p <= RATE
    }


def surely_front(contrasts: PairedDifferences) -> frozenset[str]:
    """Rows that are above every other row on some task by more than chance, counting all rows of the board.

    Only what no other row dominates on the means can be one, so that this is fast for ten thousand rows.
    """
    if contrasts.board.noise_is_assumed:
        return frozenset()
    names, ps = contrasts.names, np.ones(len(contrasts.names))
    front = np.array(sorted(undominated(contrasts.means)), dtype=np.intp)
    for place, row in enumerate(front):
        among = _p_front(contrasts.lead(names[row], front), place) if len(front) > 1 else 0.0
        ps[row] = _p_front(contrasts.lead(names[row]), row) if among <= RATE else 1.0  # more rivals only make it larger
    return frozenset(names[row] for row in np.flatnonzero(benjamini_hochberg(ps) <= RATE))


@dataclass(frozen=True)
class Look:
    """One row compared with all others."""

    dominated: bool
    """On the means, by any row."""
    p_dominated: float
    """1 where it is too large to be sure."""
    above: int
    """The row that most surely dominates this one."""
    gaps: Mapping[TaskName, Gap]


def look(contrasts: PairedDifferences, own: int, reference: str, versus: Lead | None, least: Array) -> Look:
    """Compare one row of a board with all other rows and with the reference.

    own: the number of the row. versus: the lead of the reference, where the board has it. least: what a row has to be
    ahead on each task to be surely so.
    """
    rivals = contrasts.not_behind(own)
    p_dominated, above = _p_dominated(contrasts, own, contrasts.not_behind(own, least, rivals))
    gaps = {}
    if versus is not None and contrasts.names[own] != reference:
        gaps = {task: _turned(versus.gap(own, task)) for task in contrasts.board.tasks}
    return Look(_is_dominated(contrasts, own, rivals), p_dominated, above, gaps)


def _turned(gap: Gap) -> Gap:
    """The gap as the other row sees it."""
    return replace(gap, difference=0.0 - gap.difference)


def _is_dominated(contrasts: PairedDifferences, own: int, rivals: NDArray[np.intp]) -> bool:
    """Whether any rival dominates on the means: of a dominated row, one of the first few mostly does."""
    return any(dominate(-contrasts.difference(own, part)).any() for part in (rivals[:FEW], rivals[FEW:]) if part.size)


def _p_dominated(contrasts: PairedDifferences, own: int, rivals: NDArray[np.intp]) -> tuple[float, int]:
    """p-value of being dominated by some row, and the row that most likely dominates.

    A tie to the last digit does not prevent domination: paired seeds tie if a result was inherited, or if a change
    never took effect. rivals: those that may be sure.
    """
    lead = contrasts.lead(contrasts.names[own], rivals)
    tie = lead.same | (lead.difference == 0)
    rows = np.flatnonzero((tie | (lead.difference < 0)).all(axis=1) & ~tie.all(axis=1))
    if not rows.size:
        return 1.0, own
    p = np.where(tie[rows], 0.0, lead.p_below(rows)).max(axis=1)
    return min(1.0, float(p.min()) * (len(contrasts.names) - 1)), int(rivals[rows[p.argmin()]])


def _p_front(lead: Lead, own: int) -> float:
    """p-value of being above each other row on some task; the task may differ from row to row."""
    p = np.minimum(1.0, lead.difference.shape[1] * lead.p_above().min(axis=1))
    return float(np.delete(p, own).max()) if len(p) > 1 else 1.0


def _p_beats(versus: Lead | None, names: Sequence[str], rows: Container[str]) -> Array:
    """p-values of some rows being above the reference on all tasks: the largest of the one-sided ones of the tasks."""
    if versus is None:
        return np.ones(0)
    above = [place for place, name in enumerate(names) if name in rows]
    half = versus.p_either()[above] / 2
    found: Array = np.where(versus.difference[above] < 0, half, 1 - half).max(axis=1)
    return found
