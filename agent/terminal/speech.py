"""How a command speaks: people or JSON on standard output, progress on standard error."""

import json
import math
import re
import sys
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType

from agent.terminal.console import OBEYED, SafeConsole, say
from agent.terminal.plain_ascii import is_utf8

PIPED_WIDTH = 1000
"""Columns where nobody's terminal says how many there are: wide enough that no line is broken."""


MAX_PRETTY = 1_000_000
"""Characters of an answer in JSON that is indented: a longer one is for a program, and takes its time."""
_NOT_ASCII = re.compile(r"[^\x00-\x7e]")


@dataclass(frozen=True)
class Speech:
    """Where a command's words go."""

    as_json: bool = False
    quiet: bool = False

    @property
    def out(self) -> Console:
        """For the answer."""
        return SafeConsole(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False, emoji=False)

    @property
    def progress(self) -> Console:
        """For what happens meanwhile."""
        return SafeConsole(
            stderr=True,
            quiet=self.quiet,
            width=None if sys.stderr.isatty() else PIPED_WIDTH,
            highlight=False,
            emoji=False,
        )

    def show(self, *renderables: RenderableType, pager: bool = True) -> None:
        """Print the answer, through a pager where it is longer than the terminal's screen."""
        say(self.out, renderables, pager)

    def answer(self, document: Any) -> None:
        """Print the JSON document, with null for numbers that are not finite.

        What a terminal would obey or cannot show is escaped, and all but ASCII where standard output is not UTF-8, so
        that it says the same.
        """
        try:
            text = json.dumps(document, ensure_ascii=False, allow_nan=False)
        except ValueError:  # JSON has no such numbers, and the evidence of a check may
            document = _finite(document)
            text = json.dumps(document, ensure_ascii=False)
        if len(text) < MAX_PRETTY:
            text = json.dumps(document, indent=2, ensure_ascii=False)
        unplain = OBEYED if is_utf8(sys.stdout) else _NOT_ASCII
        sys.stdout.write(f"{unplain.sub(_escape, text)}\n")


def _escape(found: re.Match[str]) -> str:
    """Characters as JSON escapes them."""
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
