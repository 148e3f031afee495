"""`archer leaderboard --front`: who is undominated over the six tasks, and what is missing to beat the reference."""

from rich.table import Table

from agent.board import PUBLISHED_NAME, open_board
from agent.errors import UserError
from agent.front import Gap, Place, front_json, nearest, places
from agent.insights import signed
from agent.options import Speech, find_protocol
from agent.view import short_name
from archive.store import Archive
from variants.contract import REFERENCE, TASKS

_STYLE = {"surely front": "bold", "front": "default", "dominated": "default", "surely dominated": "dim"}


def print_front(speech: Speech, protocol: str, archive: Archive | None) -> None:
    """Print the front of a protocol's leaderboard, or of the published one. Raises UserError for one without rows."""
    if protocol != PUBLISHED_NAME:
        find_protocol(protocol)
    board = open_board(protocol, archive)
    found = places(board)
    if not found:
        raise UserError(f"no variant has all six tasks under {protocol}: score some with `archer propose`")
    if speech.as_json:
        speech.answer(front_json(board, found))
        return
    speech.out.print(_table(board.title, found))
    for line in _sentences(found):
        speech.out.print(line)


def _table(title: str, found: tuple[Place, ...]) -> Table:
    heading = f"{title}: difference to {REFERENCE}; ▲ ▼ beyond noise (95 %), = cannot differ, else within noise"
    table = Table(
        "variant", "mean", *TASKS, "above on", "short by", "standing", title=heading, title_justify="left", box=None
    )
    for place in found:
        told = [f"{len(place.above)} of 6", f"{place.shortfall:.3f}"] if place.gaps else ["reference", ""]
        cells = [_cell(place.gaps[task]) for task in TASKS] if place.gaps else ["0"] * len(TASKS)
        style = _STYLE[place.standing]
        row = [short_name(place.name), f"{place.mean:.3f}", *cells, *told, _standing(place)]
        table.add_row(*(f"[{style}]{cell}[/]" for cell in row))
    return table


def _cell(gap: Gap) -> str:
    if gap.cannot_differ:
        return f"{signed(gap.difference)} ="
    mark = ("▲" if gap.difference > 0 else "▼") if gap.beyond_noise else " "
    return f"{signed(gap.difference)} {mark}"


def _standing(place: Place) -> str:
    by = place.surely_dominated_by or place.dominated_by
    more = f" and {len(by) - 1} more" if len(by) > 1 else ""
    return f"{place.standing} by {short_name(by[0])}{more}" if by else place.standing


def _sentences(found: tuple[Place, ...]) -> list[str]:
    count = {standing: sum(place.standing == standing for place in found) for standing in _STYLE}
    lines = [
        f"{count['surely front'] + count['front']} of {len(found)} are undominated on the means, "
        f"{count['surely front']} of them whatever the noise; {count['dominated']} are dominated on the means, "
        f"perhaps only by noise; {count['surely dominated']} surely."
    ]
    if (best := nearest(found)) is None:
        return [*lines, f"{REFERENCE} has no row here, so nothing can be said of beating it."]
    sure = sum(best.gaps[task].beyond_noise for task in best.above)
    told = f"Nearest to beating {REFERENCE} on all six: {short_name(best.name)}, above on {len(best.above)}"
    told += f", {sure} of them beyond noise."
    if best.missing:
        lacking = (
            f"{task} {signed(gap.difference)} ({'beyond' if gap.beyond_noise else 'within'} the noise of "
            f"{gap.noise:.3f})"
            for task, gap in best.missing.items()
        )
        told += f" Missing: {', '.join(lacking)}."
    return [*lines, told]
