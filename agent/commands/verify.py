"""`archer verify`: is an archive whole?"""

from typing import Annotated

import typer

from agent.commands.open_archive import existing_archive
from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption
from agent.terminal.speech import Speech
from agent.words import counted
from archive.verified import Verified, note_verified, state_of
from archive.verify import problems


def verify(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="First compute the leaderboards again and commit them.")
    ] = False,
    regroup: Annotated[
        bool,
        typer.Option(
            "--regroup",
            help="First move what an older archer wrote side by side into folders of a hundred, from proposal 1000 "
            "on: git is slow with large flat folders. One commit, which git revert takes back.",
        ),
    ] = False,
    new: Annotated[
        bool,
        typer.Option("--new", help="Check only what came or changed since the archive was last verified whole."),
    ] = False,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check that an archive is whole.

    Every record must parse, every hash must match, and every leaderboard row must have its trials. The exit code is 1
    if something is wrong.

    Example: archer verify --rebuild
    """
    speech = Speech(as_json, quiet)
    archive = existing_archive(archive_path)
    if rebuild:
        archive.recover()
        archive.rebuild_leaderboards()
    if regroup:
        moved = archive.regroup()
        speech.progress.print(f"moved {moved} proposals and variants" if moved else "nothing to move")
    since = Verified.of(archive) if new else None
    if new and since is None:
        speech.progress.print("not verified before, or the history was rewritten: everything is checked")
    state = state_of(archive)
    wrong = list(problems(archive, since))
    if not wrong:
        note_verified(archive, state)
    if as_json:
        speech.answer({"archive": str(archive.root), "proposals": len(archive.ids()), "problems": wrong})
    else:
        for problem in wrong:
            speech.out.print(problem, style="red", markup=False)
        speech.out.print(f"{counted(len(archive.ids()), 'proposal')}, {counted(len(wrong), 'problem')}")
    return int(bool(wrong))
