"""Leaderboards as other people write them: separators, columns, names of tasks, percentages, cells without a score.

What was understood is said, one sentence for each thing that the published form (`archive/tables/leaderboard_csv.py`)
does otherwise. What can be read in two ways is refused.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from archive.errors import LeaderboardError
from archive.tables.leaderboard_csv import read_csv_text
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import MAD_TASKS, TASKS

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "|"}
_NAME_HEADERS = {"name", "names", "model", "modelname", "variant", "architecture", "arch", "mixer", "layer"}
_MISSING = {"", "nan", "na", "n/a", "none", "null", "-", "–", "—", "?", "#n/a"}
_MEASURE = re.compile(r"(?i)\b(?:test|accuracy|acc|score|mean|percent)\b|%")
_CELL = re.compile(r"([+-]?[\d.,]+(?:e[+-]?\d+)?)\s*(%?)\s*(?:(?:±|\+/?-).*|\([\d.,\s%±]*\))?", re.IGNORECASE)

MOST_ROWS = 500_000
"""Rows of a table that is read whole: each takes some hundred bytes."""
MOST_TOLD = 6
"""Names of ignored columns that are printed."""


@dataclass(frozen=True)
class ForeignLeaderboard:
    """A leaderboard that was read (index: names; columns: tasks; NaN: not measured), and how it was read."""

    table: "pd.DataFrame"
    understood: tuple[str, ...]


@dataclass(frozen=True)
class _Sheet:
    """Cells as text, as wide as the header in every row."""

    source: str
    separator: str
    header: list[str]
    rows: list[list[str]]

    def column(self, index: int) -> list[str]:
        return [row[index] for row in self.rows]


def read_foreign_leaderboard(path: Path, tasks: Sequence[TaskName] = MAD_TASKS) -> ForeignLeaderboard:
    """Read a leaderboard that anybody wrote. Raises LeaderboardError: what is wrong, where, and how to mend it."""
    return parse_foreign_leaderboard(read_csv_text(path), str(path), tasks)


def parse_foreign_leaderboard(text: str, source: str, tasks: Sequence[TaskName] = MAD_TASKS) -> ForeignLeaderboard:
    """Read a leaderboard from text. source: the name that errors give. Raises LeaderboardError."""
    import pandas as pd

    sheet = _sheet(text, source, tasks)
    columns = _task_columns(sheet, tasks)
    at = _name_column(sheet, set(columns.values()))
    names = sheet.column(at)
    scores, said_of_cells = _accuracies(sheet, names, columns)
    table = pd.DataFrame(scores, index=pd.Index(names, name="name"), columns=list(tasks)).dropna(how="all")
    if table.empty:
        raise LeaderboardError(f"{source}: no row has a score; give accuracies from 0 to 1")
    understood = [
        *([] if sheet.separator == "," else [f"cells are separated by {_SEPARATORS[sheet.separator]}"]),
        *_said_of_columns(sheet, at, set(columns.values())),
        *(f"{sheet.header[column]!r} is {task}" for task, column in columns.items() if sheet.header[column] != task),
        *said_of_cells,
        *_gaps(table, names),
    ]
    return ForeignLeaderboard(table, tuple(understood))


def _sheet(text: str, source: str, tasks: Sequence[TaskName]) -> _Sheet:
    """The separator is the one by which the header names the most tasks."""
    text = re.sub(r"\Asep=.\r?\n", "", text)  # what Excel writes to tell itself the separator

    def rows_by(separator: str) -> Iterator[list[str]]:
        found = csv.reader(io.StringIO(text), delimiter=separator)
        return (cells for row in found if any(cells := [cell.strip() for cell in row]))

    def recognised(separator: str) -> int:
        return sum(_task(cell, tasks) is not None for cell in next(rows_by(separator), []))

    try:
        separator = max(_SEPARATORS, key=recognised)
        header, *rows = list(islice(rows_by(separator), MOST_ROWS + 2)) or [[]]
    except csv.Error as error:
        raise LeaderboardError(f"{source}: not CSV ({error}); give a table of plain text cells") from None
    if len(rows) > MOST_ROWS:
        raise LeaderboardError(f"{source}: more than {MOST_ROWS:,} rows; give a table with a row per variant")
    if header and _task(header[0], tasks) and rows and all(len(row) == len(header) + 1 for row in rows):
        header = ["", *header]  # as R writes a table: the names have no header
    width = len(header)
    for row in rows:
        if any(row[width:]):
            raise LeaderboardError(f"{source}: {row[0]}: {len(row)} cells under a header of {width}; mend the row")
    return _Sheet(source, separator, header, [[*row, *[""] * width][:width] for row in rows])


def _task(header: str, tasks: Sequence[TaskName]) -> TaskName | None:
    """The task that a column is of: by archer's name, full or short, or by another project's."""
    return _known_names(tuple(tasks)).get(_letters(_MEASURE.sub("", re.sub(r"[_/]", " ", header))))


@cache
def _known_names(tasks: tuple[TaskName, ...]) -> dict[str, TaskName]:
    return {_letters(name): task for task in tasks for name in (task, TASKS[task].short, *TASKS[task].elsewhere)}


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _task_columns(sheet: _Sheet, tasks: Sequence[TaskName]) -> dict[TaskName, int]:
    found = [(task, index) for index, cell in enumerate(sheet.header) if (task := _task(cell, tasks)) is not None]
    missing = [task for task in tasks if task not in dict(found)]
    if missing:
        raise LeaderboardError(
            f"{sheet.source}: no column for {', '.join(missing)}; the header must be a name column, then "
            f"{', '.join(tasks)}; leave cells of tasks that were not measured empty"
        )
    repeated = [task for task, count in Counter(task for task, _ in found).items() if count > 1]
    if repeated:
        raise LeaderboardError(f"{sheet.source}: column {', '.join(repeated)} occurs twice; keep one")
    if not sheet.rows:
        raise LeaderboardError(f"{sheet.source}: no rows; add one line per variant under the header")
    columns = dict(found)
    return {task: columns[task] for task in tasks}


def _name_column(sheet: _Sheet, taken: set[int]) -> int:
    """The column of names: what a header calls so, else the first that holds text; never one of numbers."""
    free = [index for index in range(len(sheet.header)) if index not in taken]
    texts = [index for index in free if not all(_is_number(cell) for cell in sheet.column(index) if cell)]
    if not texts:
        first = ", ".join(sheet.column(free[0])[:3]) if free else ""
        held = f"the first column holds numbers ({first}, ...)" if free else "none is left"
        raise LeaderboardError(f"{sheet.source}: no column of names: {held}; add a column with a name for each row")
    called = [index for index in texts if _letters(sheet.header[index]) in _NAME_HEADERS]
    unique = [index for index in (*called, *texts) if len(set(sheet.column(index))) == len(sheet.rows)]
    at = [*unique, *called, *texts][0]
    _refuse_bad_names(sheet.column(at), sheet.source)
    return at


def _said_of_columns(sheet: _Sheet, at: int, tasks: set[int]) -> list[str]:
    """Which column holds the names where it is not the first, which are an index before it, and which are ignored."""
    others = [index for index in range(len(sheet.header)) if index != at and index not in tasks]
    numbered = [index for index in others if index < at and all(map(_is_number, filter(None, sheet.column(index))))]
    ignored = [sheet.header[index] for index in others if index not in numbered and sheet.header[index]]
    more = f" and {len(ignored) - MOST_TOLD} more" if len(ignored) > MOST_TOLD else ""
    return [
        *(f"column {index + 1} ({sheet.header[index] or 'no header'}) is an index" for index in numbered),
        *([f"column {at + 1} ({sheet.header[at] or 'no header'}) holds the names"] if at else []),
        *([f"ignored: {', '.join(ignored[:MOST_TOLD])}{more}"] if ignored else []),
    ]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _refuse_bad_names(names: list[str], source: str) -> None:
    if not all(names):
        raise LeaderboardError(f"{source}: row {names.index('') + 1} has no name; fill it in")
    if numbers := [name for name in names if _is_number(name)]:
        raise LeaderboardError(f"{source}: {', '.join(numbers)} is no name of a variant; give each row a name")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise LeaderboardError(f"{source}: {', '.join(repeated)} occurs more than once; keep one row per variant")


def _accuracies(sheet: _Sheet, names: list[str], columns: dict[TaskName, int]) -> tuple[list[list[float]], list[str]]:
    """Accuracies from 0 to 1 by row and task, NaN where there is none, and what was understood of the cells."""
    comma = sheet.separator != "," and _has_decimal_commas(sheet, columns)
    cells = {
        task: [_number(cell, comma, f"{sheet.source}: {name}, {task}") for name, cell in zip(names, own, strict=True)]
        for task, column in columns.items()
        for own in [sheet.column(column)]
    }
    signed = [
        task
        for task, column in columns.items()
        if "%" in sheet.header[column] or any(_in_percent(cell) for cell in sheet.column(column))
    ]
    others = [abs(x) for task in cells if task not in signed for x in cells[task] if not math.isnan(x)]
    percent = [task for task in cells if task in signed or (others and median(others) > 1)]
    scores = {task: [x / 100 if task in percent else x for x in own] for task, own in cells.items()}
    for task, own in scores.items():
        for name, x, cell in zip(names, own, sheet.column(columns[task]), strict=True):
            if not math.isnan(x) and not 0 <= x <= 1:
                read = "percent" if task in percent else "a share of 1"
                raise LeaderboardError(
                    f"{sheet.source}: {name}, {task}: {cell!r}, read as {read}, is no accuracy; "
                    "give all accuracies from 0 to 1, or all in percent"
                )
    told = "all accuracies" if len(percent) == len(cells) else ", ".join(percent)
    noisy = any("±" in cell or "+" in cell[1:] or "(" in cell for cell in chain(*map(sheet.column, columns.values())))
    said = [
        *(["a comma is the decimal point"] if comma else []),
        *([f"{told} in percent, divided by 100"] if percent else []),
        *(["what stands beside a number (±, brackets) is left out"] if noisy else []),
    ]
    return [list(row) for row in zip(*scores.values(), strict=True)], said


def _has_decimal_commas(sheet: _Sheet, columns: dict[TaskName, int]) -> bool:
    cells = [cell for column in columns.values() for cell in sheet.column(column)]
    return any("," in cell for cell in cells) and not any("." in cell for cell in cells)


def _number(cell: str, comma: bool, where: str) -> float:
    """The number in a cell; NaN where the cell says that there is none. Raises LeaderboardError."""
    if cell.casefold() in _MISSING:
        return math.nan
    found = _CELL.fullmatch(cell)
    try:
        return float((found[1].replace(",", ".") if comma else found[1]) if found else cell)
    except ValueError:
        hint = "give an accuracy, or leave the cell empty"
        raise LeaderboardError(f"{where}: {cell!r} is not a number; {hint}") from None


def _in_percent(cell: str) -> bool:
    """Whether a percent sign follows its number; behind ± or in brackets it is of the error."""
    found = _CELL.fullmatch(cell)
    return bool(found and found[2])


def _gaps(table: "pd.DataFrame", names: list[str]) -> list[str]:
    some = int(table.isna().any(axis=1).sum())
    dropped = [name for name in names if name not in table.index]
    return [
        *([f"rows that lack a task, which count for the tasks they have: {some}"] if some else []),
        *([f"rows without any score, left out: {', '.join(dropped)}"] if dropped else []),
    ]
