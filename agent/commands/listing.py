"""`archer list`: the proposals of an archive."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import RenderableType

from agent.commands.open_archive import existing_archive, name_damage
from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, NoPagerOption, QuietOption
from agent.terminal.console import Fitting, Grid
from agent.terminal.speech import Speech
from agent.terminal.view import mean_text, protocol_text, stacked, status_cell, summaries
from archive.names import find_name
from archive.records.lines import ProposalLine
from evaluator.outcomes import Status
from variants.contract import short_name


class Order(StrEnum):
    """What a list may be sorted by."""

    ID = "id"
    MEAN = "mean"
    STATUS = "status"
    NAME = "name"
    PARENT = "parent"
    CREATED = "created"
    COST = "cost"


_KEYS: dict[Order, Callable[[ProposalLine], float | str]] = {
    Order.ID: lambda found: found.number,
    Order.MEAN: lambda found: -1.0 if found.mean is None else found.mean,
    Order.STATUS: lambda found: found.status,
    Order.NAME: lambda found: found.name,
    Order.PARENT: lambda found: found.parent,
    Order.CREATED: lambda found: found.created,
    Order.COST: lambda found: found.cpu_seconds,
}


def list_(
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    status: Annotated[
        Status | None, typer.Option(case_sensitive=False, help="List only proposals with this status.")
    ] = None,
    parent: Annotated[str | None, typer.Option(metavar="NAME", help="List only children of this variant.")] = None,
    proposer: Annotated[
        str | None, typer.Option(metavar="NAME", help="List only proposals of this proposer or model.")
    ] = None,
    sort: Annotated[Order, typer.Option(help="Sort by this; mean and cost start with the largest.")] = Order.ID,
    reverse: Annotated[bool, typer.Option("--reverse", help="Reverse the order.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="List only the first so many.")] = None,
    no_pager: NoPagerOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List the proposals of an archive.

    The oldest comes first. Rejected and failed proposals are listed, too.

    Example: archer list --status SCORED --sort mean
    """
    speech = Speech(as_json, quiet)
    archive = existing_archive(archive_path).held()
    every = archive.lines()
    if parent is not None:
        parent = find_name(parent, [*(line.parent for line in every), *archive.variant_names()]) or parent
    lines = [
        line
        for line in every
        if status in (None, line.status)
        and parent in (None, line.parent)
        and (proposer is None or proposer in (line.proposer, line.model))
    ]
    lines.sort(key=_KEYS[sort], reverse=reverse != (sort in (Order.MEAN, Order.COST)))
    lines = lines[:limit]
    if as_json:
        speech.answer(summaries(archive, lines))
    elif lines:
        speech.show(_table(lines), pager=not no_pager)
    else:
        filtered = any(archive.ids())
        speech.out.print("no proposal is like that" if filtered else "no proposals yet; next: archer propose --n 5")
    name_damage(archive.damage())


def _table(lines: Sequence[ProposalLine]) -> RenderableType:
    rows = [
        (
            str(line.number),
            status_cell(line.status, line.no_effect),
            mean_text(line),
            f"{line.cpu_seconds:.0f}",
            short_name(line.name),
            short_name(line.parent),
            line.model or line.proposer,
            protocol_text(line.protocol, line.protocol_hash),
        )
        for line in lines
    ]
    header = ("ID", "status", "mean", "CPU s", "proposal", "parent", "proposer", "protocol")
    wide = Grid(header, rows, frozenset({0, 2, 3}))
    stack = ((row[:3], (row[4], f"from {row[5]}, {row[6]}, {row[7]}; {row[3]} CPU s")) for row in rows)
    return Fitting(((wide.width, lambda: wide), (0, lambda: stacked(stack))))
