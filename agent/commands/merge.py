"""`archer merge`: bring another archive's proposals into this one."""

from typing import Annotated

import typer
from rich.status import Status as Spinner

from agent.catalogue import Genome
from agent.commands.open_archive import existing_archive
from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption
from agent.terminal.progress import Heartbeat
from agent.terminal.speech import Speech
from agent.terminal.view import protocol_text
from agent.words import counted
from archive.merging.merge import merge
from archive.merging.result import Merged
from archive.records.record import Record


def merge_(
    other: Annotated[str, typer.Argument(metavar="OTHER", help="An archive's folder, or the git URL of one.")],
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Bring the proposals of another archive into this one.

    It takes what is committed there, trials and failed asks, too. A proposal with the same content is not taken twice.
    The others get the next numbers, and new names where theirs are taken. archer believes the scores;
    `archer replay ID --evaluate` tests one.

    Example: archer merge ../colleague/archer-archive
    """
    speech = Speech(as_json, quiet)
    archive = existing_archive(archive_path)
    with (
        Spinner("fetching and checking all of it", console=speech.progress) as spinner,
        Heartbeat(speech.progress, lambda: [str(spinner.status)]),
    ):
        done = merge(archive, other, _accept, lambda n, of: spinner.update(f"{n} of {counted(of, 'proposal')} taken"))
    if as_json:
        added = [{"id": here, "from": there} for here, there in done.added]
        further = [{"id": here, "from": there} for here, there in done.further]
        facts = {key: value for key, value in vars(done).items() if key != "added"} | {"further": further}
        speech.answer({"archive": str(archive.root), "other": other, "added": added} | facts)
        return
    for line in _lines(done):
        speech.out.print(line, markup=False)


def _accept(record: Record) -> None:
    """Refuse a genome that a later search would stumble over. Raises ValueError."""
    if record.proposal.provenance.mechanisms:
        Genome.model_validate(record.proposal.provenance.mechanisms)


def _lines(done: Merged) -> list[str]:
    lines = [f"{there} is {here}" for here, there in done.added if here != there]
    lines += [f"{here}, interrupted here, is now as it went on there" for here, _ in done.further]
    lines += [f"its variant {old} is called {new} here" for old, new in done.renamed.items()]
    for name, hashes in done.apart.items():
        versions = ", ".join(protocol_text(name, version) for version in hashes)
        lines.append(f"kept apart, on no leaderboard of today's {name}: {versions}")
    if done.conflicts:
        lines.append(f"{done.conflicts} trials or confirmations had another result there; this archive's are kept")
    if done.ignored:
        lines.append(f"left out: {counted(done.ignored, 'file')} of kinds that no archive has")
    if done.confirmations:
        lines.append(f"new: {counted(done.confirmations, 'result')} on fresh seeds")
    new = f"new: {counted(len(done.added), 'proposal')}, {counted(done.trials, 'trial')}"
    return [*lines, f"{new}; here already: {counted(done.known, 'proposal')}"]
