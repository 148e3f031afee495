"""A leaderboard on a terminal: one line a variant where it is wide, a few where it is narrow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.text import Text

from agent.analysis.inert import Inert, inert_legend
from agent.terminal.console import Cell, Fitting, Grid
from agent.terminal.view import OUTCOME_MARK, OUTCOME_STYLE, bare_name, score_text, stacked
from evaluator.outcomes import Score, Verdict
from variants.contract import TASKS, Task

ABBREVIATED: dict[Task, str] = {
    "Compress": "Compress",
    "Context Recall": "Context",
    "Fuzzy Recall": "Fuzzy",
    "Memorize": "Memorize",
    "Noisy Recall": "Noisy",
    "Selective Copy": "Sel. Copy",
}


@dataclass(frozen=True)
class BoardRow:
    """One variant of a leaderboard. `against`: its verdict against the gated reference, if there is one.

    `inert`: tasks on which it cannot differ from another row, so that chance alone lies between the two.
    """

    name: str
    scores: dict[Task, Score]
    against: Verdict | None = None
    inert: Mapping[Task, Inert] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean accuracy over all six tasks; a task without a score counts 0, so that nothing rises by a gap."""
        return sum(score.mean for score in self.scores.values()) / len(TASKS)

    @property
    def n(self) -> int:
        """Seeds of the task that has fewest."""
        return min((score.n for score in self.scores.values()), default=0)

    def outcome(self, task: Task) -> str:
        """better, worse, indistinguishable or inert, against the reference."""
        found = self.against.tasks.get(task) if self.against else None
        return found.outcome if found else "indistinguishable"


def board_view(title: str, rows: Sequence[BoardRow]) -> RenderableType:
    """The table, best first as given."""
    cells = [[_cell(row, task) for task in TASKS] for row in rows]
    wide = Grid(
        ("variant", "mean", *TASKS, "n"),
        [(bare_name(r.name), f"{r.mean:.3f}", *own, str(r.n)) for r, own in zip(rows, cells, strict=True)],
        frozenset({1, 8}),
    )
    labels = Grid([ABBREVIATED[task] for task in TASKS], cells)
    pairs = ((_head(row), [_pair(own, i) for i in (0, 2, 4)]) for row, own in zip(rows, cells, strict=True))
    body = Fitting(
        (
            (wide.width, lambda: wide),
            (labels.width + 5, lambda: Group(*_under([_head(row) for row in rows], labels))),
            (0, lambda: stacked(pairs)),
        )
    )
    legend = inert_legend(inert for row in rows for inert in row.inert.values())
    return Group(Text(title, "italic"), body, *([Text(legend, "dim")] if legend else []))


def _head(row: BoardRow) -> tuple[Cell, ...]:
    return (f"{row.mean:.3f}", (bare_name(row.name), "bold"), (f"n {row.n}", "dim"))


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


def _pair(cells: Sequence[Cell], first: int) -> Cell:
    """Two tasks with their names, on one narrow line."""
    texts = [cell if isinstance(cell, str) else cell[0] for cell in cells[first : first + 2]]
    names = [ABBREVIATED[task] for task in TASKS[first : first + 2]]
    return "  ".join(f"{name:9} {text:16}" for name, text in zip(names, texts, strict=True)).rstrip()


def _cell(row: BoardRow, task: Task) -> Cell:
    score, outcome = row.scores.get(task), row.outcome(task)
    if score is None:
        return "–"
    marks = [row.inert[task].mark] if task in row.inert else []
    if outcome not in ("better", "worse"):
        return " ".join([score_text(score), *marks]), "cyan" if marks else ""
    return " ".join([score_text(score), *marks, OUTCOME_MARK[outcome]]), OUTCOME_STYLE[outcome]
