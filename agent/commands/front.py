"""`archer leaderboard --front`: who is undominated over the tasks, and what is missing to beat the reference."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from agent.analysis.boards.leaderboard import WORTHLESS
from agent.analysis.boards.sizes import Sizes, open_sizes
from agent.analysis.differences.front import RATE, Place, dominators, front_json, nearest, places
from agent.analysis.differences.paired_differences import PairedDifferences, open_paired_differences
from agent.errors import UserError
from agent.terminal.board import task_pairs
from agent.terminal.console import Fitting, Grid
from agent.terminal.speech import Speech
from agent.terminal.view import name_markup, stacked
from agent.words import accuracy, counted, distance, lacking_words, number, signed
from archive.store import Archive
from evaluator.tasks.names import TaskName
from variants.contract import REFERENCE, short_name

_STYLE = {"surely front": "bold", "front": "default", "dominated": "default", "surely dominated": "dim"}


def print_front(speech: Speech, protocol: str, archive: Archive | None, limit: int | None = None) -> None:
    """Print the front of a protocol's leaderboard, or of the published one. Raises UserError for one without rows.

    limit: how many rows to print at most; what is said below them is of all.
    """
    contrasts = open_paired_differences(protocol, archive)
    found, sizes = places(contrasts), open_sizes(protocol, archive)
    if not found:
        raise UserError(
            f"no variant has every task under {protocol}: `archer evaluate NAME --protocol {protocol} --add` scores one"
        )
    if speech.as_json:
        speech.answer(front_json(contrasts, found, sizes, limit))
        return
    speech.out.print(_table(contrasts, found[:limit], sizes))
    for line in (*_sentences(contrasts, found), sizes.legend, *filter(None, [WORTHLESS.get(protocol)])):
        speech.out.print(line)


def _table(contrasts: PairedDifferences, found: tuple[Place, ...], sizes: Sizes) -> RenderableType:
    heading = (
        f"{contrasts.board.title}: difference to {REFERENCE}; ▲ ▼ more than chance, counting all cells "
        f"(false discovery rate {RATE:.0%}); = cannot differ"
    )
    tasks = contrasts.board.tasks
    rows, blocks = [], []
    for place in found:
        told = [f"{len(place.above)} of {len(tasks)}" if place.gaps else "reference", distance(place.distance)]
        cells = [_cell(place, task) for task in tasks] if place.gaps else ["0"] * len(tasks)
        style = _STYLE[place.standing]
        size = sizes.of(place.name)
        row = (short_name(place.name), accuracy(place.mean), *cells, *told, size.parameters_text, size.state_text)
        standing = _standing(place, contrasts)
        rows.append([(cell, style) for cell in (*row, standing)])
        above = f"above on {told[0]}" if place.gaps else told[0]
        head = (accuracy(place.mean), (short_name(place.name), "bold"), above, f"to goal {told[1]}")
        blocks.append((head, [*task_pairs(tasks, cells), "; ".join(filter(None, (size.words, standing)))]))
    wide = Grid(("variant", "mean", *tasks, "above on", "to goal", "params", "state", "standing"), rows)
    return Group(Text(heading, "italic"), Fitting(((wide.width, lambda: wide), (0, lambda: stacked(blocks)))))


def _cell(place: Place, task: TaskName) -> str:
    gap = place.gaps[task]
    if gap.cannot_differ:
        return f"{signed(gap.difference)} ="
    mark = ("▲" if gap.difference > 0 else "▼") if task in place.sure else " "
    return f"{signed(gap.difference)} {mark}"


def _standing(place: Place, contrasts: PairedDifferences) -> str:
    if place.surely_dominated_by:
        return f"{place.standing} by {short_name(place.surely_dominated_by)}"
    if not place.dominated:
        return place.standing
    first, *others = dominators(contrasts, place.name)
    more = f" and {len(others)} more" if others else ""
    return f"{place.standing} by {short_name(first)}{more}"


def _sentences(contrasts: PairedDifferences, found: tuple[Place, ...]) -> Iterator[str]:
    count = {standing: sum(place.standing == standing for place in found) for standing in _STYLE}
    how = "paired by seed" if contrasts.paired else "not paired: one seed a row, with the noise of one seed"
    how += "; what is called sure counts all rows"
    if contrasts.board.noise_is_assumed:
        how = "of one seed each: nothing tells of noise, so nothing is sure, and the unit of `to goal` is assumed"
    yield (
        f"{count['surely front'] + count['front']} of {len(found)} are undominated on the means, "
        f"{count['surely front']} of them surely; {count['dominated']} are dominated on the means, perhaps only by "
        f"noise; {count['surely dominated']} surely. Differences are {how}."
    )
    if (best := nearest(found)) is None:
        yield f"{REFERENCE} has no row here, so nothing can be said of beating it."
        return
    sure = sum(task in best.sure for task in best.above)
    every = number(len(contrasts.board.tasks))
    told = f"Nearest to beating {REFERENCE} on all {every}: {name_markup(best.name)}, above on {len(best.above)}"
    told += f", {sure} of them more than chance."
    if lacking := lacking_words(best.lacking, {task: gap.difference for task, gap in best.gaps.items()}):
        told += f" It lacks, in units of noise (and its difference): {lacking}."
    else:
        told += " On the means it lacks nothing"
        told += f"; above on all {every}: p {best.p_beats:.3f}, counting {counted(len(found) - 1, 'row')}."
    yield told
