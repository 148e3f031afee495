"""Comparisons that no leaderboard bears out: "X beats Y on a task", "X has the best Compress".

A comparison contradicts where every leaderboard that has both sides orders them the other way, by the means that it
prints; whether a difference is more than noise is the verdict's to say.
"""

import re
from collections.abc import Iterator, Sequence

from agent.analysis.snapshot import ArchiveSnapshot
from agent.reports.claims.mentions import EXPECTATION, TASK_WORDS, Aliases, mentions
from agent.words import number
from evaluator.protocols.built_in import tasks_of
from evaluator.tasks.names import TaskName
from variants.contract import REFERENCE

_IS = r"(?:is|are|scores|stays|sits|lies|falls|drops|remains|does)\s+(?:\w+\s+)?"
_ABOVE = (
    rf"beats|outperforms|exceeds|surpasses|overtakes|outscores|{_IS}(?:better than|above|ahead of|higher than)"
    r"|improves (?:on|over|upon)"
)
_BELOW = rf"trails|lags(?: behind)?|loses to|{_IS}(?:worse than|below|behind|lower than)"
_BETWEEN = rf"\s*(?:\([^)]*\))?[\s`*]*(?:(?P<above>{_ABOVE})|(?P<below>{_BELOW}))(?:\s+(?:the|its|both))?[\s`*]*"
_TAIL = r"[`*]*\s*(?:\([^)]*\)\s*)?(?:by\s+[+\d.]+\s*)?(?:on|in|for)\s+(?P<tasks>[^.;]*)"
_TURN = re.compile(
    r"(?i)\b(but|while|whereas|although|though|yet|except|not|without|at the (?:cost|expense)|and (?:is|trails))\b"
)
_UNSURE = re.compile(
    rf"(?i)\b({EXPECTATION}|no|not|never|nor|neither|none|fails?|cannot|almost|nearly|whether|unless|until|to|can|will)\b"
    "|n't"
)
_GATED = r"(?-i:Gated)(?=[\s`*]+(?:on|in|for|by)\b)"
TIE = 5e-4
"""Half of the last digit that tables are printed with."""


def wrong_comparisons(statement: str, aliases: Aliases, snapshot: ArchiveSnapshot) -> Iterator[str]:
    """A line for each task on which the leaderboards order the two named variants the other way round."""
    found, _ = mentions(statement, aliases, {_GATED: REFERENCE})
    if len(found) != 2 or found[0].name == found[1].name:
        return
    first, second = found
    between = re.fullmatch(rf"(?i){_BETWEEN}", statement[first.end : second.start])
    tail = re.match(rf"(?i){_TAIL}", statement[second.end :])
    if between is None or tail is None or _UNSURE.search(statement[: second.end]):
        return
    above, below = (first.name, second.name) if between["above"] else (second.name, first.name)
    for task in _tasks(_TURN.split(tail["tasks"])[0], tasks_of(snapshot.protocol)):
        pairs = _pairs(snapshot, above, below, task)
        if pairs and all(high <= low - TIE for high, low in pairs.values()):
            said = "; ".join(f"{source}: {high:.3f} against {low:.3f}" for source, (high, low) in pairs.items())
            yield f"says that `{above}` is above `{below}` on {task}; {said}"


def wrong_bests(statement: str, name: str, snapshot: ArchiveSnapshot) -> Iterator[str]:
    """A line for each task of which the statement calls this variant the best, and no leaderboard does."""
    if _UNSURE.search(statement) or re.search(r"(?i)\b(among|one of|second|next|after|apart)\b", statement):
        return
    for task, word in TASK_WORDS.items():
        if not re.search(rf"(?i)\b(?:best|highest)\s+(?:\w+\s+(?:on|in|for|at)\s+)?[`*]*{word}\b", statement):
            continue
        ahead = {}
        for source, scores in _tables(snapshot, task).items():
            if name in scores:
                leader = max(scores, key=lambda other: scores[other])
                ahead[source] = (scores[name], leader, scores[leader])
        if ahead and all(own < best - TIE for own, _, best in ahead.values()):
            said = "; ".join(f"{source}: {own:.3f}, `{who}` {best:.3f}" for source, (own, who, best) in ahead.items())
            yield f"calls `{name}` the best on {task}; {said}"


def _tasks(words: str, every: Sequence[TaskName]) -> list[TaskName]:
    count = number(len(every))
    if re.search(rf"(?i)\b(all (?:\w+ )?(?:of the )?(?:\w+ )?tasks|every task|all {count})\b", words):
        return list(every)
    return [task for task, word in TASK_WORDS.items() if re.search(rf"(?i)\b{word}\b", words)]


def _pairs(snapshot: ArchiveSnapshot, above: str, below: str, task: TaskName) -> dict[str, tuple[float, float]]:
    tables = _tables(snapshot, task).items()
    return {source: (scores[above], scores[below]) for source, scores in tables if above in scores and below in scores}


def _tables(snapshot: ArchiveSnapshot, task: TaskName) -> dict[str, dict[str, float]]:
    """Means of a task by variant, under the published protocol and the measured one."""
    known = snapshot.published[task].dropna().items() if task in snapshot.published else ()
    published = {str(name): float(value) for name, value in known}
    measured = {name: row[task].mean for name, row in snapshot.standings.items() if task in row}
    return {source: scores for source, scores in (("published", published), (snapshot.protocol, measured)) if scores}
