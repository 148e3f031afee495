"""Leaderboards as CSV in the published form: a first column of names, with any header, and one column per task.

An empty cell is a task that was not measured. `archive/tables/foreign_csv.py` reads what other people write.
"""

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import variants
from archive.errors import LeaderboardError
from archive.files import read_given
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import MAD_TASKS

if TYPE_CHECKING:  # importing it takes long, and most who want a path or an error from here read no table
    import pandas as pd

PUBLISHED = Path(variants.__path__[0]) / "leaderboards" / "published.csv"


def read_leaderboard(path: Path, tasks: Sequence[TaskName] = MAD_TASKS) -> "pd.DataFrame":
    """Accuracies in 0..1, indexed by name, with a column for each task, in their order; NaN where a cell is empty.

    Further columns are ignored. Raises LeaderboardError for a file that cannot be read as such a table.
    """
    return parse_leaderboard(read_csv_text(path), str(path), tasks)


def read_csv_text(path: Path) -> str:
    """The text of a CSV file. Raises LeaderboardError that says what the file is instead."""
    try:
        return read_given(path).removeprefix("\ufeff")
    except FileNotFoundError:
        raise LeaderboardError(f"{path}: no such file; give the path of a CSV with a row per variant") from None
    except IsADirectoryError:
        raise LeaderboardError(f"{path} is a folder; name a CSV file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise LeaderboardError(f"{path}: cannot be read as UTF-8 text ({error}); save it as CSV in UTF-8") from error


def parse_leaderboard(text: str, source: str, tasks: Sequence[TaskName] = MAD_TASKS) -> "pd.DataFrame":
    """Read a leaderboard from CSV text. source: the name that errors give. Raises LeaderboardError."""
    import pandas as pd

    try:
        header, *rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text)) if any(row)] or [[]]
    except csv.Error as error:
        raise LeaderboardError(f"{source}: not CSV ({error}); give a table of plain text cells") from None
    _refuse_bad_header(header, source, tasks)
    if not rows:
        raise LeaderboardError(f"{source}: no rows; add one line per variant under the header")
    names = [row[0] for row in rows]
    _refuse_bad_names(names, source)
    columns = [header.index(task, 1) for task in tasks]
    table = [[_accuracy(row, column, header[column], source) for column in columns] for row in rows]
    return pd.DataFrame(table, index=pd.Index(names, name="name"), columns=list(tasks))


def measured_rows(table: "pd.DataFrame") -> dict[str, dict[TaskName, float]]:
    """The accuracies of a leaderboard by name and task; a task that a row has no accuracy for is absent."""
    rows = {str(name): row for name, row in table.iterrows()}
    return {
        name: {str(task): float(cell) for task, cell in row.items() if not math.isnan(cell)}
        for name, row in rows.items()
    }


def format_leaderboard(table: "pd.DataFrame") -> str:
    """`table` (index: names; columns: tasks) as CSV text in the published form."""
    return table.round(6).to_csv(index_label="", lineterminator="\n")


def _refuse_bad_header(header: list[str], source: str, tasks: Sequence[TaskName]) -> None:
    missing = [task for task in tasks if task not in header[1:]]
    if missing:
        raise LeaderboardError(
            f"{source}: no column for {', '.join(missing)}; the header must be a name column, then {', '.join(tasks)}"
        )
    repeated = [task for task in tasks if header[1:].count(task) > 1]
    if repeated:
        raise LeaderboardError(f"{source}: column {', '.join(repeated)} occurs twice; keep one")


def _refuse_bad_names(names: list[str], source: str) -> None:
    if not all(names):
        raise LeaderboardError(f"{source}: row {names.index('') + 1} has no name; fill in the first column")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise LeaderboardError(f"{source}: {', '.join(repeated)} occurs more than once; keep one row per variant")


def _accuracy(row: list[str], column: int, task: str, source: str) -> float:
    cell = row[column] if column < len(row) else ""
    if not cell:
        return math.nan
    where = f"{source}: {row[0]}, {task}"
    try:
        value = float(cell)
    except ValueError:
        raise LeaderboardError(f"{where}: {cell!r} is not a number; give an accuracy from 0 to 1") from None
    if math.isnan(value) or not 0 <= value <= 1:
        hint = "divide percentages by 100" if 1 < value <= 100 else "drop the row if it was not scored"
        raise LeaderboardError(f"{where}: {cell} is not an accuracy from 0 to 1; {hint}")
    return value
