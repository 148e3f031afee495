"""Text of strangers on a page: whatever a model, a kernel or an endpoint wrote is shown, and is never markup."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

from agent.site.content.code import highlighted

LONGEST = 200_000
"""Characters of one text on a page; the archive's own file has the rest."""
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
)
"""Control characters, what reverses or hides text (Trojan source), and what no file can hold."""


def visible(text: str, longest: int = LONGEST) -> str:
    """The text with every character that hides itself or turns its neighbours written out: `⟨U+202E⟩`."""
    text = text.replace("\r\n", "\n")
    more = len(text) - longest
    shown = _UNSEEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text[:longest])
    return f"{shown} … ({more} more characters in the archive)" if more > 0 else shown


def seen(value: Any, longest: int = 2_000) -> Any:
    """The same for every string in a JSON-like value, keys included."""
    if isinstance(value, str):
        return visible(value, longest)
    if isinstance(value, dict):
        return {visible(str(key), 200): seen(item, longest) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [seen(item, longest) for item in value]
    return value


def markdown(text: str) -> Markup:
    """A report as HTML: no markup of the author's, no images, links to http and https only, headings two down."""
    return Markup(_markdown().render(visible(text)))


def prose(text: str) -> Markup:
    """The same for a sentence or two: code in backticks and emphasis, no blocks."""
    return Markup(_markdown().renderInline(visible(text)))


@cache
def _markdown() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False, "highlight": _fence}, renderer_cls=_Renderer)
    reader.enable("table").disable(["image", "html_block", "html_inline"])
    reader.core.ruler.at("inline", _inline)
    reader.validateLink = lambda url: bool(re.match(r"https?://", url))  # type: ignore[method-assign]
    return reader


_PLAIN = re.compile(r"[A-Za-z0-9 .,:;()%+/=^±≤≥−–-]*")
"""Text in which Markdown can find nothing: most cells of tables."""


def _inline(state: StateCore) -> None:
    """Markdown-it's own rule, but that plain text is not searched for markup."""
    for token in state.tokens:
        if token.type != "inline":
            continue
        token.children = []
        if _PLAIN.fullmatch(token.content):
            token.children.append(Token("text", "", 0, content=token.content))
        else:
            state.md.inline.parse(token.content, state.md, state.env, token.children)


def _fence(text: str, language: str, _attributes: str) -> str:
    return str(highlighted(text, language) if language in ("python", "diff", "json") else escape(text))


class _Renderer(RendererHTML):
    """Without style attributes, which the page's Content-Security-Policy would refuse."""

    def heading_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"<h{_level(tokens[idx])}>"

    def heading_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"</h{_level(tokens[idx])}>\n"

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        tokens[idx].attrSet("rel", "noopener noreferrer nofollow")
        return str(self.renderToken(tokens, idx, options, env))

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<th scope="col"{_aligned(tokens[idx])}>'

    def td_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"<td{_aligned(tokens[idx])}>"


def _level(token: Token) -> int:
    return min(6, int(token.tag[1]) + 2)


def _aligned(token: Token) -> str:
    return ' class="num"' if "right" in str(token.attrGet("style") or "") else ""
