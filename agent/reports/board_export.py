"""A leaderboard for papers and spreadsheets: CSV, Markdown, LaTeX."""

import csv
import io
from collections.abc import Sequence
from enum import StrEnum

from agent.analysis.boards.inert import Inert, inert_legend
from agent.analysis.boards.leaderboard import AT_FLOOR, BoardRow, Leaderboard
from agent.words import accuracy, interval, verdict_words
from evaluator.tasks.names import TaskName
from variants.contract import short_name

_MARKS = {"better": "▲", "worse": "▼"}
_LATEX_MARKS = {
    "°": r"$^{\circ}$",
    "▲": r"$\uparrow$",
    "▼": r"$\downarrow$",
    "=": "$=$",
    "±": r"$\pm$",
    "×": r"$\times$",
}
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
    | {char: f"\\{char}" for char in "&%$#_{}"}
)
_MARKDOWN = str.maketrans({char: f"\\{char}" for char in r"\`*_{}[]<>#|!~"} | {"\n": " "})


class BoardFormat(StrEnum):
    """Forms that a leaderboard can be written in."""

    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


def write_board(form: BoardFormat, board: Leaderboard) -> str:
    """The table as text that ends with a line break. What is no variant stands below the rows.

    In CSV the controls are told only by the floor that they give: whatever reads it takes rows for variants.
    """
    writers = {BoardFormat.CSV: _csv, BoardFormat.MARKDOWN: _markdown, BoardFormat.LATEX: _latex}
    return writers[form](board)


def _csv(board: Leaderboard) -> str:
    """Name, mean, then per task: mean, ends of the 95 % interval, n, verdict, whether it can differ, and the floor.

    One seed has no interval. `cannot differ from`: a variant, and at what share of the settings. `over floor`: the
    mean less that of the better control. `at floor`: `yes` where that is not more than noise. Cells of a task that was
    not measured are empty.
    Last, the size of a mixer: `state times baseline` is `grows` where it has no bound, `?` where it is hidden.
    `archer import-csv` reads it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    parts = ("", " low", " high", " n", " verdict", " cannot differ from", " over floor", " at floor")
    tasks, floor = board.tasks, _floor(board)
    columns = [f"{task}{part}" for task in tasks for part in parts]
    writer.writerow(["name", "mean", *columns, "mixer parameters", "state times baseline"])
    for row in board.rows:
        cells: list[object] = []
        for task in tasks:
            score = row.scores.get(task)
            around = (round(score.low, 6), round(score.high, 6)) if score and score.n > 1 else ("", "")
            numbers = (round(score.mean, 6) if score else "", *around)
            cells += [*numbers, score.n if score else "", _verdict(row, task)]
            cells.append(_cannot_differ_from(row.inert.get(task)))
            cells.append(round(score.mean - floor[task], 6) if score and task in floor else "")
            cells.append("yes" if task in row.at_floor else "")
        mean, size = "" if row.mean is None else round(row.mean, 6), row.size
        writer.writerow([row.name, mean, *cells, size.parameters, _state(row)])
    return out.getvalue()


def _state(row: BoardRow) -> object:
    """A number, or the word for a state that has none; empty where it was not measured."""
    size = row.size
    return size.state_text if size.hidden or size.grows or size.state is None else round(size.state, 6)


def _cannot_differ_from(inert: Inert | None) -> str:
    if inert is None:
        return ""
    return inert.of if inert.share == 1 else f"{inert.of} at {inert.share:.3g} of the settings"


def _verdict(row: BoardRow, task: TaskName) -> str:
    found = row.against.tasks.get(task) if row.against else None
    return "" if found is None else verdict_words(found.outcome, found.n)


def _floor(board: Leaderboard) -> dict[TaskName, float]:
    """The mean of the better control, for each task that one has."""
    found: dict[TaskName, float] = {}
    for row in board.controls:
        for task, score in row.scores.items():
            found[task] = max(score.mean, found.get(task, 0.0))
    return found


def _markdown(board: Leaderboard) -> str:
    tasks, best = board.tasks, _best(board.rows, board.tasks)
    lines = [
        f"{_caption(board).translate(_MARKDOWN)}; "
        "the best mean of each column in bold, `[95 % interval]` over n seeds.",
        "",
        "| variant | mean | " + " | ".join(tasks) + " | n | params | state |",
        "| --- | ---: |" + " ---: |" * (len(tasks) + 3),
    ]
    for row in (*board.rows, *board.below):
        cells = [_text(row, task, best, "**{}**") for task in tasks]
        mean = _bold(_mean(row), row in best[None], "**{}**")
        lines.append(
            f"| {short_name(row.name).translate(_MARKDOWN)} | {mean} | {' | '.join(cells)} | {' | '.join(_ends(row))} |"
        )
    return "\n".join(lines) + "\n"


def _latex(board: Leaderboard) -> str:
    """A `table*` of booktabs rules; needs `\\usepackage{booktabs}` and nothing else."""
    tasks, best = board.tasks, _best(board.rows, board.tasks)
    head = " & ".join(["variant", "mean", *tasks, "$n$", "params", "state"])
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table*}",
        r"  \centering",
        rf"  \caption{{{_marked(_caption(board).translate(_LATEX))}}}",
        r"  \small",
        r"  \begin{tabular}{l" + "r" * (len(tasks) + 4) + "}",
        r"    \toprule",
        f"    {head} \\\\",
        r"    \midrule",
    ]
    for row in (*board.rows, *board.below):
        lines += [r"    \midrule"] if row in board.below[:1] else []
        cells = [_marked(_text(row, task, best, r"\textbf{{{}}}")) for task in tasks]
        mean = _bold(_mean(row), row in best[None], r"\textbf{{{}}}")
        name = r"\texttt{" + short_name(row.name).translate(_LATEX) + "}"
        told = " & ".join([name, mean, *cells, *map(_marked, _ends(row))]).replace("–", "--")
        lines.append(f"    {told} \\\\")
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table*}"]) + "\n"


def _ends(row: BoardRow) -> tuple[str, str, str]:
    return "–" if row.mean is None else str(row.n), row.size.parameters_text, row.size.state_text


def _caption(board: Leaderboard) -> str:
    """Protocol, marks, and where scores begin and end."""
    legend = inert_legend(inert for row in board.rows for inert in row.inert.values())
    return "; ".join(part for part in (board.title, legend, board.sizes, board.ends) if part)


def _marked(text: str) -> str:
    for mark, latex in _LATEX_MARKS.items():
        text = text.replace(mark, latex)
    return text


def _text(row: BoardRow, task: TaskName, best: dict[TaskName | None, list[BoardRow]], bold: str) -> str:
    score = row.scores.get(task)
    if score is None:
        return "–"
    around = f" {interval(score.low, score.high)}" if score.n > 1 else ""
    marks = [AT_FLOOR] if task in row.at_floor else []
    marks += [row.inert[task].mark] if task in row.inert else []
    marks += [_MARKS[row.outcome(task)]] if row.outcome(task) in _MARKS else []
    return " ".join([_bold(accuracy(score.mean), row in best[task], bold) + around, *marks])


def _mean(row: BoardRow) -> str:
    return "–" if row.mean is None else accuracy(row.mean)


def _bold(text: str, wanted: bool, bold: str) -> str:
    return bold.format(text) if wanted else text


def _best(rows: Sequence[BoardRow], tasks: Sequence[TaskName]) -> dict[TaskName | None, list[BoardRow]]:
    """Rows with the largest mean, to the three digits shown, per task and (None) over all; ties are all best.

    Of a task, those above the floor: what needs no memory is best at nothing.
    """
    found: dict[TaskName | None, list[BoardRow]] = {
        None: _leaders({id(row): row.mean for row in rows if row.mean is not None}, rows)
    }
    for task in tasks:
        above = [row for row in rows if task in row.scores and task not in row.at_floor]
        found[task] = _leaders({id(row): row.scores[task].mean for row in above}, rows)
    return found


def _leaders(means: dict[int, float], rows: Sequence[BoardRow]) -> list[BoardRow]:
    top = round(max(means.values(), default=0.0), 3)
    return [row for row in rows if id(row) in means and round(means[id(row)], 3) == top]
