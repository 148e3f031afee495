"""What is said of all proposals together, and of fresh seeds: lines for people, with Rich's markup."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.markup import escape

from agent.analysis.boards.board import Board
from agent.analysis.boards.challenge import nearest_first
from agent.analysis.boards.rungs import Rung
from agent.analysis.differences.false_discovery import PARENT, families, tests_of
from agent.analysis.differences.fresh_seeds import FreshComparison, Scores
from agent.terminal.view import name_markup
from agent.words import accuracy, counted, interval, number, signed, signed_interval
from archive.confirmations import Confirmation, Difference
from archive.store import Archive
from evaluator.outcomes import Score, Status
from evaluator.protocols.built_in import tasks_of
from evaluator.statistics.false_discovery import LEVELS, Discoveries, Tested

NAMED = 3
"""How many of those that are called better a line names."""


def families_lines(families: Mapping[str, Discoveries], protocol: str) -> Iterator[str]:
    """A few lines for people, with Rich's markup; none where nothing was tried."""
    tested = {rival: family for rival, family in families.items() if family.tried}
    if tested:
        every = number(len(tasks_of(protocol)))
        yield f"[bold]better in the mean of {every} tasks, counting all that were tried[/] (false discovery rate)"
    for rival, family in tested.items():
        whom = "its parent" if rival == PARENT else name_markup(rival)
        yield f"  than {whom}: {_better(family)} {_of(family)}"
    if not tested and PARENT in families and families[PARENT].untestable:
        count = families[PARENT].untestable
        yield f"{counted(count, 'proposal')} without a test: nothing tells of noise, so none is called better"


def _better(family: Discoveries) -> str:
    found = {level: family.better(level) for level in LEVELS}
    if not found[LEVELS[-1]]:
        return f"none at {LEVELS[-1]:.0%}"
    told: dict[str, float] = {}
    for level, tests in found.items():
        told.setdefault(_names(tests), level)  # what is found at both rates is said once, at the stricter
    return "; ".join(f"{names} at {level:.0%}" for names, level in told.items())


def _of(family: Discoveries) -> str:
    pruned = f", {family.pruned} of them pruned" if family.pruned else ""
    chance = family.by_chance(LEVELS[0], LEVELS[-1])
    lost = f"; {chance} with p < {LEVELS[0]} alone" if chance else ""
    return f"[dim]({family.tried} tried{pruned}{lost})[/]"


def _names(tests: Sequence[Tested]) -> str:
    """The first few, which are those of the smallest p, and how many more there are; `--json` has all."""
    named = [name_markup(test.name) for test in tests[:NAMED]]
    if more := len(tests) - len(named):
        named.append(f"{more} more")
    return ", ".join(named) or "none"


def tests_lines(name: str, families: Mapping[str, Discoveries], protocol: str) -> Iterator[str]:
    """What the families say of one proposal, a line a rival."""
    every = number(len(tasks_of(protocol)))
    for rival, test in tests_of(name, families).items():
        whom = "parent" if rival == PARENT else name_markup(test.against)
        yield (
            f"mean of {every} against {whom}: {signed(test.difference)} {signed_interval(test.low, test.high)}, "
            f"n {test.n}; p {_p(test.p)}, {_p(test.adjusted)} counting {families[rival].tried} tried"
        )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def confirmation_lines(found: Iterable[Confirmation]) -> Iterator[str]:
    """A line for each would-be new best: what it showed when it was chosen, and what on fresh seeds."""
    for each in found:
        line = f"{_CONFIRMED[each.outcome]}: {name_markup(each.variant)} against {name_markup(each.against)}, "
        line += f"first {told(each.first)}"
        if each.fresh is not None:
            line += f"; on fresh seeds {told(each.fresh)}, {signed(each.fresh.mean - each.first.mean)} to the first"
        yield line + (f"; {escape(each.reason)}" if each.reason else "")


_CONFIRMED = {
    "confirmed": "[bold green]new best, confirmed[/]",
    "refuted": "[yellow]no new best: worse on fresh seeds[/]",
    "open": "[yellow]no new best yet: ahead on fresh seeds, within noise[/]",
    "failed": "[red]no new best: it failed on fresh seeds[/]",
    "unfinished": "[yellow]not yet confirmed; the next search goes on with it[/]",
}


def climb_line(name: str, rival: str, status: Status, reason: str, board: Board) -> str:
    """How a confirmed proposal fared against its rival under the next protocol of a ladder."""
    who = f"{name_markup(name)} against {name_markup(rival)} under {board.protocol}"
    ours, theirs = board.mean_of_all(name), board.mean_of_all(rival)
    if status is not Status.SCORED or ours is None or theirs is None:
        words = {Status.INTERRUPTED: "not yet compared; the next search goes on", Status.PRUNED: "no further up"}
        return f"[yellow]{words.get(status, f'not compared, {status}')}[/]: {who}; {escape(reason)}"
    ahead = nearest_first(board, [name, rival])[0] == name
    word = "[bold green]ahead there too[/]" if ahead else "[yellow]not ahead there[/]"
    return f"{word}: {who}, mean {accuracy(ours)} against {accuracy(theirs)}"


def rung_lines(found: Sequence[Rung], protocol: str) -> Iterator[str]:
    """The other protocols under which a variant has a score on every task, and where it stands there."""
    for rung in found:
        if rung.protocol != protocol:
            others = "".join(f"; {name_markup(other)} {accuracy(mean)}" for other, mean in rung.others.items())
            yield f"mean under {rung.protocol}: {accuracy(rung.mean)}{others}"


def archive_lines(archive: Archive, protocol: str) -> Iterator[str]:
    """What is known of all proposals of an archive together: which are better, and what fresh seeds said."""
    yield from families_lines(families(archive, protocol, single=False), protocol)
    yield from confirmation_lines(archive.confirmations(protocol).values())


def fresh_lines(found: FreshComparison) -> Iterator[str]:
    """For people, with Rich's markup; nothing where there is no first score to put beside."""
    if found.first:
        yield "[bold]the first seeds, and fresh ones[/] (what was chosen by the first falls back on the second)"
        yield from task_lines(found.first, found.again)
    if found.fresh_difference is not None:
        first = f"first {told(found.first_difference)}; " if found.first_difference else ""
        yield f"mean difference to {name_markup(found.against)}: {first}fresh {told(found.fresh_difference)}"


def task_lines(first: Scores, again: Scores) -> Iterator[str]:
    """Each task's score on the first seeds, on fresh ones, and the change."""
    for task, score in first.items():
        if (found := again.get(task)) is not None:
            change = signed(found.mean - score.mean)
            yield f"  {task:15} first {_score(score)}; fresh {_score(found)}; {change} to the first"


def told(found: Difference) -> str:
    """A difference with its interval."""
    return f"{signed(found.mean)} {signed_interval(found.low, found.high)}, n {found.n}"


def _score(score: Score) -> str:
    return f"{accuracy(score.mean)} {interval(score.low, score.high)}, n {score.n}"
