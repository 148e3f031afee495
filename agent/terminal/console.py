"""The terminal: nothing hostile reaches it, long answers go through a pager, wide tables fold where it is narrow."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from agent.terminal.plain_ascii import is_utf8, to_ascii

_VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_VISIBLE |= dict.fromkeys([*range(0x80, 0xA0), *range(0x200E, 0x2010), *range(0x2028, 0x202F)], 0xFFFD)
_VISIBLE |= dict.fromkeys([*range(0x2066, 0x206A), *range(0xD800, 0xE000)], 0xFFFD)
OBEYED = re.compile(f"[{''.join(map(chr, (code for code in _VISIBLE if code >= 0x7F)))}]")
"""What JSON does not escape and a terminal obeys, or cannot show."""

Cell = str | tuple[str, str]
"""Text, or text and its style."""


def clean(text: str) -> str:
    """`text` with control characters and those that reorder a line made visible, one cell each; lines and tabs stay."""
    return text if text.isprintable() else text.replace("\r\n", "\n").translate(_VISIBLE)


class SafeConsole(Console):
    """A console on which no text can move the cursor, change colours or hide: only styles do."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Rich's own, with every text cleaned. Widths were measured before: clean what should align beforehand."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(clean(segment.text), segment.style)

    def render_str(self, text: str, **options: Any) -> Text:
        """Rich's own; what a terminal without UTF-8 gets is spelled before it is measured."""
        return super().render_str(to_ascii(text) if self.options.ascii_only else text, **options)


@dataclass(frozen=True)
class Grid:
    """Columns as wide as their widest cell, nothing cut: fast for 10,000 rows. `right`: columns of numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    right: frozenset[int] = frozenset()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The header, then a line a row."""
        spell = to_ascii if options.ascii_only else str
        widths = self.widths(spell)
        for cells in ([(name, "bold") for name in self.header], *self.rows):
            for column, cell in enumerate(cells):
                text, style = (cell, "") if isinstance(cell, str) else cell
                text = spell(clean(text))
                gap = " " * (widths[column] - cell_len(text))
                last = column == len(cells) - 1
                padded = gap + text if column in self.right else text + ("" if last else gap)
                yield Segment(padded if last else f"{padded}  ", console.get_style(style) if style else Style.null())
            yield Segment.line()

    def widths(self, spell: Callable[[str], str] = str) -> list[int]:
        """Cells that each column takes. `spell`: what becomes of a text on the terminal."""
        every = [[cell if isinstance(cell, str) else cell[0] for cell in row] for row in (self.header, *self.rows)]
        return [max(cell_len(spell(clean(text))) for text in column) for column in zip(*every, strict=True)]

    @property
    def width(self) -> int:
        """Cells that a whole line takes."""
        widths = self.widths()
        return sum(widths) + 2 * (len(widths) - 1)


@dataclass(frozen=True)
class Fitting:
    """The first of several renderings that is narrow enough, else the last; each is made only if it is chosen."""

    choices: Sequence[tuple[int, Callable[[], RenderableType]]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """That rendering."""
        yield next((make for width, make in self.choices if width <= options.max_width), self.choices[-1][1])()


def say(console: Console, renderables: Sequence[RenderableType], pager: bool) -> None:
    """Print; where that fills more than the terminal's screen and `pager` is set, through $PAGER."""
    command = _pager() if pager and console.is_terminal and not console.is_dumb_terminal else []
    if not command:
        console.print(*renderables, sep="\n")
        return
    with console.capture() as captured:
        console.print(*renderables, sep="\n")
    text = captured.get()
    if text.count("\n") < console.height or not _page(command, text):
        sys.stdout.write(text)


def _pager() -> list[str]:
    """$PAGER as a command, `less` if unset, nothing if it is empty or cat."""
    try:
        command = shlex.split(os.environ.get("PAGER", "less"))
    except ValueError:
        return []
    return [] if command == ["cat"] else command


def _page(command: Sequence[str], text: str) -> bool:
    """Show `text` in a pager and wait for it; False where there is no such program."""
    less = f"{os.environ['LESS']} -R" if os.environ.get("LESS") else "FRX"
    try:
        running = subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | {"LESS": less})
    except OSError:
        return False
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the pager
    try:
        running.communicate((text if is_utf8(sys.stdout) else to_ascii(text)).encode("utf-8", "replace"))
    finally:
        signal.signal(signal.SIGINT, before)
    return True


def sparkline(values: Sequence[float], width: int = 20) -> str:
    """`▇▅▃▂▁`: a curve in at most `width` cells, each the mean of its points; what is not finite is a gap."""
    bars = "▁▂▃▄▅▆▇█"
    count = min(width, len(values))
    cuts = [round(i * len(values) / count) for i in range(count + 1)] if count else []
    means = [sum(part) / len(part) for part in (values[a:b] for a, b in pairwise(cuts)) if part]
    finite = [mean for mean in means if abs(mean) < float("inf")]
    if not finite:
        return ""
    low, span = min(finite), max(finite) - min(finite)

    def bar(mean: float) -> str:
        if not abs(mean) < float("inf"):
            return " "
        return bars[min(7, int(8 * (mean - low) / span))] if span else bars[0]

    return "".join(map(bar, means))


def strip(intervals: Sequence[tuple[float, float, float, str, str]], width: int = 25) -> str:
    """Intervals (low, mean, high, line, mark) drawn over 0..1 (low <= high), later on top: `  ╌╌○╌╌ ━●━ `."""
    cells = [" "] * width

    def place(value: float) -> int:
        return min(width - 1, max(0, int(value * width)))

    for low, _, high, line, _ in intervals:
        cells[place(low) : place(high) + 1] = line * (place(high) + 1 - place(low))
    for _, mean, _, _, mark in intervals:
        cells[place(mean)] = mark
    return "".join(cells)
