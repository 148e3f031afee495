"""Leaderboards as a prompt prints them: short names, means, what each row lacks; and the scale to read them on."""

from collections.abc import Iterable, Sequence

from agent.analysis.boards.board import PUBLISHED_PROTOCOL, Board
from agent.analysis.boards.challenge import Challenge, distances, means_of
from agent.analysis.boards.floors import ceiling, floor
from agent.analysis.boards.leaderboard_facts import leader
from agent.analysis.snapshot import ArchiveSnapshot
from agent.proposers.llm.prompt.facts import LeaderboardRow, RungRows
from agent.words import accuracy, counted
from evaluator.protocols.built_in import tasks_of
from evaluator.statistics.over_tasks import mean_over_tasks
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, REFERENCE, short_name

NONE = "–"
ONE_SEED = " (one seed)"
MOST_MEASURED = 14
MOST_PUBLISHED = 4
"""Rows beside those that are kept. Published ones are of another protocol."""


def board_rows(board: Board, parents: Iterable[str]) -> tuple[LeaderboardRow, ...]:
    """All rows, nearest to the challenge first. Baseline, reference, parents and the best of a task are never cut."""
    kept = {BASELINE, REFERENCE, *parents, *(leader(board, task) for task in board.tasks)}
    challenge = Challenge.of(board)
    scored = (name for name, scores in board.scores.items() if scores)
    rows = []
    for place, (name, distance) in enumerate(distances(board, scored).items()):
        means = means_of(board.scores[name])
        cells = tuple(accuracy(means[task]) if task in means else NONE for task in board.tasks)
        lacks = NONE if distance is None or name == REFERENCE else f"{distance:.1f}"
        lacks = lacks if challenge else ""
        rows.append(LeaderboardRow(name=short_name(name), cells=cells, rank=-place, keep=name in kept, lacks=lacks))
    return tuple(rows)


def nearest_rows(board: Board, parents: Iterable[str]) -> tuple[tuple[LeaderboardRow, ...], str]:
    """The kept rows and those nearest to the challenge; and a sentence on the others, empty where there are none."""
    rows = board_rows(board, parents)
    others = [row for row in rows if not row.keep]
    left = others[MOST_MEASURED:]
    names = ", ".join(f"`{row.name}`" for row in left)
    told = f"{counted(len(left), 'more row')}, all below these: {names}." if left else ""
    return tuple(row for row in rows if row not in left), told


def published_rows(board: Board, parents: Iterable[str]) -> tuple[LeaderboardRow, ...]:
    """The kept rows of the published table and a few of the nearest to the challenge."""
    rows = board_rows(board, parents)
    others = [row for row in rows if not row.keep][:MOST_PUBLISHED]
    return tuple(row for row in rows if row.keep or row in others)


def rows_above(snapshot: ArchiveSnapshot) -> tuple[RungRows, ...]:
    """All rows that were measured on every task of a larger protocol, by their mean, and below them the floor."""
    found = []
    for protocol, scores in snapshot.above.items():
        tasks = tasks_of(protocol)
        means = {name: mean_over_tasks(own, tasks) for name, own in scores.items()}
        ranked = sorted(((mean, name) for name, mean in means.items() if mean is not None), reverse=True)
        rows = tuple(
            LeaderboardRow(
                name=short_name(name) + (ONE_SEED if any(scores[name][task].n == 1 for task in tasks) else ""),
                cells=tuple(accuracy(scores[name][task].mean) for task in tasks),
                rank=-place,
                keep=name in (BASELINE, REFERENCE),
            )
            for place, (_, name) in enumerate(ranked)
        )
        found += [RungRows(protocol=protocol, tasks=tasks, rows=(*rows, *_floor_row(protocol, tasks)))] if rows else []
    return tuple(found)


def scale_rows(board: Board) -> tuple[LeaderboardRow, ...]:
    """What a score is held against, task by task: the goal, the noise, the floor and the ceiling."""
    rows, challenge = [], Challenge.of(board)
    if challenge is not None:
        goals = tuple(accuracy(challenge.goals[task]) for task in board.tasks)
        noise = tuple(accuracy(challenge.noise[task]) for task in board.tasks)
        rows += [_scale("goal", goals), _scale("unit of noise", noise)]
    if board.protocol != PUBLISHED_PROTOCOL:
        rows += _floor_row(board.protocol, board.tasks)
    if reached := ceiling(board.protocol):
        rows.append(_scale("ceiling", tuple("1, reached" if task in reached else "1" for task in board.tasks)))
    return tuple(rows)


def _floor_row(protocol: str, tasks: Sequence[TaskName]) -> tuple[LeaderboardRow, ...]:
    """What reads no memory, as one row; none where no control was measured."""
    low = floor(protocol)
    return (_scale("no memory", tuple(accuracy(low[task]) if task in low else NONE for task in tasks)),) if low else ()


def _scale(name: str, cells: tuple[str, ...]) -> LeaderboardRow:
    return LeaderboardRow(name=name, cells=cells, rank=0.0, keep=True)
