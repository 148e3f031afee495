"""JSON as language models write it: read where only one thing can be meant, else refused with the place and the reason.

Beside JSON: comments (`//`, `/* */`, `#`), a comma before a closing bracket, line breaks inside of strings, strings in
single, triple or back quotes and with Python's prefixes, strings joined by `+`, names without quotes, Python's literals
and tuples. A backslash that begins no escape of JSON stays: it is LaTeX. Nothing is guessed: no bracket, comma or quote
is ever supplied. `docs/decisions.md` says why no library does this.
"""

import re
from dataclasses import dataclass, field
from typing import Any

DEEPEST = 50
"""Levels of brackets; a proposal has four."""

_GAP = re.compile(r"[\s\ufeff\u200b]*+")
_COMMENT = re.compile(r"(?://|#)[^\n]*+")
_NUMBER = re.compile(r"[-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?(?![\w.%])|-Infinity\b")
_WORD = re.compile(r"[A-Za-z_$][\w$]*+")
_WORDS = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "null": None,
    "None": None,
    "undefined": None,
    "NaN": float("nan"),
    "Infinity": float("inf"),
}
_QUOTE = re.compile(r"([rRuUbB]{0,2})(\"\"\"|'''|\"|'|`)")
_INSIDE = {
    '"': re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL),
    "'": re.compile(r"(?:[^'\\]++|\\.)*+", re.DOTALL),
    "`": re.compile(r"(?:[^`\\]++|\\.)*+", re.DOTALL),
    '"""': re.compile(r'(?:[^"\\]++|\\.|"{1,2}(?!"))*+', re.DOTALL),
    "'''": re.compile(r"(?:[^'\\]++|\\.|'{1,2}(?!'))*+", re.DOTALL),
}
# What may follow a string of several lines: code holds quotes of its own, and only one that ends the value counts.
_KEY = r"""(?:"[^"\n]{1,80}"|'[^'\n]{1,80}'|[A-Za-z_]\w{0,80})\s*:"""
_AFTER_VALUE = re.compile(rf"\s*+(?:(?://|\#)[^\n]*+\s*+)?(?:\}}|,\s*+(?:(?://|\#)[^\n]*+\s*+)?(?:{_KEY}|\}}))")
_AFTER_ITEM = re.compile(r"\s*+[,\])+]")
_ESCAPE = re.compile(r"\\(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"} | {sign: sign for sign in "\"'`\\/"}
_LATEX_AFTER_BACKSLASH = re.compile(r"[A-Za-z()\[\]{},;:!|]")
TYPOGRAPHIC_QUOTES = tuple("“”„«»‘’")


@dataclass(frozen=True)
class JsonFault:
    """Why a text is no JSON. `at`: index of the first sign that does not fit; `path`: names and indices around it."""

    at: int
    path: tuple[str | int, ...]
    reason: str
    unfinished: bool = False
    """Whether the text ends before the object does."""


@dataclass
class JsonObject:
    """What stands at an opening brace. `value` is None where `fault` says why; `end`: index after its last sign."""

    start: int
    value: dict[str, Any] | None = None
    fault: JsonFault | None = None
    end: int = 0
    begun: list[list[str]] = field(default_factory=list)
    """Names of the members read so far, of it and of the objects inside of it that are not complete."""
    inner: list["JsonObject"] = field(default_factory=list)
    """Complete objects inside of one that is broken."""
    single_backslashes: bool = False
    """Whether a string has a backslash that JSON would have doubled: then others may have become control characters."""
    resume: int = 0
    """Where another object can begin, after a broken one."""


class _FaultFound(Exception):  # noqa: N818 - carries the fault out of the recursion
    def __init__(self, fault: JsonFault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


class TolerantReader:
    """Reads objects out of one text. Each sign is looked at a bounded number of times, whatever the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._object = JsonObject(0)
        self._last_comment_end = text.rfind("*/")
        self._unended: set[tuple[str, bool]] = set()

    def read(self, start: int) -> JsonObject:
        """The object whose brace is at `start`."""
        self._at, self._object = start, JsonObject(start, resume=start + 1)
        try:
            self._object.value = self._members(())
        except _FaultFound as found:
            self._object.fault = found.fault
            self._object.inner = _outermost(self._object.inner)
        self._object.end = self._at
        return self._object

    def _fault(self, path: tuple[str | int, ...], reason: str, at: int | None = None) -> _FaultFound:
        at = self._at if at is None else at
        ended = at >= len(self._text)
        return _FaultFound(JsonFault(at, path, "the reply ends here" if ended else reason, ended))

    def _skip(self) -> str:
        """Pass over white space and comments; the sign that follows, "" at the end of the text."""
        text = self._text
        while True:
            self._at = _past(_GAP, text, self._at)
            comment = _COMMENT.match(text, self._at)
            if comment:
                self._at = comment.end()
            elif text.startswith("/*", self._at) and self._last_comment_end >= self._at + 2:
                self._at = text.index("*/", self._at + 2) + 2
            else:
                return text[self._at : self._at + 1]
            self._object.resume = self._at

    def _structural(self) -> None:
        """Pass over a bracket, comma or colon: what was read before it is no place to begin again."""
        self._at += 1
        self._object.resume = self._at

    def _members(self, path: tuple[str | int, ...]) -> dict[str, Any]:
        start = self._at
        members: dict[str, Any] = {}
        names: list[str] = []
        self._object.begun.append(names)
        self._structural()
        while self._skip() != "}":
            name = self._name(path)
            names.append(name)
            if self._skip() != ":":
                raise self._fault((*path, name), f"a colon should stand after the name {name!r}")
            self._structural()
            members[name] = self._value((*path, name), in_list=False)
            if self._skip() == ",":
                self._structural()
            elif self._text[self._at : self._at + 1] != "}":
                raise self._fault((*path, name), self._unseparated(members[name], "}"))
        self._structural()
        self._object.begun.pop()
        if path:
            self._object.inner.append(JsonObject(start, members, end=self._at))
        return members

    def _name(self, path: tuple[str | int, ...]) -> str:
        quote = _QUOTE.match(self._text, self._at)
        if quote:
            return self._string(path, quote, in_list=False).replace(r"\_", "_")  # as Markdown has it
        word = _WORD.match(self._text, self._at)
        if word is None:
            raise self._fault(path, f'a name in "quotation marks" should stand here{self._typographic()}')
        self._at = self._object.resume = word.end()
        return word[0]

    def _value(self, path: tuple[str | int, ...], in_list: bool) -> Any:
        sign = self._skip()
        if len(path) > DEEPEST:
            raise self._fault(path, f"the brackets are nested more than {DEEPEST} deep")
        if sign == "{":
            return self._members(path)
        if sign in ("[", "("):
            return self._items(path, "]" if sign == "[" else ")")
        quote = _QUOTE.match(self._text, self._at)
        if quote:
            return self._joined(path, quote, in_list)
        return self._literal(path)

    def _items(self, path: tuple[str | int, ...], close: str) -> Any:
        items: list[Any] = []
        self._structural()
        while self._skip() != close:
            items.append(self._value((*path, len(items)), in_list=True))
            if self._skip() == ",":
                self._structural()
            elif self._text[self._at : self._at + 1] != close:
                raise self._fault((*path, len(items) - 1), self._unseparated(items[-1], close))
            elif close == ")" and len(items) == 1:
                self._structural()
                return items[0]  # brackets around a value, no tuple
        self._structural()
        return items

    def _unseparated(self, before: Any, close: str) -> str:
        if isinstance(before, str):
            return (
                f"a comma or {close} should stand here: the string before it ends too early (a quotation mark inside "
                f'of a string is written \\", a line break \\n), or a comma is missing'
            )
        return f"a comma or {close} should stand here"

    def _literal(self, path: tuple[str | int, ...]) -> Any:
        number = _NUMBER.match(self._text, self._at)
        if number:
            value = _number(number[0])
            if value is None:
                raise self._fault(path, f"a number of {len(number[0])} digits is too long")
            self._at = number.end()
            return value
        word = _WORD.match(self._text, self._at)
        if word and word[0] in _WORDS:
            self._at = word.end()
            return _WORDS[word[0]]
        if self._text.startswith(("...", "…"), self._at):
            raise self._fault(path, "three dots stand in place of a value: write it out")
        raise self._fault(
            path, f"a value should stand here: a string in quotation marks, a number, [ or {{{self._typographic()}"
        )

    def _typographic(self) -> str:
        return ", in straight quotation marks" if self._text[self._at : self._at + 1] in TYPOGRAPHIC_QUOTES else ""

    def _joined(self, path: tuple[str | int, ...], quote: re.Match[str], in_list: bool) -> str:
        """A string, or several that are joined by `+`."""
        parts = [self._string(path, quote, in_list)]
        while self._skip() == "+":
            self._at += 1
            self._skip()
            further = _QUOTE.match(self._text, self._at)
            if further is None:
                raise self._fault(path, "a string should stand after the +")
            parts.append(self._string(path, further, in_list))
        return "".join(parts)

    def _string(self, path: tuple[str | int, ...], quote: re.Match[str], in_list: bool) -> str:
        start, mark = quote.end(), quote[2]
        self._object.resume = quote.start() + 1
        end, self._at = self._ends(start, mark, in_list)
        if end < 0:
            raise self._fault(path, "", at=len(self._text))
        content = self._text[start:end]
        if len(mark) == 3:
            content = content.removeprefix("\\\n")
        return content if "r" in quote[1].lower() else self._decoded(content)

    def _ends(self, start: int, mark: str, in_list: bool) -> tuple[int, int]:
        """Index of the closing mark and of what follows it; -1 where there is none."""
        first = _past(_INSIDE[mark], self._text, start)
        if first >= len(self._text) or not self._text.startswith(mark, first):
            return -1, len(self._text)
        if mark in ('"', "'") or (mark, in_list) in self._unended:
            return first, first + len(mark)
        follows, at = _AFTER_ITEM if in_list else _AFTER_VALUE, first
        while at < len(self._text) and self._text.startswith(mark, at):
            after = at + len(mark)
            while self._text.startswith(mark[0], after):
                after += 1  # of more quotes than needed the first ones are text
            if follows.match(self._text, after):
                return after - len(mark), after
            at = _past(_INSIDE[mark], self._text, after)
        self._unended.add((mark, in_list))  # nor does any later one end: looked for only once
        return first, first + len(mark)

    def _decoded(self, content: str) -> str:
        return _ESCAPE.sub(self._escape, content) if "\\" in content else content

    def _escape(self, match: re.Match[str]) -> str:
        escaped = match[1]
        if escaped[0] == "u" and len(escaped) > 1:
            units = [int(unit, 16) for unit in re.findall(r"u(.{4})", escaped)]
            return b"".join(unit.to_bytes(2, "little") for unit in units).decode("utf-16-le", "surrogatepass")
        if escaped in _ESCAPES:
            return _ESCAPES[escaped]
        if _LATEX_AFTER_BACKSLASH.match(escaped):
            self._object.single_backslashes = True
        return match[0]


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Index after what the pattern matches here."""
    found = pattern.match(text, at)
    return found.end() if found else at


def _number(text: str) -> int | float | None:
    try:
        return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
    except ValueError:  # Python refuses to read integers of more than 4300 digits
        return None


def _outermost(objects: list[JsonObject]) -> list[JsonObject]:
    """Without objects that lie inside of others; inner ones were completed first."""
    kept: list[JsonObject] = []
    for candidate in reversed(objects):
        if not kept or candidate.end <= kept[-1].start:
            kept.append(candidate)
    return kept[::-1]
