"""`archer import-csv`: bring a published leaderboard into an archive."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption
from agent.errors import UserError, readable
from agent.terminal.speech import Speech
from agent.words import counted
from archive.seeding import make_if_none
from archive.tables.foreign_csv import read_foreign_leaderboard
from archive.tables.leaderboard_csv import format_leaderboard, read_leaderboard
from archive.tables.leaderboards import LEADERBOARDS
from evaluator.protocols.built_in import PROTOCOLS

MANY = 5
"""Rows that were replaced, and are named."""


def import_csv(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CSV file: a column of names, and one column for each task.")
    ],
    name: Annotated[str, typer.Option("--name", help="Add the rows to this leaderboard.")] = "published",
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Read a published leaderboard into an archive.

    Rows of the same name are replaced; the other rows are kept. Separators, the column of names, mad-lab's names of the
    tasks, percentages and missing cells are recognised, and what was understood is printed.

    Example: archer import-csv accuracies_df.csv
    """
    speech = Speech(as_json, quiet)
    if name in PROTOCOLS:
        raise UserError(f"--name {name}: that leaderboard is derived from archer's own trials; choose another name")
    if not name.isidentifier():
        raise UserError(f"--name {name}: use letters, digits and _")
    with readable(file, "leaderboard"):
        foreign = read_foreign_leaderboard(file)
    new = foreign.table
    archive = make_if_none(archive_path)
    path = archive.root / LEADERBOARDS / f"{name}.csv"
    with archive.writing():  # else the rows that another archer adds between the two would be lost
        old = read_leaderboard(path) if path.exists() else new.iloc[:0]
        kept = old[~old.index.isin(new.index)]
        archive.tell_leaderboard(name, format_leaderboard(pd.concat([kept, new])))
    added = len(new.index.difference(old.index))
    counts = {"leaderboard": name, "added": added, "replaced": len(new) - added, "kept": len(kept)}
    if as_json:
        speech.answer({**counts, "understood": foreign.understood})
    else:
        for sentence in foreign.understood:
            speech.out.print(f"understood: {sentence}", markup=False)
        speech.out.print(f"{path}: {counted(added, 'row')} added, {counts['replaced']} replaced, {len(kept)} kept")
        if replaced := [str(row) for row in new.index.intersection(old.index)]:
            told = f"replaced: {', '.join(replaced[:MANY])}{', ...' if len(replaced) > MANY else ''}"
            speech.out.print(f"{told}; --name keeps a table apart from {name}", markup=False)
        speech.out.print(f"archer leaderboard --protocol {name} shows them", markup=False)
