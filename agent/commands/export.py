"""`archer export`: a variant for use outside of archer."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption, archive_or_shipped
from agent.errors import UserError, readable
from agent.reports.patch import new_file_patch, replacement_patch
from agent.search.find_variant import find_variant
from agent.terminal.console import clean
from agent.terminal.speech import Speech
from archive.files import read_given, write_text


def export(
    reference: Annotated[
        str, typer.Argument(metavar="ID", help="A number, a name or a short name; a seed variant, too.")
    ],
    patch: Annotated[bool, typer.Option("--patch", help="Write a patch for flash-linear-attention.")] = False,
    against: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Replace the function in this file, your naive.py.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to this file instead.")] = None,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Export a variant as a file or a patch.

    The patch is for a checkout of flash-linear-attention; apply it with `git apply FILE`. Without --against it adds the
    file fla/ops/delta_rule/naive_IDEA.py; with --against it replaces the function in your file.

    Example: archer export 1 --patch --against fla/ops/delta_rule/naive.py --out 1.patch
    """
    speech = Speech(as_json, quiet)
    variant = find_variant(reference, archive_or_shipped(archive_path, speech))
    if against is not None and not patch:
        raise UserError("--against is of a patch: add --patch")
    if not patch:
        path, text = f"{variant.name}.py", variant.source
    elif against is None:
        path, text = new_file_patch(variant)
    else:
        with readable(against, "file of --against"):
            old = read_given(against)
        path = _within_checkout(against) or f"{variant.contract.operator}/naive.py"
        text = replacement_patch(variant, path, old, str(against))
    if out is not None:
        if out.exists():
            raise UserError(f"--out {out}: the file is there already; name another, or remove it")
        write_text(out, text)
        speech.progress.print(f"written: {out}", markup=False)
    if as_json:
        speech.answer({"name": variant.name, "path": path, "patch" if patch else "source": text})
    elif out is None:
        if sys.stdout.isatty():
            sys.stdout.write(clean(text))
        else:  # a file is UTF-8, whatever the terminal is
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode())


def _within_checkout(path: Path) -> str | None:
    """Path from the root of the git checkout that holds it; None outside of one."""
    whole = path.resolve()
    root = next((folder for folder in whole.parents if (folder / ".git").exists()), None)
    return None if root is None else whole.relative_to(root).as_posix()
