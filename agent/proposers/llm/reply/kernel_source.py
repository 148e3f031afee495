"""The kernel's source in a reply: the field `code`, unwrapped where it is no code as it stands, else a fence."""

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from variants.contract import CONTRACTS
from variants.parsing import parse

KERNELS = frozenset(contract.function for contract in CONTRACTS.values())
CLOSINGS_TRIED = 8
"""Fences that a docstring may hold before the one that ends the code."""

_OPENING = re.compile(r"(?<![`~])(`{3,}+|~{3,}+)([^\n`]*+)\n")
_LABEL = re.compile(r"\{?\.?(?:i?py(?:thon)?[\d.]*|pytorch|torch|code|text|txt|plaintext)?(?![\w+-])", re.IGNORECASE)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "'": "'", "\\": "\\"}
_ESCAPED = re.compile(r"\\([nt\"'\\])")
_CODE_LINE = re.compile(
    r"^[ \t]*+(?:import[ ]+[\w.]+(?:[ ]+as[ ]+\w+)?[ \t]*(?:[,#].*)?$|from[ ]+[\w.]+[ ]+import\b|"
    r"(?:async[ ]+)?def[ ]+\w+[ ]*\(|class[ ]+\w+[ ]*[:(]|@\w+)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Fence:
    """A block of code in Markdown."""

    start: int
    end: int
    body: str
    is_closed: bool


def source_in(field: str) -> str:
    """The source that the field holds; "" where it holds none.

    What parses is taken as it is. Else the whole field may be one fence, indented, or escaped twice. Code that parses
    in no way is kept, for the checks to name its fault.
    """
    if _parses(field):
        return field if is_code(field) else ""
    wrapped = [reading for reading in (_whole_fence(field), _unescaped(field)) if reading is not None]
    source = next((reading for reading in (textwrap.dedent(field), *wrapped) if is_code(reading)), None)
    if source is not None:
        return source
    outside = "".join(field[end:start] for end, start in _between(list(fences(field)), len(field)))
    broken = [*wrapped, *([field] if _CODE_LINE.search(outside) else [])]
    return next((reading for reading in broken if _CODE_LINE.search(reading)), "")


def fence_in(text: str) -> Fence | None:
    """The fence that holds the kernel: the last that defines it, else the last with code; None without any."""
    holding = [fence for fence in fences(text) if _CODE_LINE.search(fence.body)]
    for wanted in (defines_kernel, is_code):
        found = [fence for fence in holding if wanted(fence.body)]
        if found:
            return found[-1]
    return holding[-1] if holding else None


def fences(text: str) -> Iterator[Fence]:
    """All fences that are labelled as Python or not at all, in order. One without an end ends with the text."""
    opening = _OPENING.search(text)
    while opening:
        is_python = bool(_LABEL.match(opening[2].strip()))
        fence = _fence(text, opening, CLOSINGS_TRIED if is_python else 1)
        if is_python:
            yield fence
        opening = _OPENING.search(text, fence.end)


def is_code(source: str) -> bool:
    """Whether it parses and does something: `see below` may parse by chance, and a stub says nothing."""
    return any(not _says_nothing(node) for node in _body(source))


def defines_kernel(source: str) -> bool:
    """Whether it parses and defines a function of a kernel's name."""
    return any(isinstance(node, ast.FunctionDef) and node.name in KERNELS for node in _body(source))


def tidied(source: str) -> str:
    """With one kind of line break, one at the end, and nothing that no file can hold."""
    source = source.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n")
    return source.strip("\n") + "\n" if source.strip() else ""


def _body(source: str) -> list[ast.stmt]:
    try:
        return parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _parses(source: str) -> bool:
    return bool(_body(source))


def _says_nothing(node: ast.stmt) -> bool:
    """An expression, an import, or a function of such."""
    if isinstance(node, ast.FunctionDef):
        return all(isinstance(inner, ast.Expr | ast.Pass) for inner in node.body)
    return isinstance(node, ast.Expr | ast.Pass | ast.Import | ast.ImportFrom)


def _unescaped(field: str) -> str | None:
    """What a field of one line says that was escaped twice."""
    return None if "\n" in field.strip() else _ESCAPED.sub(lambda escaped: _ESCAPES[escaped[1]], field)


def _whole_fence(field: str) -> str | None:
    """What is in the fence, where the whole field is one."""
    stripped = field.strip()
    opening = _OPENING.match(stripped)
    if opening is None:
        return None
    *_, last = [None, *_closings(stripped, opening)]
    return _inside(stripped, opening, last) if last and last.end() == len(stripped) else None


def _fence(text: str, opening: re.Match[str], closings: int) -> Fence:
    """The fence that begins here: it ends where its body first parses, else at the first mark that can end it."""
    ends = list(islice(_closings(text, opening), closings))
    for end in ends:
        if is_code(_inside(text, opening, end)):
            return Fence(opening.start(), end.end(), _inside(text, opening, end), is_closed=True)
    rest = _inside(text, opening, None)
    if ends and not is_code(rest):
        return Fence(opening.start(), ends[0].end(), _inside(text, opening, ends[0]), is_closed=True)
    return Fence(opening.start(), len(text), rest, is_closed=False)


def _closings(text: str, opening: re.Match[str]) -> Iterator[re.Match[str]]:
    """The marks at the end of a line that can end the fence."""
    mark = re.escape(opening[1][0])
    closing = re.compile(rf"(?<!{mark}){mark}{{{len(opening[1])},}}+(?=[ \t]*+(?:\n|\Z))")
    return closing.finditer(text, opening.end())


def _inside(text: str, opening: re.Match[str], closing: re.Match[str] | None) -> str:
    """The body of a fence, without the indentation that it may share with its marks."""
    body = text[opening.end() : closing.start() if closing else len(text)]
    if closing:
        body = body.rstrip(" \t").removesuffix("\n")
    if is_code(body):
        return body
    flush = textwrap.dedent(body)
    return flush if is_code(flush) else body


def _between(spans: list[Fence], length: int) -> Iterator[tuple[int, int]]:
    ends = [0, *(fence.end for fence in spans)]
    starts = [*(fence.start for fence in spans), length]
    yield from zip(ends, starts, strict=True)
