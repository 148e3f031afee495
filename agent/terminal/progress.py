"""What is seen while a search runs: one live line per proposal, and the time left."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent.terminal.time_left import UNRACED, expected_end, seconds_left
from variants.contract import short_name

PLAIN_SECONDS = 20.0
"""Where the output is no terminal, a sign of life comes at least this often."""


WAITING, ENDED = "waiting", ("archived", "no proposal")
SEEN = 3
"""A proposal that ended here tells as much of when others will end as so many did elsewhere."""


@dataclass(frozen=True)
class ProgressLine:
    """State of one proposal under way. `done` is its share of work, 0 to 1; `worked` what was really done of it."""

    name: str = ""
    stage: str = WAITING
    detail: str = ""
    done: float = 0.0
    worked: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)


class Heartbeat:
    """Prints what is under way every so often where the output is no terminal; nothing where a live view does."""

    def __init__(self, console: Console, lines: Callable[[], Iterable[str]], every: float = PLAIN_SECONDS) -> None:
        """`lines` is called from a thread of its own."""
        self._console = console
        self._lines = lines
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def __enter__(self) -> "Heartbeat":
        """Start."""
        if not self._console.is_terminal and not self._console.quiet:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; nothing is printed after this."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(self._every):
            for line in self._lines():
                self._console.print(line, markup=False)


class Progress:
    """Thread-safe live view; prints plain lines instead where the output is no terminal."""

    def __init__(
        self, console: Console, count: int, every: float = PLAIN_SECONDS, *, ends: Sequence[float] = UNRACED
    ) -> None:
        """Follow `count` proposals on `console`; `every`: seconds between plain lines; `ends`: when they may end."""
        self._console = console
        self._ends = ends
        self._lines = [ProgressLine() for _ in range(count)]
        self._aside = ""
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._heartbeat = Heartbeat(console, self._plain, every)
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Progress":
        """Start to draw."""
        self._heartbeat.__enter__()
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing; what was announced stays on screen."""
        self._heartbeat.__exit__()
        if self._console.is_terminal:
            self._live.stop()

    def extend(self, count: int) -> int:
        """Follow so many more; returns the index of the first of them."""
        with self._lock:
            first = len(self._lines)
            self._lines += [ProgressLine() for _ in range(count)]
            return first

    def update(self, index: int, **changes: object) -> None:
        """Change fields of the line of proposal `index`."""
        with self._lock:
            before = self._lines[index]
            after = self._lines[index] = replace(before, **changes)  # type: ignore[arg-type]
        if not self._console.is_terminal and after.stage != before.stage:
            self._console.print(f"[{index + 1}/{len(self._lines)}] {after.stage}: {after.name or '…'}", markup=False)

    def _plain(self) -> list[str]:
        """A line for each proposal under way, and the time left."""
        with self._lock:
            lines, aside = list(self._lines), self._aside
        told = [
            f"[{index}/{len(lines)}] {line.stage}: {line.done:.0%} {line.detail}  {_scores(line)}".rstrip()
            for index, line in enumerate(lines, 1)
            if line.stage not in (WAITING, *ENDED)
        ]
        told += [aside] if aside else []
        return [*told, self._time_left(lines)] if told else []

    def stage(self, index: int) -> str:
        """What proposal `index` is at."""
        return self._lines[index].stage

    def score(self, index: int, task: str, accuracy: float) -> None:
        """Note the newest accuracy of a task."""
        with self._lock:
            line = self._lines[index]
            self._lines[index] = replace(line, scores=line.scores | {task: accuracy})

    def aside(self, text: str) -> None:
        """What goes on beside the proposals, as one line of text; empty once it has ended."""
        with self._lock:
            self._aside = text

    def announce(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(Text.from_markup(text))

    def _render(self) -> RenderableType:
        with self._lock:
            lines, aside = list(self._lines), self._aside
        table = Table.grid(padding=(0, 1))
        for index, line in enumerate(lines, 1):
            if line.stage not in (WAITING, *ENDED):
                table.add_row(
                    f"{index}/{len(lines)}",
                    _bar(line.done),
                    line.stage,
                    short_name(line.name),
                    line.detail,
                    _scores(line),
                )
        return Group(table, *([Text(aside)] if aside else []), Text(self._time_left(lines), style="dim"))

    def _time_left(self, lines: list[ProgressLine]) -> str:
        """By what was trained so far, and by when such proposals end; one that was never trained tells nothing."""
        elapsed = time.monotonic() - self._began
        worked = sum(line.worked for line in lines)
        ends = [*self._ends, *SEEN * [line.worked for line in lines if line.stage in ENDED and line.worked]]
        open_lines = [line for line in lines if line.stage not in ENDED]
        waiting = sum(expected_end(line.worked, ends) - line.worked for line in open_lines)
        left = seconds_left(worked, worked + waiting, elapsed)
        so_far = f"{minutes(elapsed)} so far"
        if waiting:
            so_far += f", about {minutes(left)} left" if left is not None else ", estimating the time left"
        return f"{so_far}; Ctrl-C stops and keeps what is finished"


def _bar(done: float, width: int = 12) -> str:
    full = round(done * width)
    return "━" * full + "╌" * (width - full)


def _scores(line: ProgressLine) -> str:
    return " ".join(f"{task.split()[0]} {accuracy:.2f}" for task, accuracy in line.scores.items())


def minutes(seconds: float) -> str:
    """`3:05` of 185 seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
