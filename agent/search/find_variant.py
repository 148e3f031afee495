"""Finds the variant that a command is about, from a file or a name."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from agent.errors import UserError, readable
from archive.files import read_given
from archive.names import find_name
from variants.contract import BASELINE, Variant
from variants.outside_archives import outside_archives
from variants.seeds import seed_variants, seeds

if TYPE_CHECKING:  # it brings git along, for which a check of a file need not wait
    from archive.store import Archive

MAX_SOURCE_BYTES = 200_000
NAMING = "it must begin with a lower-case letter and have only lower-case letters, digits and _, 120 at most"
"""Which names work. A file's name is its variant's, without the ending."""


def variant_from_file(path: Path) -> Variant:
    """Read a variant file. Raises UserError if the file is unreadable or too large, or its name is no variant name."""
    with readable(path, "variant file"):
        if path.is_file() and path.stat().st_size > MAX_SOURCE_BYTES:
            raise UserError(
                f"variant file {path} is larger than {MAX_SOURCE_BYTES} bytes; a kernel takes a few thousand"
            )
        source = read_given(path, MAX_SOURCE_BYTES)
    try:
        return Variant(name=path.stem, source=source.replace("\r\n", "\n").replace("\r", "\n"))
    except ValidationError as error:
        raise UserError(
            f"{path.name} cannot be the name of a variant: {NAMING}; rename the file, as my_idea.py"
        ) from error


def find_variant(file_or_name: str, archive: "Archive | None") -> Variant:
    """Read the variant from a file if the argument looks like one, else from the archive, else from the seed variants.

    Raises UserError.
    """
    if file_or_name.endswith(".py") or "/" in file_or_name or Path(file_or_name).is_file():
        return variant_from_file(Path(file_or_name))
    return named_variant(file_or_name, archive)


def named_variant(reference: str, archive: "Archive | None") -> Variant:
    """A variant of the archive by number, folder name, full or short name; else a seed.

    Raises UserError, ArchiveError.
    """
    shipped = seed_variants()
    if archive is not None:
        if reference[:1].isdigit():
            return archive.record(reference).proposal.variant
        if (name := find_name(reference, [*archive.variant_names(), *shipped])) is not None:
            return archive.variant(name) or shipped[name]
    elif (name := find_name(reference, shipped)) is not None:
        return shipped[name]
    if find_name(reference, outside_archives()) is not None:
        raise UserError(f"{reference} is in no archive; compare with it: `archer versus {BASELINE} {reference}`")
    if Path(reference).is_dir():
        raise UserError(f"{reference} is a folder, and no variant is called so; name a file or a variant")
    raise UserError(f"no variant is called {reference!r}; `archer leaderboard` and `archer list` show the names")


def recorded_parent(variant: Variant, archive: "Archive | None") -> str | None:
    """The parent of a seed, or of the proposal of the archive that has this very code; None where neither is known."""
    if (seed := seeds().get(variant.name)) is not None and seed.variant.source == variant.source:
        return seed.parent
    if archive is None or (identity := archive.identity(variant.name)) is None:
        return None
    known = archive.record(identity).proposal
    return known.parent if known.variant == variant else None


def require_two(name: str, rival: str, given: str | None) -> None:
    """Raise UserError where a variant would be compared with itself for want of a parent. given: as a second name."""
    if given is None and name == rival:
        raise UserError(f"{name} has no parent to be compared with; name a second variant")
