"""`archer init`: make an archive with the seeds as generation 0."""

from pathlib import Path
from typing import Annotated

import typer

from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption
from agent.terminal.speech import Speech
from archive.seeding import make_archive


def init(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Make it in this folder; else in that of --archive.")
    ] = None,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make an archive.

    It is a git repository with the seed variants, their scores and the published leaderboard.

    Example: archer init my-search
    """
    speech = Speech(as_json, quiet)
    archive = make_archive(folder or archive_path)
    count = len(archive.variants())
    if as_json:
        speech.answer({"archive": str(archive.root), "variants": count})
    else:
        speech.out.print(
            f"archive {archive.root}: {count} seed variants; next: archer propose --archive {archive.root}"
        )
