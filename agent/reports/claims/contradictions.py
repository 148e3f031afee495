"""What an analysis says that the leaderboard contradicts: precise rather than complete.

A statement with several claims is taken apart at its conjunctions first. A figure counts only where a claim names one
variant, then a task and a number bound to that task, and is neither an expectation nor a comparison; or where it names
several variants, each followed at once by its number, and one task. It contradicts if no leaderboard gives that variant
such a number on that task. Sentences of the form "X beats Y on a task" and "X has the best task" are in
agent/reports/claims/comparisons.py.
"""

import math
import re
from collections.abc import Iterable, Iterator

from agent.analysis.snapshot import ArchiveSnapshot
from agent.reports.claims.comparisons import wrong_bests, wrong_comparisons
from agent.reports.claims.mentions import (
    EXPECTATION,
    TASK_WORDS,
    Aliases,
    clauses,
    mentions,
    only_variant,
    statements,
    variant_aliases,
)
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.tasks.names import TaskName

_NUMBER = r"(?<![\w.+\-−±<>≤≥~≈/^])(\d{1,3}(?:\.\d+)?\s?%|[01]?\.\d+|[01])(?![\w%]|\.\d)"
_HEDGE = re.compile(
    rf"(?i)\b({EXPECTATION}"
    r"|exceed\w*|surpass\w*|beat\w*|above|below|over|under|least|most|more than|less than|differ\w*|gain\w*|gap|margin"
    r"|los[est]\w*|trail\w*|lag\w*|behind|ahead|match\w*|against|drop\w*|improv\w*|increas\w*|decreas\w*|by|smoke|quick)\b"
    r"|→|=>|->|Δ|↑|↓"
)
_OTHER_FIGURES = re.compile(
    rf"(?i)\b({EXPECTATION}|means?|average|gap|margin|gains?|lacks?|units?|noise|smoke|interval)\b|→|=>|->|Δ"
)
"""Words beside which a number may be no accuracy of the task."""
_PROTOCOL = re.compile(rf"\b(?:under|at|protocol)\s+[`*]*({'|'.join(PROTOCOLS)})\b")
"""Scores of another protocol are on another board."""
_JOIN = r"(?:\s*(?:\(|=|:|is|was|of|at|to|score|accuracy|reaches|with|stands|has)){0,3}\s*"


def contradictions(text: str, snapshot: ArchiveSnapshot) -> tuple[str, ...]:
    """One line for each statement in `text` that contradicts the leaderboards: what is said, and what they say."""
    aliases = variant_aliases(snapshot)
    found: dict[str, None] = {}
    for statement in statements(text, aliases):
        if set(_PROTOCOL.findall(statement.lower())) - {snapshot.protocol}:
            continue
        for clause in clauses(statement, aliases):
            found |= dict.fromkeys(_in_clause(clause, aliases, snapshot))
        found |= dict.fromkeys(wrong_comparisons(statement, aliases, snapshot))
    return tuple(found)


def _in_clause(clause: str, aliases: Aliases, snapshot: ArchiveSnapshot) -> Iterator[str]:
    """What one claim contradicts: about one variant, or about several on one task."""
    subject = only_variant(clause, aliases)
    if subject is not None and not _HEDGE.search(clause):
        yield from _wrong_figures(_figures(clause[subject.start :]), subject.name, snapshot)
    if subject is not None:
        yield from wrong_bests(clause, subject.name, snapshot)
        return
    yield from wrong_comparisons(clause, aliases, snapshot)
    for name, task, figure in _figures_side_by_side(clause, aliases):
        yield from _wrong_figures([(task, figure)], name, snapshot)


def _figures_side_by_side(clause: str, aliases: Aliases) -> Iterator[tuple[str, TaskName, str]]:
    """`On Memorize x has 0.5 and y 0.6`: figures that follow each variant at once, where one task is named."""
    named, rest = mentions(clause, aliases)
    tasks = [task for task, word in TASK_WORDS.items() if re.search(rf"(?i)\b{word}\b", rest)]
    if len(named) < 2 or len(tasks) != 1 or _OTHER_FIGURES.search(rest):
        return
    for mention in named:
        if found := re.match(rf"(?i)[`*]*{_JOIN}{_NUMBER}", clause[mention.end :]):
            yield mention.name, tasks[0], found[1]


def _wrong_figures(figures: Iterable[tuple[TaskName, str]], name: str, snapshot: ArchiveSnapshot) -> Iterator[str]:
    for task, figure in figures:
        known = _known(snapshot, name, task)
        if known and not any(_agrees(figure, low, high) for low, high in known.values()):
            said = "; ".join(f"{source}: {_range(low, high)}" for source, (low, high) in known.items())
            yield f"says {figure} for `{name}` on {task}; {said}"


def _figures(statement: str) -> Iterator[tuple[TaskName, str]]:
    """Numbers with the task that they are bound to: `Fuzzy Recall (0.53)`, `0.53 on Fuzzy Recall`."""
    for task, word in TASK_WORDS.items():
        after = rf"(?i)\b{word}\b[`*]*{_JOIN}{_NUMBER}"
        before = rf"(?i){_NUMBER}\s+(?:on|in|for)\s+(?:the\s+)?[`*]*{word}\b"
        found = {match[1] for pattern in (after, before) for match in re.finditer(pattern, statement)}
        if len(found) == 1:
            yield task, found.pop()


def _known(snapshot: ArchiveSnapshot, name: str, task: TaskName) -> dict[str, tuple[float, float]]:
    """What each leaderboard says: an interval."""
    known: dict[str, tuple[float, float]] = {}
    if name in snapshot.published.index and task in snapshot.published:
        value = float(snapshot.published.loc[name, task])  # type: ignore[arg-type]
        if not math.isnan(value):
            known["published"] = (value, value)
    score = snapshot.standings.get(name, {}).get(task)
    if score is not None:
        known[snapshot.protocol] = (score.low, score.high)
    return known


def _agrees(figure: str, low: float, high: float) -> bool:
    """Whether the figure, to the digits it is given with, is in the interval; a cut-off digit is let pass."""
    digits = figure.rstrip("% ")
    scale = 100 if figure.endswith("%") else 1
    unit = 10.0 ** -len(digits.partition(".")[2]) / scale
    return low - unit <= float(digits) / scale <= high + unit


def _range(low: float, high: float) -> str:
    return f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"
