"""Which parts of a reply are thinking aloud: drafts in them are not the answer.

Tags and their end marks: `<think>` and kin (DeepSeek, Qwen, GLM, Seed), `[THINK]` (Mistral), `<|START_THINKING|>`
(Cohere), `<|begin_of_thought|>`, `◁think▷` (Kimi), `<|channel>thought` (Gemma), `<details type="reasoning">`, and what
`ollama run` prints. Channels of gpt-oss: the last `final` one is the answer.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence

Span = tuple[int, int]
"""Index of the first sign and of the sign after the last one."""

_NAME = (
    r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratch_?pad|analysis|inner_?monologue|antthinking)"
)
_MARK = re.compile(
    rf"""
    <(?P<xml_end>/?)(?P<xml>{_NAME})(?:\s[^<>]{{0,200}})?(?<!/)>
  | \[(?P<square_end>/?)(?P<square>THINK(?:ING)?)\]
  | ◁(?P<kimi_end>/?)(?P<kimi>think)▷
  | <\|(?P<bar_end>/|end_of_|end_)?(?:begin_of_|start_)?(?P<bar>thoughts?|think(?:ing)?)\|>
  | (?P<gemma_start><\|channel>(?:thought|analysis))
  | (?P<gemma_end><channel\|>)
  | (?P<details_start><details\s[^<>]{{0,200}}reasoning[^<>]{{0,200}}>)
  | (?P<details_end></details>)
  | ^(?P<ollama_start>Thinking\.\.\.)[ \t]*$
  | ^(?P<ollama_end>\.\.\.done\ thinking\.)[ \t]*$
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_CHANNEL = re.compile(r"(?:<\|channel\|>|\A)\s*+(\w{1,40}+)[^<>]{0,200}(?:<\|constrain\|>[^<>]{0,40})?<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_BARE_FINAL = re.compile(r"assistant\s*final")
"""What is left of the marks before the final channel where the endpoint dropped the special tokens."""


def thinking(text: str, literal: Sequence[Span]) -> list[Span]:
    """The parts to leave out, in order. `literal`: spans of complete objects, in order; a mark in one is text of it."""
    return _merged(_outside_final(text, literal) + _between_marks(text, literal))


def blanked(text: str, spans: Sequence[Span]) -> str:
    """The text with the spans as white space: indices and line numbers stay those of the reply."""
    pieces, end = [], 0
    for start, stop in spans:
        pieces += [text[end:start], re.sub(r"[^\n]", " ", text[start:stop])]
        end = stop
    return "".join([*pieces, text[end:]])


def _between_marks(text: str, literal: Sequence[Span]) -> list[Span]:
    spans: list[Span] = []
    open_at: dict[str, int] = {}
    for mark in _MARK.finditer(text):
        if within(mark.start(), literal):
            continue
        name, ends = _name_of(mark)
        if not ends:
            open_at.setdefault(name, mark.start())  # thinking may name the mark itself
        elif name in open_at:
            start = open_at[name]
            spans.append((start, mark.end()))
            open_at = {other: at for other, at in open_at.items() if at < start}
        elif open_at:
            spans.append((min(open_at.values()), mark.end()))  # opened by another mark of the kind
            open_at = {}
        elif name != "details":
            spans.append((0, mark.end()))  # the opening mark was in the prompt
    return spans + [(at, len(text)) for at in open_at.values() if _begins_line(text, at)]


def _name_of(mark: re.Match[str]) -> tuple[str, bool]:
    """The kind of mark, and whether it is the end of thinking."""
    for kind in ("xml", "square", "kimi", "bar"):
        if mark[kind]:
            return f"{kind} {mark[kind].lower()}", bool(mark[f"{kind}_end"])
    kind = next(name for name in mark.groupdict() if mark[name])
    return kind.rpartition("_")[0], kind.endswith("_end")


def _begins_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _outside_final(text: str, literal: Sequence[Span]) -> list[Span]:
    channels = [mark for mark in _CHANNEL.finditer(text) if not within(mark.start(), literal)]
    if channels:
        finals = [mark for mark in channels if mark[1].lower() == "final"]
        if not finals:
            return [(0, len(text))]
        start = finals[-1].end()
        ends = (mark.start() for mark in _CHANNEL_END.finditer(text, start) if not within(mark.start(), literal))
        return [(0, start), (next(ends, len(text)), len(text))]
    if text.lstrip().lower().startswith("analysis"):
        finals = [mark for mark in _BARE_FINAL.finditer(text) if not within(mark.start(), literal)]
        return [(0, finals[-1].end())] if finals else []
    return []


def within(index: int, spans: Sequence[Span]) -> bool:
    """Whether the index lies in one of the spans, which are in order and apart."""
    before = bisect_left(spans, (index + 1,))
    return before > 0 and index < spans[before - 1][1]


def _merged(spans: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        elif start < stop:
            merged.append((start, stop))
    return merged
