"""Source text with syntax colours, and the difference of two sources, as HTML that holds no style of its own."""

import difflib
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name

LONGEST = 60_000
"""Characters beyond which a source is shown plain: a lexer's regular expressions may be slow on hostile text."""

Kind = Literal["same", "gone", "new", "gap"]


@dataclass(frozen=True)
class Line:
    """One line of a difference. `old` and `new` are line numbers, None where the line is not in that file."""

    kind: Kind
    html: Markup
    old: int | None = None
    new: int | None = None


@lru_cache(maxsize=512)
def highlighted(text: str, language: str = "python") -> Markup:
    """The text as spans with the short classes of Pygments, to stand in a `pre`."""
    if len(text) > LONGEST:
        return escape(text)
    return Markup(highlight(text, _lexer(language), HtmlFormatter(nowrap=True)))


@cache
def _lexer(language: str) -> Lexer:
    return get_lexer_by_name(language, stripnl=False, ensurenl=False)


def difference(
    old: str, new: str, parts: tuple[tuple[int, int], tuple[int, int]] | None = None, context: int = 3
) -> list[Line]:
    """Lines that differ, with their neighbours; empty if none do. `parts`: first line and end of a part of each."""
    (p, p_end), (q, q_end) = parts or ((0, None), (0, None))
    before, after = old.splitlines()[p:p_end], new.splitlines()[q:q_end]
    old_html, new_html = _lines(old)[p:p_end], _lines(new)[q:q_end]
    found: list[Line] = []
    for group in difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(context):
        if found:
            found.append(Line("gap", Markup("⋯")))
        for tag, a, b, c, d in group:
            if tag == "equal":
                found += [Line("same", new_html[c + i], p + a + i + 1, q + c + i + 1) for i in range(d - c)]
                continue
            found += [Line("gone", old_html[i], old=p + i + 1) for i in range(a, b)]
            found += [Line("new", new_html[i], new=q + i + 1) for i in range(c, d)]
    return found


def _lines(source: str) -> list[Markup]:
    """Highlighted lines; Pygments closes its spans at each line's end."""
    plain = source.splitlines()
    lines = [Markup(line) for line in str(highlighted(source)).replace("\r\n", "\n").split("\n")]
    return lines if len(lines) - source.endswith("\n") == len(plain) else [escape(line) for line in plain]
