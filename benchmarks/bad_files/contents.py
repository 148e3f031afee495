"""Contents of files as nobody should write them: real examples with something wrong in them, and no files at all.

JSON is changed as a tree (a value of another type, a field too many, twice or missing), Python as a syntax tree, text
by what its readers split at, and all of them as bytes.
"""

import ast
import json
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

from hypothesis import strategies as st

Draw = st.DrawFn


class Special(Enum):
    """What can stand in the place of a file."""

    MISSING = "nothing"
    FOLDER = "a folder"
    PIPE = "a pipe that nobody writes to"
    SOCKET = "a socket"
    LINK_TO_NOTHING = "a link to nothing"
    LINK_TO_ITSELF = "a link to itself"
    LINK_TO_ENDLESS = "a link to /dev/zero"
    LINK_OUT = "a link to /etc/passwd"


Content = bytes | Special

FRAGMENTS = (
    "\0", "\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\x85", "\u2028", "\x1c", "\r", "\u202e", "\ufeff", "\ud800", "\udcff",
    "e\u0301" * 20, "١٢", "²", "½", "nan", "-inf", "1e999", "9" * 5000, "1_000", "/", "../../../etc/passwd", "/etc/passwd",
    "[bold]", "[/]", "[link=file:///etc/passwd]x[/link]", "{{ 1/0 }}", "<script>", "`", "$(id)", "%s%n", "\\", '"', "'",
    "x" * 300, "a" * 70_000, " " * 5000, "\n" * 50, "2026-02-30T25:61:00Z", "0001-01-01T00:00:00+23:59", "-1", "0" * 40,
)  # fmt: skip
"""Texts that some reader stumbles over."""

RAW_JSON = (
    "null", "true", "[]", "{}", '""', "0", "-1", "1.5", "NaN", "Infinity", "-Infinity", "1e999", "-0.0", "9" * 25, "9" * 5000,
    "1" + "0" * 320, "[[]]", '[{}]', '{"": null}', '"\\u0000"', '"\\ud800"', '"\\udfff\\ud800"', "[" * 90 + "]" * 90, "[" * 300 + "]" * 300, "[" * 480 + "]" * 480, "[" * 900 + "]" * 900,
    "[" * 100_000, '{"a":' * 3000, '{"\\ud800": 1}', "undefined", "'x'", "01", "+1", ".5", "// comment", "",
)  # fmt: skip
"""Values of JSON, and what is none, that stand in the place of a value."""

STATEMENTS = (
    "import os", "from os import *", "from . import x", "from ... import y", "import torch as q", "global q", "nonlocal q",
    "del q", "q: int", "q: int = (yield)", "async def f(): await g()", "class A(torch.Tensor): __slots__ = ()", "@x\nclass B: pass",
    "match q:\n case [1, *rest] if rest: pass\n case {'a': 1, **kw}: pass\n case A(x=1) | None: pass\n case _: pass",
    "try: pass\nexcept* ValueError as e: pass", "with a as b, c as (d, e): pass", "type X[T] = list[T]", "def f[T](x: T) -> T: return x",
    "for q in q: pass\nelse: pass", "while True: break", "if (q := 1): pass", "assert q, 1", "raise q from q", "return", "yield", "pass",
    "def f(a, /, b, *, c=[], **d): return lambda: (yield)", "q.x[1:2, ...] = q", "q[q], *r = q", "lambda: 0", "q @= q", "(q): int = 1",
    "if __name__ == '__main__': main()", "from __future__ import annotations", "__all__ = ['x']", "torch = 1", "F = torch.nn.functional",
    "def delta_rule_chunkwise(): pass", "delta_rule_chunkwise = torch.compile(delta_rule_chunkwise)", "'''doc'''", "print(f'{q!r:>{q}}')",
)  # fmt: skip
EXPRESSIONS = (
    "q", "None", "...", "lambda *a, **k: a", "[x for x in q if (y := x)]", "{**q}", "{*q}", "(yield)", "(await q)", "q if q else q", "q()()()",
    "f'{q!r:{q}}'", "b'\\xff'", "'\\ud800'", "1j", "9" * 4301, "1e999", "0x" + "f" * 5000, "q[::]", "q[...]", "*q", "-" * 300 + "1", "(" * 150 + "q" + ")" * 150,
    "q" + ".x" * 300, "q" + "[0]" * 300, "[" * 180 + "]" * 180, "'a' 'b'", "'x' * 10**9", "10**10**10", "q < q < q is not q", "'{0.__class__}'.format(q)",
    "type(q)", "super().__init__()", "torch.load('x')", "getattr(q, 'x')", "{k: v for k, v in q}", "not q", "q @ q", "'\\N{BULLET}'", "'\0'",
)  # fmt: skip


def text_bytes(text: str) -> bytes:
    """UTF-8, lone surrogates too."""
    return text.encode("utf-8", "surrogatepass")


@st.composite
def broken_bytes(draw: Draw, examples: Sequence[bytes]) -> bytes:
    """An example cut off, spliced, repeated, overwritten, or in another encoding."""
    data = draw(st.sampled_from(examples))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from(FRAGMENTS).map(text_bytes) | st.binary(max_size=4))
        how = draw(st.sampled_from(("cut", "insert", "replace", "repeat", "drop", "swap")))
        data = {
            "cut": data[:at],
            "insert": data[:at] + piece + data[at:],
            "replace": data[:at] + piece + data[end:],
            "repeat": data[:end] + data[at:],
            "drop": data[:at] + data[end:],
            "swap": data[at:] + data[:at],
        }[how]
    recoded = draw(st.sampled_from(("", "", "", "", "utf-8-sig", "utf-16", "utf-32", "latin-1")))
    return data.decode("utf-8", "replace").encode(recoded, "replace") if recoded else data


@st.composite
def broken_json(draw: Draw, examples: Sequence[Any]) -> bytes:
    """A document with up to three values that are wrong, missing, doubled or too many."""
    document = json.loads(json.dumps(draw(st.sampled_from(examples))))
    raw: dict[str, str] = {}
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        if not places:
            break
        _spoil(draw, *draw(st.sampled_from(places)), document, raw)
    text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    for mark, given in raw.items():
        text = text.replace(f'"{mark}"', given)
    return text_bytes(text)


def _spoil(draw: Draw, holder: Any, key: Any, document: Any, raw: dict[str, str]) -> None:
    """Change what stands at a place of a document. `raw`: texts that are to stand in the place of marks."""
    mark, old = f"@raw{len(raw)}@", holder[key]
    how = draw(st.sampled_from(("raw", "raw", "drop", "elsewhere", "twice", "further", "text", "text")))
    if how == "drop":
        del holder[key]
    elif how == "elsewhere":
        other, at = draw(st.sampled_from(list(_places(document))))
        holder[key] = json.loads(json.dumps(other[at]))
    elif how == "twice" and isinstance(holder, dict):
        raw[mark] = f"{json.dumps(old)}, {json.dumps(key)}: {draw(st.sampled_from(RAW_JSON))}"
        holder[key] = mark
    elif how == "further" and isinstance(holder, dict):
        holder[draw(st.sampled_from(FRAGMENTS))] = old
    elif how == "text" and isinstance(old, str):
        at = draw(st.integers(0, len(old)))
        holder[key] = old[:at] + draw(st.sampled_from(FRAGMENTS)) + old[at:]
    else:
        raw[mark] = draw(st.sampled_from(RAW_JSON))
        holder[key] = mark


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place within a document, as its holder and its key there."""
    keys: Sequence[Any] = (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield value, key
        yield from _places(value[key])


@st.composite
def broken_lines(draw: Draw, lines: Sequence[Any]) -> bytes:
    """A few documents, one a line, of which one is broken, or the ends of the lines are."""
    kept = [text_bytes(json.dumps(line, ensure_ascii=False)) for line in lines[:3]]
    at = draw(st.integers(0, len(kept)))
    kept.insert(at, draw(broken_json(lines) | broken_bytes([text_bytes(json.dumps(line)) for line in lines])))
    return draw(st.sampled_from((b"\n", b"\n", b"\r\n", b"\n\n", b"\r", b"\n \n", b"\n\0\n"))).join(kept)


@st.composite
def broken_python(draw: Draw, examples: Sequence[bytes]) -> bytes:
    """A module in which expressions and statements were replaced by others, or have company."""
    source = draw(st.sampled_from(examples)).decode()
    for _ in range(draw(st.integers(1, 3))):
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            break
        kind = draw(st.sampled_from((ast.stmt, ast.expr)))
        nodes = [node for node in ast.walk(tree) if isinstance(node, kind)]
        source = _with(draw, source, draw(st.sampled_from(nodes))) if nodes else source
    return text_bytes(source)


def _with(draw: Draw, source: str, node: Any) -> str:
    """The source with something else in the place of a node, or before it."""
    lines = source.splitlines(keepends=True)
    if isinstance(node, ast.stmt):
        indent = " " * node.col_offset
        new = draw(st.sampled_from(STATEMENTS)).replace("\n", f"\n{indent}")
        end = draw(st.sampled_from((node.lineno - 1, node.end_lineno)))
        return "".join([*lines[: node.lineno - 1], f"{indent}{new}\n", *lines[end:]])
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    data = source.encode()
    begin, end = (
        starts[at - 1] + column
        for at, column in ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
    )
    new = draw(st.sampled_from(EXPRESSIONS))
    return (data[:begin] + text_bytes(f"({new})") + data[end:]).decode("utf-8", "surrogatepass")


@st.composite
def broken_text(draw: Draw, examples: Sequence[bytes], tokens: Sequence[str]) -> bytes:
    """A text in which some of its format's own tokens, or of everybody's, stand where they should not."""
    text = draw(st.sampled_from(examples)).decode()
    for _ in range(draw(st.integers(1, 4))):
        marks = [at for at, sign in enumerate(text) if not sign.isalnum()] or [0]
        at = draw(st.sampled_from(marks))
        token = draw(st.sampled_from(tuple(tokens)) | st.sampled_from(FRAGMENTS))
        end = draw(st.sampled_from([at, at + 1, *(other for other in marks if other > at)][:6]))
        text = text[:at] + token + text[end:]
    return text_bytes(text)


def files(*contents: st.SearchStrategy[bytes]) -> st.SearchStrategy[Content]:
    """Mostly these contents; now and then random bytes, or no file."""
    return st.one_of(*contents, *contents, st.binary(max_size=60), st.sampled_from(list(Special)))
