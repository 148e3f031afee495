"""What a researcher wants to know of a board in a minute, counted: tried, better beyond noise, at what cost."""

from collections import Counter
from dataclasses import dataclass
from statistics import median

from agent.site.content.board import SiteBoard
from agent.site.content.row import DAMAGED, Against, Role, Row, Span
from agent.words import NO_EFFECT, told_outcome
from evaluator.outcomes import Status
from evaluator.statistics.false_discovery import LEVELS
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, REFERENCE, short_name

FALSE_BETTER = 0.025
"""Share of comparisons without an effect whose 95 % interval lies above zero."""


@dataclass(frozen=True)
class TaskFacts:
    """One task: floor, the two references, the best proposal, and how all proposals did against the reference."""

    task: TaskName
    floor: Span | None
    baseline: Span | None
    reference: Span | None
    best: Row | None
    score: Span | None
    against: Against | None
    tally: Counter[str]


@dataclass(frozen=True)
class Spent:
    """Cost of all proposals of a board. `usd` is None where a price is unknown."""

    cpu: float
    each: float
    tokens: int
    usd: float | None


@dataclass(frozen=True)
class OverviewFacts:
    """The head of the overview."""

    statuses: dict[str, int]
    tasks: tuple[TaskFacts, ...]
    standouts: tuple[Row, ...]
    compared: int
    better: int
    all_tasks: tuple[Row, ...]
    """Better than the reference on all of them."""
    tested: int
    """Proposals whose mean was tested against their parent's, or another's."""
    discovered: dict[Role, tuple[Row, ...]]
    """Those better in the mean than the variant in that role at a false discovery rate of 10 %, surest first."""
    confirmations: tuple[Row, ...]
    """Would-be new bests that were tried on fresh seeds, oldest first."""
    steps: tuple[Row, ...]
    """Each proposal that had the best mean of all tasks when it was scored, oldest first."""
    spent: Spent

    @property
    def by_chance(self) -> float:
        """Comparisons expected to come out better if no proposal had any effect."""
        return FALSE_BETTER * self.compared


def facts(board: SiteBoard) -> OverviewFacts:
    """Count them."""
    proposals = board.proposals
    scored = [row for row in proposals if row.whole or any(row.scores)]
    found = [a for row in scored for a in row.versus.get("reference", ()) if a and a[0] != "inert" and a[4] > 1]
    count = Counter(row.status for row in proposals)
    return OverviewFacts(
        statuses={status: count[status] for status in (*Status, NO_EFFECT, DAMAGED) if count[status]},
        tasks=tuple(_task(board, scored, index, task) for index, task in enumerate(board.tasks)),
        standouts=tuple(
            sorted((row for row in scored if _stands_out(board, row)), key=lambda row: _rank(board, row))[:5]
        ),
        compared=len(found),
        better=sum(against[0] == "better" for against in found),
        all_tasks=tuple(row for row in scored if wins(board, row, "reference") == len(board.tasks)),
        tested=sum(bool(row.discovered) for row in proposals),
        discovered={role: _discovered(scored, role) for role in ("parent", "baseline", "reference")},
        confirmations=tuple(row for row in proposals if row.fresh),
        steps=tuple(_steps(scored)),
        spent=_spent(proposals),
    )


def outcome_tasks(board: SiteBoard, row: Row, role: Role, outcome: str) -> list[TaskName]:
    """Tasks on which the row came out so against the variant in that role."""
    return [
        task
        for task, found in zip(board.tasks, row.versus.get(role, ()), strict=False)
        if found and told_outcome(found[0], found[4]) == outcome
    ]


def wins(board: SiteBoard, row: Row, role: Role) -> int:
    """Number of tasks better beyond noise."""
    return len(outcome_tasks(board, row, role, "better"))


def _discovered(scored: list[Row], role: Role) -> tuple[Row, ...]:
    found = [row for row in scored if row.discovered.get(role, 1.0) <= LEVELS[-1]]
    return tuple(sorted(found, key=lambda row: row.discovered[role]))


def _task(board: SiteBoard, scored: list[Row], index: int, task: TaskName) -> TaskFacts:
    holders = [row for row in scored if row.scores[index]]
    best = max(holders, key=lambda row: (row.scores[index] or (0,))[0], default=None)
    against = best.versus.get("reference") if best else None
    outcomes = (found[index] for row in scored if (found := row.versus.get("reference")))
    return TaskFacts(
        task=task,
        floor=board.floor[index],
        baseline=_score(board, BASELINE, index),
        reference=_score(board, REFERENCE, index),
        best=best,
        score=best.scores[index] if best else None,
        against=against[index] if against else None,
        tally=Counter(told_outcome(found[0], found[4]) for found in outcomes if found),
    )


def _score(board: SiteBoard, name: str, index: int) -> Span | None:
    row = board.named(short_name(name))
    return row.scores[index] if row and row.scores else None


def _stands_out(board: SiteBoard, row: Row) -> bool:
    return wins(board, row, "reference") + wins(board, row, "baseline") > 0


def _rank(board: SiteBoard, row: Row) -> tuple[bool, float, int, int]:
    """Nearest to the challenge; then most tasks gained over the baseline, less those lost; then the mean."""
    net = wins(board, row, "baseline") - len(outcome_tasks(board, row, "baseline", "worse"))
    return row.distance is None, row.distance or 0.0, -net, -(row.whole or (0,))[0]


def _steps(scored: list[Row]) -> list[Row]:
    steps: list[Row] = []
    for row in scored:
        if row.whole and (not steps or row.whole[0] > (steps[-1].whole or (0,))[0]):
            steps.append(row)
    return steps


def _spent(proposals: list[Row]) -> Spent:
    cpu = [row.cpu for row in proposals]
    prices = [row.usd for row in proposals if row.tokens]
    known = [price for price in prices if price is not None]
    return Spent(
        cpu=sum(cpu),
        each=median(cpu) if cpu else 0.0,
        tokens=sum(row.tokens for row in proposals),
        usd=sum(known) if len(known) == len(prices) else None,
    )
