"""Figures of an analysis that the leaderboard contradicts: precise rather than complete.

A figure counts only where a statement names one variant, then a task and a number bound to that task, and is neither an
expectation nor a comparison. It contradicts if no leaderboard gives that variant such a number on that task.
"""

import re
from collections.abc import Iterator, Mapping

from agent.context import Context
from variants.contract import BASELINE, REFERENCE, Task

_STATEMENT = re.compile(r"[\n;•]|(?<=[.!?])\s+(?=[A-Z`*–-])|\s[–—]\s")
_NUMBER = r"(?<![\w.+\-−±<>≤≥~≈/^])(\d{1,3}(?:\.\d+)?\s?%|[01]?\.\d+|[01])(?![\w%]|\.\d)"
_HEDGE = re.compile(
    r"(?i)\b(expect\w*|predict\w*|anticipat\w*|should|would|could|may|might|aim\w*|target\w*|hop\w+|goal|likely|toward\w*"
    r"|exceed\w*|surpass\w*|beat\w*|above|below|over|under|least|most|more than|less than|differ\w*|gain\w*|gap|margin"
    r"|los[est]\w*|trail\w*|lag\w*|behind|ahead|match\w*|against|drop\w*|improv\w*|increas\w*|decreas\w*|by|if|smoke|quick)\b|→|=>|->|Δ|↑|↓"
)
_TASK_WORDS: dict[Task, str] = {
    "Compress": r"compress(?:ion)?",
    "Context Recall": r"context[- ]recall",
    "Fuzzy Recall": r"fuzzy[- ]recall",
    "Memorize": r"memori[sz]e",
    "Noisy Recall": r"noisy[- ]recall",
    "Selective Copy": r"selective[- ]copy",
}
_ANOTHER = re.compile(r"(?i)\b(variants|other|than|versus|vs|compared|baseline|gated)\b")
_JOIN = r"(?:\s*(?:\(|=|:|is|was|of|at|to|score|accuracy|reaches|with|stands|has)){0,3}\s*"


def contradictions(text: str, context: Context) -> tuple[str, ...]:
    """One line for each figure in `text` that contradicts the leaderboards: what is said, and what they say."""
    aliases = _aliases(context)
    found: dict[str, None] = {}
    for statement in _STATEMENT.split(text):
        subject = _only_variant(statement, aliases)
        if subject is None or _HEDGE.search(statement):
            continue
        name, place = subject
        for task, figure in _figures(statement[place:]):
            known = _known(context, name, task)
            if known and not any(_agrees(figure, low, high) for low, high in known.values()):
                said = "; ".join(f"{source}: {_range(low, high)}" for source, (low, high) in known.items())
                found[f"says {figure} for `{name}` on {task}; {said}"] = None
    return tuple(found)


def _figures(statement: str) -> Iterator[tuple[Task, str]]:
    """Numbers with the task that they are bound to: `Fuzzy Recall (0.53)`, `0.53 on Fuzzy Recall`."""
    for task, word in _TASK_WORDS.items():
        after = rf"(?i)\b{word}\b[`*]*{_JOIN}{_NUMBER}"
        before = rf"(?i){_NUMBER}\s+(?:on|in|for)\s+(?:the\s+)?[`*]*{word}\b"
        found = {match[1] for pattern in (after, before) for match in re.finditer(pattern, statement)}
        if len(found) == 1:
            yield task, found.pop()


def _aliases(context: Context) -> dict[str, str]:
    """Ways to name a variant, as regular expressions. One-word ideas, such as decay, mean too much to count."""
    names = {*(str(name) for name in context.published.index), *context.standings}
    aliases = {re.escape(name): name for name in names}
    for name in names - {BASELINE, REFERENCE}:
        words = name.removeprefix(f"{BASELINE}_").removesuffix("_in_for_loop").split("_")
        if len(words) > 1:
            aliases[r"[\s_-]+".join(map(re.escape, words))] = name
    aliases[r"gated[\s_-]*delta[\s_-]*net"] = REFERENCE
    aliases[r"(?:vanilla|plain|baseline)[\s_-]+delta[\s_-]*net|delta[\s_-]*net[\s_-]+baseline|the baseline"] = BASELINE
    return aliases


def _only_variant(statement: str, aliases: Mapping[str, str]) -> tuple[str, int] | None:
    """The one variant that the statement names, and where; None for none or several. Longer names hide shorter."""
    rest, places = statement, dict[str, int]()
    for pattern in sorted(aliases, key=len, reverse=True):
        for match in re.finditer(rf"(?i)(?<![\w-])(?:{pattern})(?![\w-])", rest):
            places[aliases[pattern]] = min(match.start(), places.get(aliases[pattern], len(rest)))
            rest = rest[: match.start()] + " " * len(match[0]) + rest[match.end() :]
    # What is left must not name another one in words of its own.
    others = re.search(
        r"(?i)\bvariants\b|\bother\b|\bthan\b|\bversus\b|\bvs\b|\bcompared\b|\bbaseline\b|\bgated\b", rest
    )
    return places.popitem() if len(places) == 1 and not others else None


def _known(context: Context, name: str, task: Task) -> dict[str, tuple[float, float]]:
    """What each leaderboard says: an interval."""
    known: dict[str, tuple[float, float]] = {}
    if name in context.published.index:
        value = float(context.published.loc[name, task])  # type: ignore[arg-type]
        known["published"] = (value, value)
    score = context.standings.get(name, {}).get(task)
    if score is not None:
        known[context.protocol] = (score.low, score.high)
    return known


def _agrees(figure: str, low: float, high: float) -> bool:
    """Whether the figure, to the digits it is given with, is in the interval; a cut-off digit is let pass."""
    digits = figure.rstrip("% ")
    scale = 100 if figure.endswith("%") else 1
    unit = 10.0 ** -len(digits.partition(".")[2]) / scale
    return low - unit <= float(digits) / scale <= high + unit


def _range(low: float, high: float) -> str:
    return f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"
