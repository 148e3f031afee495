"""`archer verify`: is an archive whole?"""

from typing import Annotated

import typer

from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption
from agent.search.find_variant import existing_archive
from agent.terminal.speech import Speech
from archive.verify import problems


def verify(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Derive the leaderboards anew and commit them.")] = False,
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check that every record parses, hashes match and every leaderboard row has its trials. Exit code 1 if not.

    Example: archer verify --rebuild
    """
    speech = Speech(as_json, quiet)
    found = existing_archive(archive)
    if rebuild:
        found.recover()
        found.rebuild_leaderboards()
    wrong = list(problems(found))
    if as_json:
        speech.answer({"archive": str(found.root), "proposals": len(found.ids()), "problems": wrong})
    else:
        for problem in wrong:
            speech.out.print(problem, style="red", markup=False)
        speech.out.print(f"{len(found.ids())} proposals, {len(wrong)} problems")
    return int(bool(wrong))
