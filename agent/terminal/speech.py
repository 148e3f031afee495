"""How a command speaks: people or JSON on standard output, progress on standard error."""

import json
import sys
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType

from agent.terminal.console import SafeConsole, say
from agent.terminal.plain_ascii import is_utf8

PIPED_WIDTH = 1000
"""Columns where nobody's terminal says how many there are: wide enough that no line is broken."""


MAX_PRETTY = 1_000_000
"""Characters of an answer in JSON that is indented: a longer one is for a program, and takes its time."""


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
        """Print the JSON document; where standard output is not UTF-8, with escapes, so that it says the same."""
        escaped = not is_utf8(sys.stdout)
        text = json.dumps(document, ensure_ascii=escaped, allow_nan=False)
        if len(text) < MAX_PRETTY:
            text = json.dumps(document, indent=2, ensure_ascii=escaped, allow_nan=False)
        sys.stdout.write(f"{text}\n")
