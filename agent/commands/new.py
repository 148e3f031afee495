"""`archer new`: a variant file to start from."""

import ast
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption, archive_or_shipped
from agent.errors import UserError
from agent.search.find_variant import NAMING, find_variant
from agent.templates import templates
from agent.terminal.speech import Speech
from archive.files import write_text
from archive.names import find_name
from evaluator.fence.advice import importable
from variants.contract import BASELINE, Variant, short_name
from variants.parsing import parse
from variants.seeds import seeds


def new(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="Start from this variant: a number, a name, a short name or a file.")
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Write this file, as my_idea or ideas/my_idea.py.")],
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a variant file to start from, with a guide in it.

    The guide says what may change, which parent is compared, and how to check, evaluate and archive the variant.

    Example: archer new delta_net_4layer my_idea
    """
    speech = Speech(as_json, quiet)
    archive = archive_or_shipped(archive_path, speech)
    start = find_variant(source, archive)
    path = Path(name if name.endswith(".py") else f"{name}.py")
    if path.exists():
        raise UserError(f"{path} exists; choose another name")
    if not path.parent.is_dir():
        raise UserError(f"the folder {path.parent} does not exist; make it, or name another")
    try:
        own = Variant(name=path.stem, source="")
    except ValidationError as error:
        raise UserError(f"{path.name} cannot be the name of a variant: {NAMING}") from error
    named = find_name(start.name, [*seeds(), *(archive.variant_names() if archive else ())]) is not None
    parent = start.name if named else BASELINE
    elsewhere = "" if archive_path == DEFAULT_ARCHIVE else f" --archive {archive_path}"
    parent_option = "" if parent == BASELINE else f" --parent {short_name(parent)}"
    text = (
        templates()
        .get_template("new_variant.py.j2")
        .render(
            title=f"{short_name(own.name)}: say in a sentence what the variant does.",
            formula="u_i = u - w S    (its formula; this one is the delta rule's error)",
            name=path.name,
            source=short_name(start.name),
            function=start.contract.function,
            parent=parent,
            path=path,
            parent_option=parent_option,
            imports=", ".join(importable()),
            archive_option=elsewhere,
            diff_other="" if parent == BASELINE else f" {short_name(parent)}",
            short=short_name(own.name),
            code=_without_docstring(start.source),
        )
    )
    write_text(path, text)
    if as_json:
        speech.answer({"file": str(path), "name": own.name, "from": start.name, "parent": parent})
    else:
        speech.out.print(f"{path}: a copy of {short_name(start.name)} with a guide at its top", markup=False)
        speech.out.print(f"next: edit its loop, then archer check {path}{parent_option}{elsewhere}", markup=False)


def _without_docstring(source: str) -> str:
    """The code below the module's docstring, which tells of another idea."""
    try:
        body = parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return "\n".join(source.splitlines()[first.end_lineno or 0 :]).strip("\n") + "\n"
    return source
