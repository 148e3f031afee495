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
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make an archive.

    It is a git repository with the seed variants, their scores and the published leaderboard.

    Example: archer init my-search
    """
    speech = Speech(as_json, quiet)
    made = make_archive(folder or archive)
    count = len(made.variants())
    if as_json:
        speech.answer({"archive": str(made.root), "variants": count})
    else:
        speech.out.print(f"archive {made.root}: {count} seed variants; next: archer propose --archive {made.root}")
