"""`archer leaderboard`: the table of a protocol."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from agent.analysis.boards.board import PUBLISHED_NAME
from agent.analysis.boards.floors import ceiling, floor
from agent.analysis.boards.leaderboard import (
    BoardRow,
    Leaderboard,
    imported_leaderboard,
    imported_leaderboards,
    measured_leaderboard,
    published_leaderboard,
)
from agent.analysis.differences.false_discovery import families, families_json
from agent.commands.front import print_front
from agent.commands.open_archive import name_damage
from agent.commands.options import (
    DEFAULT_ARCHIVE,
    DEFAULT_PROTOCOL,
    ArchiveOption,
    JsonOption,
    NoPagerOption,
    QuietOption,
    archive_or_shipped,
)
from agent.errors import UserError
from agent.reports.board_export import BoardFormat, write_board
from agent.terminal.board import board_view
from agent.terminal.discoveries import archive_lines
from agent.terminal.speech import Speech
from agent.terminal.view import scores_json
from archive.files import write_text
from archive.store import Archive
from evaluator.protocols.built_in import PROTOCOLS

OutOption = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to this file instead.")]


def leaderboard(
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol", help=f"Show this protocol: {', '.join((*PROTOCOLS, PUBLISHED_NAME))}, or an import."
        ),
    ] = DEFAULT_PROTOCOL,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print the published form: a name, then a mean for each task.")
    ] = False,
    form: Annotated[
        BoardFormat | None, typer.Option("--format", help="Print a table with intervals and n, for a paper.")
    ] = None,
    out: OutOption = None,
    front: Annotated[
        bool,
        typer.Option("--front", help="Show who is on the Pareto front, and what is missing to beat the reference."),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Show only the first so many rows of a protocol or of its front.")
    ] = None,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    no_pager: NoPagerOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show the leaderboard of one protocol.

    It has the mean, the 95 % interval, the number of seeds, and the verdict against the gated reference. Without an
    archive it shows the scores of the seed variants.

    Example: archer leaderboard --protocol quick --format latex --out table.tex
    """
    speech = Speech(as_json, quiet)
    if sum((csv, form is not None, as_json)) > 1:
        raise UserError("--csv, --format and --json exclude each other; choose one")
    if out is not None and not csv and form is None:
        raise UserError("--out takes a table: add --format csv, markdown or latex, or --csv")
    if front and (csv or form is not None):
        raise UserError("--front is no table of scores: leave out --csv and --format, or take --json")
    if limit is not None and (csv or form is not None):
        raise UserError("--limit is for what is shown: a table of scores is written whole, leave out --limit")
    archive = archive_or_shipped(archive_path, speech)
    imported = imported_leaderboards(archive) if archive else []
    if protocol not in (known := (*PROTOCOLS, PUBLISHED_NAME, *imported)):
        raise UserError(f"--protocol {protocol}: choose one of {', '.join(known)}")
    if front:
        if protocol in imported:
            raise UserError(f"--front: {protocol} was imported, and nothing tells of its noise; leave out --front")
        print_front(speech, protocol, archive, limit)
        return
    board = _board(protocol, archive, limit)
    if csv or form:
        _write(speech, write_board(form, board) if form else board.csv(), out)
        name_damage(archive.damage() if archive else {})
        return
    if as_json:
        test_families = families(archive, protocol) if archive else {}
        confirmations = [
            each.model_dump(mode="json") for each in (archive.confirmations(protocol) if archive else {}).values()
        ]
        of_the_search = (
            {"discoveries": families_json(test_families), "confirmations": confirmations}
            if protocol in PROTOCOLS
            else {}
        )
        ends = {
            "controls": [_json(row) for row in board.controls],
            "references": [_json(row) for row in board.references],
            "floor": floor(protocol),
            "ceiling": ceiling(protocol),
        }
        speech.answer(
            {"protocol": _protocol_json(protocol), "rows": [_json(row) for row in board.rows]} | ends | of_the_search
        )
    else:
        lines = archive_lines(archive, protocol) if archive and protocol in PROTOCOLS else ()
        speech.show(
            board_view(board),
            *map(Text.from_markup, lines),
            pager=not no_pager,
        )
    name_damage(archive.damage() if archive else {})


def _board(protocol: str, archive: Archive | None, limit: int | None) -> Leaderboard:
    if protocol in PROTOCOLS:
        return measured_leaderboard(protocol, archive, limit)
    whole = imported_leaderboard(archive, protocol) if archive and protocol != PUBLISHED_NAME else None
    found = whole or published_leaderboard(archive)
    return replace(found, rows=found.rows[:limit])


def _protocol_json(protocol: str) -> dict[str, str | None]:
    return {"name": protocol, "hash": PROTOCOLS[protocol].hash if protocol in PROTOCOLS else None}


def _json(row: BoardRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "scores": scores_json(row.scores),
        "mean": row.mean,
        "distance": row.distance,
        "n": row.n,
        "verdict": row.against.model_dump(mode="json") if row.against else None,
        "inert": {task: asdict(found) for task, found in row.inert.items()},
        "size": row.size.json(),
        "at_floor": [task for task in row.tasks if task in row.at_floor],
    }


def _write(speech: Speech, text: str, out: Path | None) -> None:
    if out is None:
        speech.out.print(text, end="", markup=False, soft_wrap=True)
        return
    write_text(out, text)
    speech.progress.print(f"written: {out}", markup=False)
