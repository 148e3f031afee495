"""`archer leaderboard --front`: who is undominated over the six tasks, and what is missing to beat the reference."""

from collections.abc import Iterator

from rich.table import Table

from agent.analysis.front import RATE, Place, front_json, nearest, places
from agent.analysis.leaderboard_facts import signed
from agent.analysis.paired_differences import PairedDifferences, open_paired_differences
from agent.commands.options import Speech
from agent.errors import UserError
from agent.terminal.view import WORTHLESS, short_name
from archive.store import Archive
from variants.contract import REFERENCE, TASKS, Task

_STYLE = {"surely front": "bold", "front": "default", "dominated": "default", "surely dominated": "dim"}


def print_front(speech: Speech, protocol: str, archive: Archive | None) -> None:
    """Print the front of a protocol's leaderboard, or of the published one. Raises UserError for one without rows."""
    contrasts = open_paired_differences(protocol, archive)
    found = places(contrasts)
    if not found:
        raise UserError(f"no variant has all six tasks under {protocol}: score some with `archer propose`")
    if speech.as_json:
        speech.answer(front_json(contrasts, found))
        return
    speech.out.print(_table(contrasts, found))
    for line in (*_sentences(contrasts, found), *filter(None, [WORTHLESS.get(protocol)])):
        speech.out.print(line)


def _table(contrasts: PairedDifferences, found: tuple[Place, ...]) -> Table:
    heading = (
        f"{contrasts.board.title}: difference to {REFERENCE}; ▲ ▼ more than chance, counting all cells "
        f"(false discovery rate {RATE:.0%}); = cannot differ"
    )
    table = Table(
        "variant", "mean", *TASKS, "above on", "short by", "standing", title=heading, title_justify="left", box=None
    )
    for place in found:
        told = [f"{len(place.above)} of 6", f"{place.shortfall:.3f}"] if place.gaps else ["reference", ""]
        cells = [_cell(place, task) for task in TASKS] if place.gaps else ["0"] * len(TASKS)
        style = _STYLE[place.standing]
        row = [short_name(place.name), f"{place.mean:.3f}", *cells, *told, _standing(place)]
        table.add_row(*(f"[{style}]{cell}[/]" for cell in row))
    return table


def _cell(place: Place, task: Task) -> str:
    gap = place.gaps[task]
    if gap.cannot_differ:
        return f"{signed(gap.difference)} ="
    mark = ("▲" if gap.difference > 0 else "▼") if task in place.sure else " "
    return f"{signed(gap.difference)} {mark}"


def _standing(place: Place) -> str:
    if place.surely_dominated_by:
        return f"{place.standing} by {short_name(place.surely_dominated_by)}"
    by = place.dominated_by
    more = f" and {len(by) - 1} more" if len(by) > 1 else ""
    return f"{place.standing} by {short_name(by[0])}{more}" if by else place.standing


def _sentences(contrasts: PairedDifferences, found: tuple[Place, ...]) -> Iterator[str]:
    count = {standing: sum(place.standing == standing for place in found) for standing in _STYLE}
    how = "paired by seed" if contrasts.paired else "not paired: one seed a row, with the noise of one seed"
    yield (
        f"{count['surely front'] + count['front']} of {len(found)} are undominated on the means, "
        f"{count['surely front']} of them surely; {count['dominated']} are dominated on the means, perhaps only by "
        f"noise; {count['surely dominated']} surely. Differences are {how}; what is called sure counts all rows."
    )
    if (best := nearest(found)) is None:
        yield f"{REFERENCE} has no row here, so nothing can be said of beating it."
        return
    sure = sum(task in best.sure for task in best.above)
    told = f"Nearest to beating {REFERENCE} on all six: {short_name(best.name)}, above on {len(best.above)}"
    told += f", {sure} of them more than chance."
    if best.missing:
        lacking = (
            f"{task} {signed(gap.difference)} ({'more than chance' if task in best.sure else 'within noise'}: "
            f"a single difference has a noise of {gap.noise:.3f})"
            for task, gap in best.missing.items()
        )
        told += f" Missing: {', '.join(lacking)}."
    else:
        told += f" Above on all six: p {best.p_beats:.3f}, counting {len(found) - 1} rows."
    yield told
