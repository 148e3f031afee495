"""All proposals of an archive as one family: which are better than their parent, or a reference, after correction."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape

from agent.analysis.fresh_seeds import told
from agent.terminal.view import name_markup, outline_summary
from agent.words import number
from archive.confirmations import Confirmation
from archive.index import ProposalLine
from archive.store import Archive
from evaluator.outcomes import Status
from evaluator.protocols.built_in import PROTOCOLS, tasks_of
from evaluator.statistics.false_discovery import LEVELS, Discoveries, Tested, TriedProposal, discoveries
from evaluator.statistics.lazy_trials import comparable
from variants.contract import BASELINE, REFERENCE

PARENT = "parent"
RIVALS = (PARENT, BASELINE, REFERENCE)
NAMED = 3
"""How many of those that are called better a line names."""
_TRAINED = (Status.SCORED, Status.PRUNED)


def families(archive: Archive, protocol: str, *, single: bool = True) -> dict[str, Discoveries]:
    """By what the proposals are compared with. Only what was measured under today's version of the protocol counts.

    `single`: the single tasks, too.
    """
    if protocol not in PROTOCOLS:
        return {}
    current = PROTOCOLS[protocol].hash
    trials = comparable(archive.trials(protocol), current)
    lines = [line for line in archive.lines() if line.protocol_hash == current and line.status in _TRAINED]
    found = {}
    for rival in RIVALS:
        tried = []
        for line in lines:
            against = line.parent if rival == PARENT else rival
            if against in trials:
                pruned = line.status is Status.PRUNED
                own = () if pruned else trials[line.name]
                tried.append(TriedProposal(line.name, against, own, trials[against], pruned))
        found[rival] = discoveries(tried, trials, tasks_of(protocol), single=single)
    return found


def families_json(families: Mapping[str, Discoveries]) -> dict[str, Any]:
    """As `--json` prints them: by rival; names called better at each rate, and every test."""
    return {
        rival: {
            "tried": family.tried,
            "pruned": family.pruned,
            "untestable": family.untestable,
            "method": "Benjamini-Hochberg, one-sided",
            "better": {f"{level:.2f}": [test.name for test in family.better(level)] for level in LEVELS},
            "means": [test.model_dump(mode="json") for test in family.means],
            "tasks": [test.model_dump(mode="json") for test in family.tasks],
        }
        for rival, family in families.items()
    }


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
        yield f"{count} proposals of one seed each: nothing tells of noise, so none is called better"


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
    chance = [test for test in family.means if test.p <= LEVELS[0] and test.adjusted > LEVELS[-1]]
    lost = f"; {len(chance)} with p < {LEVELS[0]} alone" if chance else ""
    return f"[dim]({family.tried} tried{pruned}{lost})[/]"


def _names(tests: Sequence[Tested]) -> str:
    """The first few, which are those of the smallest p, and how many more there are; `--json` has all."""
    named = [name_markup(test.name) for test in tests[:NAMED]]
    if more := len(tests) - len(named):
        named.append(f"{more} more")
    return ", ".join(named) or "none"


def tests_of(name: str, families: Mapping[str, Discoveries]) -> dict[str, Tested]:
    """The tests of one proposal's mean, by rival."""
    return {rival: test for rival, family in families.items() for test in family.means if test.name == name}


def tests_lines(name: str, families: Mapping[str, Discoveries], protocol: str) -> Iterator[str]:
    """What the families say of one proposal, a line a rival."""
    every = number(len(tasks_of(protocol)))
    for rival, test in tests_of(name, families).items():
        whom = "parent" if rival == PARENT else name_markup(test.against)
        yield (
            f"mean of {every} against {whom}: {test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}], n {test.n}; "
            f"p {_p(test.p)}, {_p(test.adjusted)} counting {families[rival].tried} tried"
        )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def summaries(archive: Archive, lines: Sequence[ProposalLine]) -> list[dict[str, Any]]:
    """Proposals as `--json` prints them, each with its tests."""
    tests: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for protocol in {line.protocol for line in lines}:
        for rival, family in families(archive, protocol, single=False).items():
            for test in family.means:
                tests[protocol, test.name][rival] = test.model_dump(mode="json")
    commits = archive.commits()
    return [
        outline_summary(archive.raw_outline(line.id), commits.get(line.id))
        | {"tests": tests.get((line.protocol, line.name), {})}
        for line in lines
    ]


def tests_json(name: str, families: Mapping[str, Discoveries]) -> dict[str, Any]:
    """The tests of one proposal's mean, by rival."""
    return {rival: test.model_dump(mode="json") for rival, test in tests_of(name, families).items()}


def confirmation_lines(found: Iterable[Confirmation]) -> Iterator[str]:
    """A line for each would-be new best: what it showed when it was chosen, and what on fresh seeds."""
    for each in found:
        line = f"{_CONFIRMED[each.outcome]}: {name_markup(each.variant)} against {name_markup(each.against)}, "
        line += f"first {told(each.first)}"
        if each.fresh is not None:
            line += f"; on fresh seeds {told(each.fresh)}, {each.fresh.mean - each.first.mean:+.3f} to the first"
        yield line + (f"; {escape(each.reason)}" if each.reason else "")


_CONFIRMED = {
    "confirmed": "[bold green]new best, confirmed[/]",
    "refuted": "[yellow]no new best: worse on fresh seeds[/]",
    "open": "[yellow]no new best yet: ahead on fresh seeds, within noise[/]",
    "failed": "[red]no new best: it failed on fresh seeds[/]",
    "unfinished": "[yellow]not yet confirmed; the next search goes on with it[/]",
}


def archive_lines(archive: Archive, protocol: str) -> Iterator[str]:
    """What is known of all proposals of an archive together: which are better, and what fresh seeds said."""
    yield from families_lines(families(archive, protocol, single=False), protocol)
    yield from confirmation_lines(archive.confirmations(protocol).values())
