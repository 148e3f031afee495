"""Which variants and tasks a sentence of a report names, in whatever way people write them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from agent.analysis.snapshot import ArchiveSnapshot
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import TASKS
from variants.contract import BASELINE, REFERENCE, short_name

TASK_WORDS: dict[TaskName, str] = {name: task.words for name, task in TASKS.items()}
EXPECTATION = (
    r"expect\w*|predict\w*|anticipat\w*|should|would|could|may|might|aim\w*|target\w*|hop\w+|goal|likely|toward\w*|if"
)
_STATEMENT = re.compile(r"[\n;•]|(?<=[.!?])\s+(?=[A-Z`*–-])|\s[–—]\s")
_CONJUNCTION = re.compile(r"(?i);\s*|,?\s+(?:but|while|whereas|although|though|yet)\s+|,\s+(?:and\s+)?")
_ANOTHER = re.compile(r"(?i)\bvariants\b|\bother\b|\bthan\b|\bversus\b|\bvs\b|\bcompared\b|\bbaseline\b|\bgated\b")
_DASH = re.compile(r"\s*[–—•*-]\s+")
_WORD = re.compile(r"[a-z0-9]+")
_PLAIN = re.compile(r"[a-z0-9_]+")
MOST_LETTERS_OF_A_HEADING = 14


@dataclass(frozen=True)
class Mention:
    """A variant's name in a sentence, from `start` to `end`."""

    name: str
    start: int
    end: int


class Aliases:
    """Ways to name a variant, as regular expressions, each with the variant that it names.

    Those that consist of plain words are found by these words, so that a sentence is searched for the few names that it
    can hold and not for every name of a large archive.
    """

    def __init__(self, ways: Mapping[str, str], words: Mapping[str, Sequence[str]]) -> None:
        """words: of the ways that consist of words in lower case, letters and digits alone: these words, in order."""
        self._ways = ways
        self._always = {pattern: name for pattern, name in ways.items() if pattern not in words}
        self._starts: dict[str, Any] = {}
        """By the first word, then the second, and so on; the patterns that end there are under the empty word."""
        for pattern, own in words.items():
            node = self._starts
            for word in own:
                node = node.setdefault(word, {})
            node.setdefault("", []).append(pattern)

    def within(self, statement: str) -> dict[str, str]:
        """The ways that may occur in a statement."""
        found, words = dict(self._always), _WORD.findall(statement.lower())
        for start in range(len(words)):
            node = self._starts
            for word in words[start:]:
                if (following := node.get(word)) is None:
                    break
                node = following
                found |= {pattern: self._ways[pattern] for pattern in node.get("", ())}
        return found


def statements(text: str, aliases: Aliases) -> Iterator[str]:
    """Sentences and list items. Items below a line that is hardly more than a variant's name are about that variant."""
    heading = ""
    for line in text.splitlines():
        found, rest = mentions(line, aliases)
        if len({each.name for each in found}) == 1 and sum(map(str.isalpha, rest)) <= MOST_LETTERS_OF_A_HEADING:
            heading = found[0].name
        elif found or not _DASH.match(line):
            heading = ""
        about = f"{heading}: " if heading and not found else ""
        for part in _STATEMENT.split(_DASH.sub("", line, count=1)):
            yield about + part


def clauses(statement: str, aliases: Aliases) -> Iterator[str]:
    """The claims of a statement: its clauses, where several of them name a variant and a task; else all as one.

    A clause that lacks either says something of the one before it, and goes with it.
    """
    start = 0
    for conjunction in _CONJUNCTION.finditer(statement):
        ahead = statement[conjunction.end() :]
        following = _CONJUNCTION.search(ahead)
        part = ahead[: following.start()] if following else ahead
        if _is_claim(statement[start : conjunction.start()], aliases) and _is_claim(part, aliases):
            yield statement[start : conjunction.start()]
            start = conjunction.end()
    yield statement[start:]


def _is_claim(clause: str, aliases: Aliases) -> bool:
    named, rest = mentions(clause, aliases)
    return bool(named) and any(re.search(rf"(?i)\b{word}\b", rest) for word in TASK_WORDS.values())


def variant_aliases(snapshot: ArchiveSnapshot) -> Aliases:
    """Ways to name a variant of a snapshot. One-word ideas, such as decay, mean too much to count."""
    names = {*(str(name) for name in snapshot.published.index), *snapshot.standings}
    aliases = {_pattern(name): name for name in names}
    parts = {pattern: name.split("_") for pattern, name in aliases.items()}
    for name in names - {BASELINE, REFERENCE}:
        words = short_name(name).split("_")
        if len(words) > 1:
            pattern = r"[\s_-]+".join(map(_pattern, words))
            aliases[pattern], parts[pattern] = name, words
    aliases[r"gated[\s_-]*delta[\s_-]*net"] = REFERENCE
    aliases[r"(?:vanilla|plain|baseline)[\s_-]+delta[\s_-]*net|delta[\s_-]*net[\s_-]+baseline|the baseline"] = BASELINE
    plain = {pattern: own for pattern, own in parts.items() if all(_WORD.fullmatch(word) for word in own)}
    return Aliases(aliases, plain)


def _pattern(name: str) -> str:
    """As `re.escape`, which takes some seconds for the names of a large archive."""
    return name if _PLAIN.fullmatch(name) else re.escape(name)


def mentions(
    statement: str, aliases: Aliases, more: Mapping[str, str] = MappingProxyType({})
) -> tuple[list[Mention], str]:
    """Every variant named, in order, and the statement with the names blanked out. Longer names hide shorter.

    more: further ways to name one.
    """
    rest, found = statement, []
    ways = {**aliases.within(statement), **more}
    for pattern, name in sorted(ways.items(), key=lambda way: len(way[0]), reverse=True):
        for match in re.finditer(rf"(?i)(?<![\w-])(?:{pattern})(?![\w-])", rest):
            found.append(Mention(name, match.start(), match.end()))
            rest = rest[: match.start()] + " " * len(match[0]) + rest[match.end() :]
    return sorted(found, key=lambda mention: mention.start), rest


def only_variant(statement: str, aliases: Aliases) -> Mention | None:
    """The one variant that the statement names; None for none, for several, or for another in words of its own."""
    found, rest = mentions(statement, aliases)
    return found[0] if len({each.name for each in found}) == 1 and not _ANOTHER.search(rest) else None
