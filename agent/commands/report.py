"""`archer report`: a static site of a whole archive."""

import time
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.open_archive import existing_archive, name_damage
from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption
from agent.site.build import build
from agent.terminal.speech import Speech
from agent.words import counted

DEFAULT_OUT = Path("archer-report")


def report(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Write the site to this folder.")] = DEFAULT_OUT,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a static site of the archive.

    Open DIR/index.html in a browser; no server is needed. A second call writes only what changed.

    Example: archer report --out site
    """
    speech = Speech(as_json, quiet)
    archive = existing_archive(archive_path)
    started = time.monotonic()
    with speech.progress.status("reading the archive") as status:
        built = build(archive, out, lambda done, total: status.update(f"proposal {done} of {total}"))
    seconds = time.monotonic() - started
    if as_json:
        speech.answer(
            {
                "index": str(built.index.resolve()),
                "proposals": built.proposals,
                "written": built.written,
                "unchanged": built.skipped,
                "removed": built.removed,
                "damaged": built.damage,
                "seconds": round(seconds, 2),
            }
        )
    else:
        speech.out.print(
            f"{built.index.resolve()}\n"
            f"{counted(built.proposals, 'proposal')}; {counted(built.written, 'file')} written, "
            f"{built.skipped} unchanged, {built.removed} removed, {seconds:.1f} s",
            markup=False,
        )
    name_damage(built.damage)
