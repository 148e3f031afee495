"""The Pareto front of a leaderboard over its six tasks, and who comes nearest to beating the reference on all six."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agent.board import Board
from variants.contract import REFERENCE, TASKS, Task

Standing = Literal["surely front", "front", "dominated", "surely dominated"]


@dataclass(frozen=True)
class Gap:
    """Score of one row less that of another on one task. `noise`: what chance alone exceeds in 5 of 100 cases."""

    difference: float
    noise: float
    cannot_differ: bool = False
    """Both rows compute the same function there: whatever lies between them is chance."""

    @property
    def beyond_noise(self) -> bool:
        """Whether the difference says anything."""
        return abs(self.difference) > self.noise and not self.cannot_differ


@dataclass(frozen=True)
class Place:
    """Where one variant stands: on the front or below whom, and its distance to the reference on each task."""

    name: str
    mean: float
    """Of the six tasks."""
    dominated_by: tuple[str, ...]
    """Rows that are at least as good on all six means, and better on one."""
    surely_dominated_by: tuple[str, ...]
    """Rows that are above by more than noise wherever the two can differ at all."""
    surely_front: bool
    """Above every other row on some task by more than noise, so that no row can dominate it but by bad luck."""
    gaps: Mapping[Task, Gap]
    """To the reference; empty where the board has none."""

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


def places(board: Board, reference: str = REFERENCE) -> tuple[Place, ...]:
    """Every row with all six tasks, the nearest to beating the reference first: most tasks above, then least short."""
    names = sorted(name for name, row in board.scores.items() if all(task in row for task in TASKS))
    between = {(a, b): gaps(board, a, b) for a in names for b in names if a != b}
    found = [
        Place(
            name=name,
            mean=sum(board.scores[name][task].mean for task in TASKS) / len(TASKS),
            dominated_by=tuple(other for other in names if other != name and _dominates(between[other, name])),
            surely_dominated_by=tuple(
                other for other in names if other != name and _surely_dominates(between[other, name])
            ),
            surely_front=all(_stands_out(between[name, other]) for other in names if other != name),
            gaps=gaps(board, name, reference) if reference in names and name != reference else {},
        )
        for name in names
    ]
    return tuple(sorted(found, key=lambda place: (-len(place.above), place.shortfall, -place.mean, place.name)))


def gaps(board: Board, name: str, other: str) -> dict[Task, Gap]:
    """One row less another on the tasks that both have, with what noise does to a difference of so many seeds."""
    found = {}
    for task in (task for task in TASKS if task in board.scores[name] and task in board.scores[other]):
        ours, theirs = board.scores[name][task], board.scores[other][task]
        noise = board.least_difference(task, ours.n, theirs.n)
        found[task] = Gap(ours.mean - theirs.mean, noise, board.one_function(name, other, task))
    return found


def nearest(found: tuple[Place, ...]) -> Place | None:
    """Who comes nearest to beating the reference on all six tasks; None without a reference or a rival."""
    return next((place for place in found if place.gaps), None)


def front_json(board: Board, found: tuple[Place, ...]) -> dict[str, Any]:
    """The document of `archer leaderboard --front --json`."""
    best = nearest(found)
    return {
        "board": board.title,
        "reference": REFERENCE,
        "front": sorted(place.name for place in found if place.standing.endswith("front")),
        "nearest": best.name if best else None,
        "rows": [_row_json(board, place) for place in found],
    }


def _row_json(board: Board, place: Place) -> dict[str, Any]:
    return {
        "name": place.name,
        "standing": place.standing,
        "mean": place.mean,
        "scores": {task: board.scores[place.name][task].mean for task in TASKS},
        "dominated_by": place.dominated_by,
        "surely_dominated_by": place.surely_dominated_by,
        "above_reference": place.above,
        "shortfall": place.shortfall if place.gaps else None,
        "versus_reference": {
            task: {"difference": gap.difference, "noise": gap.noise, "beyond_noise": gap.beyond_noise}
            for task, gap in place.gaps.items()
        },
    }


def _dominates(leads: Mapping[Task, Gap]) -> bool:
    differences = [gap.difference for gap in leads.values()]
    return min(differences) >= 0 and max(differences) > 0


def _surely_dominates(leads: Mapping[Task, Gap]) -> bool:
    """Above by more than noise on every task where the two can differ, and on one at least.

    A tie to the last digit counts as the same function: paired seeds give one where a result was inherited.
    """
    can = [gap for gap in leads.values() if not gap.cannot_differ and gap.difference != 0]
    return bool(can) and all(gap.difference > 0 and gap.beyond_noise for gap in can)


def _stands_out(leads: Mapping[Task, Gap]) -> bool:
    return any(gap.difference > 0 and gap.beyond_noise for gap in leads.values())
