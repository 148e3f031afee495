"""`archer diff`: the code of a variant against its parent's, or another's."""

import difflib
from typing import Annotated

import typer
from rich.syntax import Syntax

from agent.commands.options import (
    DEFAULT_ARCHIVE,
    ArchiveOption,
    JsonOption,
    NoPagerOption,
    QuietOption,
    archive_or_shipped,
)
from agent.search.find_variant import find_variant, recorded_parent, require_two
from agent.terminal.console import clean
from agent.terminal.speech import Speech
from variants.contract import BASELINE
from variants.source import loop_source


def diff(
    variant: Annotated[str, typer.Argument(metavar="VARIANT", help="A number, a name, a short name or a file.")],
    other: Annotated[
        str | None, typer.Argument(metavar="[OTHER]", help="Compare with this variant; else with the parent.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Compare the whole files, not only the loop.")] = False,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    no_pager: NoPagerOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show how the code of a variant differs from its parent, or from another variant.

    Without --full it shows the body of the loop. `archer versus` compares scores.

    Example: archer diff 1
    """
    speech = Speech(as_json, quiet)
    archive = archive_or_shipped(archive_path, speech)
    ours = find_variant(variant, archive)
    parent = recorded_parent(ours, archive)
    theirs = find_variant(other or parent or BASELINE, archive)
    require_two(ours.name, theirs.name, other)
    part = (lambda source: source) if full else loop_source
    lines = difflib.unified_diff(
        part(theirs.source).splitlines(), part(ours.source).splitlines(), theirs.name, ours.name, lineterm=""
    )
    text = "\n".join(lines)
    if as_json:
        speech.answer({"parent": parent, "against": theirs.name, "name": ours.name, "full": full, "diff": text})
    elif not text:
        speech.out.print("no difference" if full else "no difference in the loop; try --full")
    elif speech.out.is_terminal:
        syntax = Syntax(clean(text), "diff", theme="ansi_dark", background_color="default", word_wrap=True)
        speech.show(syntax, pager=not no_pager)
    else:
        speech.out.print(text, markup=False, soft_wrap=True)
