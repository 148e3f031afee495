"""Options that several commands share, and how a command speaks: people or JSON on stdout, progress on stderr."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from agent.errors import UserError
from agent.terminal.console import SafeConsole, say
from evaluator.device import best_device
from evaluator.outcomes import Grade
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.protocols.protocol import Protocol
from evaluator.sandbox import Sandbox
from evaluator.tasks.registry import TaskName

ArchiveOption = Annotated[
    Path, typer.Option("--archive", envvar="ARCHER_ARCHIVE", metavar="DIR", help="The archive's folder.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")]
NoPagerOption = Annotated[bool, typer.Option("--no-pager", help="Print at once; else what is long goes to $PAGER.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")]
ProtocolOption = Annotated[str, typer.Option("--protocol", help=f"Training protocol: {', '.join(PROTOCOLS)}.")]
SandboxOption = Annotated[Grade, typer.Option("--sandbox", help="Weakest sandbox to accept: A, B or C.")]
UnsandboxedOption = Annotated[bool, typer.Option("--i-accept-unsandboxed", help="Accept grade D: limits, no fence.")]
PIPED_WIDTH = 1000
"""Columns where nobody's terminal says how many there are: wide enough that no line is broken."""
DEFAULT_ARCHIVE = Path("archer-archive")
DEFAULT_PROTOCOL = "quick"


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
        """Print the JSON document."""
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
        if len(text) < MAX_PRETTY:
            text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        sys.stdout.write(f"{text}\n")


def find_protocol(name: str) -> Protocol:
    """The protocol of that name. Raises UserError listing those there are."""
    if name not in PROTOCOLS:
        raise UserError(f"unknown protocol {name!r}; choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def chosen_tasks(text: str | None, protocol: Protocol) -> tuple[TaskName, ...]:
    """Tasks of a protocol by name, in any case; all of them for None. Raises UserError naming those there are."""
    if text is None:
        return tuple(protocol.tasks)
    by_name = {task.lower(): task for task in protocol.tasks}
    chosen = []
    for name in text.split(","):
        if (task := by_name.get(name.strip().lower())) is None:
            raise UserError(
                f"--tasks: {protocol.name} has no task {name.strip()!r}; choose from {', '.join(protocol.tasks)}"
            )
        chosen.append(task)
    return tuple(dict.fromkeys(chosen))


def open_sandbox(minimum: Grade, unsandboxed: bool, speech: Speech) -> Sandbox:
    """The best sandbox there is, with a warning if it is weak. Raises SandboxUnavailable, UserError."""
    if minimum is Grade.D and not unsandboxed:
        raise UserError("--sandbox D runs unknown code without a fence; add --i-accept-unsandboxed if you mean it")
    sandbox = Sandbox(minimum=Grade.D if unsandboxed else minimum, device=best_device())
    if sandbox.grade > Grade.B:
        speech.progress.print(f"warning: sandbox of grade {sandbox.grade} only; `archer doctor` says what is missing")
    return sandbox
