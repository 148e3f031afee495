"""A leaderboard on a terminal: one line a variant where it is wide, a few where it is narrow."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from agent.analysis.boards.inert import inert_legend
from agent.analysis.boards.leaderboard import AT_FLOOR, BoardRow, Leaderboard
from agent.terminal.console import Cell, Fitting, Grid
from agent.terminal.view import OUTCOME_MARK, OUTCOME_STYLE, score_text, stacked
from agent.words import accuracy, distance
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import TASKS
from variants.contract import short_name


def board_view(board: Leaderboard) -> RenderableType:
    """The table, best first as given; what is no variant stands below it."""
    tasks, rows = board.tasks, (*board.rows, *board.below)
    cells = [[_cell(row, task) for task in tasks] for row in rows]
    wide = Grid(
        ("variant", "to goal", "mean", *tasks, "n", "params", "state"),
        [
            (
                short_name(r.name),
                distance(r.distance),
                _mean(r),
                *own,
                str(r.n or "–"),
                r.size.parameters_text,
                (r.size.state_text, _size_style(r)),
            )
            for r, own in zip(rows, cells, strict=True)
        ],
        frozenset({1, 2, 3 + len(tasks), 4 + len(tasks), 5 + len(tasks)}),
    )
    labels = Grid([TASKS[task].short for task in tasks], cells)
    pairs = ((_head(row), task_pairs(tasks, own)) for row, own in zip(rows, cells, strict=True))
    body = Fitting(
        (
            (wide.width, lambda: wide),
            (labels.width + 5, lambda: Group(*_under([_head(row) for row in rows], labels))),
            (0, lambda: stacked(pairs)),
        )
    )
    legend = inert_legend(inert for row in rows for inert in row.inert.values())
    return Group(
        Text(board.title, "italic"), body, *(Text(line, "dim") for line in (legend, board.sizes, board.ends) if line)
    )


def _size_style(row: BoardRow) -> str:
    """A state that is larger than the baseline's stands out: such a row had an advantage."""
    return "yellow" if row.size.is_larger else "dim"


def _mean(row: BoardRow) -> str:
    return "–" if row.mean is None else accuracy(row.mean)


def _head(row: BoardRow) -> tuple[Cell, ...]:
    return (
        distance(row.distance),
        _mean(row),
        (short_name(row.name), "bold"),
        (f"n {row.n or '–'}", "dim"),
        (row.size.words, _size_style(row)),
    )


def _under(heads: Sequence[Sequence[Cell]], labels: Grid) -> list[RenderableType]:
    """The labels once, then each head with its line of cells."""
    widths = labels.widths()
    lines = [
        Text("     ").append("  ".join(f"{name:{w}}" for name, w in zip(labels.header, widths, strict=True)), "bold")
    ]
    parts: list[RenderableType] = [*lines]
    for head, cells in zip(heads, labels.rows, strict=True):
        padded = [_padded(cell, width) for cell, width in zip(cells, widths, strict=True)]
        parts += [stacked([(head, ())]), Text("     ").append_text(Text("  ").join(padded))]
    return parts


def _padded(cell: Cell, width: int) -> Text:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text(f"{text:{width}}", style)


def task_pairs(tasks: Sequence[TaskName], cells: Sequence[Cell]) -> list[Cell]:
    """Two tasks with their names on each narrow line."""
    texts = [cell if isinstance(cell, str) else cell[0] for cell in cells]
    width = max((len(TASKS[task].short) for task in tasks), default=0)
    named = [f"{TASKS[task].short:{width}} {text:16}" for task, text in zip(tasks, texts, strict=True)]
    return ["  ".join(named[at : at + 2]).rstrip() for at in range(0, len(named), 2)]


def _cell(row: BoardRow, task: TaskName) -> Cell:
    score, outcome = row.scores.get(task), row.outcome(task)
    if score is None:
        return "–"
    marks = [AT_FLOOR] if task in row.at_floor else []
    marks += [row.inert[task].mark] if task in row.inert else []
    if outcome not in ("better", "worse"):
        return " ".join([score_text(score), *marks]), "cyan" if task in row.inert else ""
    return " ".join([score_text(score), *marks, OUTCOME_MARK[outcome]]), OUTCOME_STYLE[outcome]
