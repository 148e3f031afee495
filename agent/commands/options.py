"""Options that several commands share, and what they name: archive, protocol, tasks."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.open_archive import archive_if_any
from agent.errors import UserError
from agent.terminal.speech import Speech
from evaluator.protocols.built_in import JUDGING, PROTOCOLS
from evaluator.protocols.protocol import Protocol
from evaluator.tasks.names import TaskName

if TYPE_CHECKING:
    from archive.store import Archive

ArchiveOption = Annotated[
    Path, typer.Option("--archive", envvar="ARCHER_ARCHIVE", metavar="DIR", help="Use the archive in this folder.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
NoPagerOption = Annotated[
    bool, typer.Option("--no-pager", help="Print long answers at once instead of showing them in $PAGER.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
ProtocolOption = Annotated[str, typer.Option("--protocol", help=f"Train under this protocol: {', '.join(PROTOCOLS)}.")]
JudgingProtocolOption = Annotated[
    str,
    typer.Option("--protocol", help=f"Judge the search by this protocol: {', '.join(each.name for each in JUDGING)}."),
]
DEFAULT_ARCHIVE = Path("archer-archive")
DEFAULT_PROTOCOL = "quick"


def archive_or_shipped(root: Path, speech: Speech) -> "Archive | None":
    """The archive at `root`; None, for what ships with archer, if it is not there: said of one that was named."""
    if root != DEFAULT_ARCHIVE and not root.exists():
        speech.progress.print(f"no archive at {root}: this is what ships with archer", markup=False)
    archive = archive_if_any(root)
    return archive.held() if archive is not None else None


def find_protocol(name: str) -> Protocol:
    """The protocol of that name. Raises UserError listing those there are."""
    return _of(name, PROTOCOLS)


def find_judging_protocol(name: str) -> Protocol:
    """The same, of those that a search is judged by. Raises UserError for one that is kept out of searches too."""
    judging = [each.name for each in JUDGING]
    if name in PROTOCOLS and name not in judging:
        raise UserError(
            f"no search is judged by {name}: choose one of {', '.join(judging)}, then score "
            f"what it finds by `archer evaluate NAME --protocol {name}`"
        )
    return _of(name, judging)


def _of(name: str, names: Collection[str]) -> Protocol:
    if name not in names:
        raise UserError(f"unknown protocol {name!r}; choose one of {', '.join(names)}")
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
