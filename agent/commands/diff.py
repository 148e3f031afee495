"""`archer diff`: a variant against its parent."""

import difflib
from typing import Annotated

import typer
from rich.syntax import Syntax

from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, NoPagerOption, QuietOption
from agent.errors import UserError
from agent.search.find_variant import existing_archive
from agent.terminal.console import clean
from agent.terminal.speech import Speech
from variants.source import loop_source


def diff(
    reference: Annotated[str, typer.Argument(metavar="ID", help="Number, folder name or variant name.")],
    full: Annotated[bool, typer.Option("--full", help="The whole files, not only the for-loop's body.")] = False,
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    no_pager: NoPagerOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show how a proposal's code differs from its parent's: the loop body, or all with --full.

    Example: archer diff 1
    """
    speech = Speech(as_json, quiet)
    found = existing_archive(archive)
    proposal = found.record(reference).proposal
    parent = found.variant(proposal.parent)
    if parent is None:
        raise UserError(f"the archive has no code of the parent {proposal.parent}; `archer verify` says what is wrong")
    part = (lambda source: source) if full else loop_source
    lines = difflib.unified_diff(
        part(parent.source).splitlines(), part(proposal.variant.source).splitlines(),
        proposal.parent, proposal.variant.name, lineterm="",
    )  # fmt: skip
    text = "\n".join(lines)
    if as_json:
        speech.answer({"parent": proposal.parent, "name": proposal.variant.name, "full": full, "diff": text})
    elif not text:
        speech.out.print("no difference" if full else "no difference in the loop; try --full")
    elif speech.out.is_terminal:
        syntax = Syntax(clean(text), "diff", theme="ansi_dark", background_color="default", word_wrap=True)
        speech.show(syntax, pager=not no_pager)
    else:
        speech.out.print(text, markup=False, soft_wrap=True)
