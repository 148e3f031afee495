"""The JSON objects of a reply: which are complete, which one is the answer, and what is wrong with one that is not."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from agent.proposers.llm.reply.thinking import Span, blanked, thinking, within
from agent.proposers.llm.reply.tolerant_json import TYPOGRAPHIC_QUOTES, JsonObject, TolerantReader

DEEPEST_WRAPPING = 4
_OPENING = re.compile(rf"\{{(?=\s*+[}}\w$\"'`/#{''.join(TYPOGRAPHIC_QUOTES)}])")
"""A brace that an object can begin with: sets and braces of LaTeX are many."""
_QUOTED_NAME = re.compile(rf"\{{\s*+[\"'`{''.join(TYPOGRAPHIC_QUOTES)}]")


@dataclass(frozen=True)
class Found:
    """A complete object of the reply. `is_json`: it is valid as it stands, but for raw line breaks in strings."""

    span: Span
    value: dict[str, Any]
    is_json: bool
    single_backslashes: bool = False


@dataclass(frozen=True)
class Answer:
    """What a reply holds beside thinking. `text` has the thinking as white space, so that places stay those of it."""

    text: str
    complete: tuple[Found, ...]
    broken: tuple[JsonObject, ...]

    @classmethod
    def of(cls, text: str) -> "Answer":
        """Cut the thinking and find all objects in what is left."""
        text = _once_encoded(text)
        complete, broken = scan(text)
        spans = thinking(text, [found.span for found in complete if found.is_json])
        return cls(
            blanked(text, spans),
            tuple(found for found in complete if not within(found.span[0], spans)),
            tuple(other for other in broken if not within(other.start, spans)),
        )

    def last_of_form(self, fields: Collection[str]) -> Found | None:
        """The last complete object of the form, taken out of what it is wrapped in."""
        of_form = (unwrapped(found, fields) for found in reversed(self.complete))
        return next((found for found in of_form if found is not None), None)

    def beside(self, fields: Collection[str]) -> str:
        """The text around the complete objects of the form, which are white space in it."""
        return blanked(self.text, [found.span for found in self.complete if unwrapped(found, fields) is not None])

    def begun_after(self, found: Found, fields: Collection[str]) -> JsonObject | None:
        """The object of the form that was begun last, after `found`, and cannot be read.

        A model that repeats its answer until its limit has begun nothing new.
        """
        begun = [other for other in self.broken if other.start >= found.span[1] and _is_begun(other, fields)]
        repeats = begun and self.text[slice(*found.span)].startswith(self.text[begun[-1].start :].rstrip())
        return begun[-1] if begun and not repeats else None

    def meant(self, fields: Collection[str]) -> Found | JsonObject | None:
        """Where there is no object of the form: what comes closest to one, complete or not."""
        broken = max(self.broken, key=lambda other: _likeness(other, fields), default=None)
        if broken is not None and _likeness(broken, fields):
            return broken
        complete = max(self.complete[::-1], key=lambda other: len(other.value.keys() & set(fields)), default=None)
        first = next((other for other in self.broken if _QUOTED_NAME.match(self.text, other.start)), None)
        if first is not None and (complete is None or first.start < self.complete[0].span[0]):
            return first
        return complete


def scan(text: str) -> tuple[list[Found], list[JsonObject]]:
    """All outermost complete objects of the text, and all that cannot be read, each in order of their beginning."""
    complete: list[Found] = []
    broken: list[JsonObject] = []
    reader = TolerantReader(text)
    opening = _OPENING.search(text)
    while opening:
        read = reader.read(opening.start())
        if read.value is None:
            broken.append(read)
            complete += [_found(text, inner, read.single_backslashes) for inner in read.inner]
            at = max([read.resume, *(inner.end for inner in read.inner)])
        else:
            complete.append(_found(text, read, read.single_backslashes))
            at = read.end
        opening = _OPENING.search(text, at)
    return complete, broken


def _found(text: str, read: JsonObject, single_backslashes: bool) -> Found:
    """What was read; where it is JSON, as Python's own reader has it, so that tolerance cannot change it."""
    assert read.value is not None
    span = (read.start, read.end)
    try:
        return Found(span, json.loads(text[slice(*span)], strict=False), is_json=True)
    except (ValueError, RecursionError):
        return Found(span, read.value, False, single_backslashes)


def _once_encoded(text: str) -> str:
    """What a reply says that is one JSON string as a whole."""
    try:
        value = json.loads(text, strict=False) if text.lstrip().startswith('"') else text
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def is_of_form(value: dict[str, Any], fields: Collection[str]) -> bool:
    """Whether the object has half of the fields at least: then it is meant as one, whatever it lacks."""
    return 2 * len(value.keys() & set(fields)) >= len(fields)


def unwrapped(found: Found, fields: Collection[str]) -> Found | None:
    """The object of the form: it itself, else the last one inside of it, as a value or as text; None without any."""
    inside = _inside(found.value, fields, found, DEEPEST_WRAPPING)
    return None if inside is None else Found(found.span, inside.value, inside.is_json, inside.single_backslashes)


def _inside(value: Any, fields: Collection[str], found: Found, levels: int) -> Found | None:
    if isinstance(value, dict) and is_of_form(value, fields):
        return Found(found.span, value, found.is_json, found.single_backslashes)
    if levels == 0:
        return None
    if isinstance(value, str):  # arguments of a call are JSON within JSON
        if not value.lstrip().startswith("{"):
            return None
        texts = (_inside(other.value, fields, other, levels - 1) for other in reversed(scan(value)[0]))
        return next((other for other in texts if other is not None), None)
    children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    results = (_inside(child, fields, found, levels - 1) for child in reversed(children))
    return next((result for result in results if result is not None), None)


def _is_begun(broken: JsonObject, fields: Collection[str]) -> bool:
    return any(names and set(names) <= set(fields) for names in broken.begun)


def _likeness(broken: JsonObject, fields: Collection[str]) -> int:
    return max((len(set(names) & set(fields)) for names in broken.begun), default=0)
