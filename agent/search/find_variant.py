"""Finds the variant that a command is about, from a file or a name, and the archive."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from agent.errors import UserError, readable
from archive.errors import ArchiveError
from variants.contract import Variant
from variants.seeds import seed_variants

if TYPE_CHECKING:  # it brings git, pandas and scipy along, for which a check of a file need not wait
    from archive.store import Archive

MAX_SOURCE_BYTES = 1_000_000


def variant_from_file(path: Path) -> Variant:
    """Read a variant file. Raises UserError if the file is unreadable or too large, or its name is no variant name."""
    with readable(path, "variant file"):
        if path.is_file() and path.stat().st_size > MAX_SOURCE_BYTES:
            raise UserError(
                f"variant file {path} is larger than {MAX_SOURCE_BYTES} bytes; a kernel takes a few thousand"
            )
        try:
            return Variant.from_file(path)
        except ValidationError as error:
            raise UserError(
                f"{path.name} is no variant name; use lower-case letters, digits and _ (x_in_for_loop.py)"
            ) from error


def find_variant(file_or_name: str, archive: "Archive | None") -> Variant:
    """Read the variant from a file if the argument looks like one, else from the archive, else from the seed variants.

    Raises UserError.
    """
    if file_or_name.endswith(".py") or "/" in file_or_name or Path(file_or_name).is_file():
        return variant_from_file(Path(file_or_name))
    known = seed_variants()
    if archive is not None:
        known |= archive.variants()
        if file_or_name.isdecimal():
            return archive.record(file_or_name).proposal.variant
    if file_or_name not in known:
        raise UserError(f"no variant is called {file_or_name!r}; `archer leaderboard` and `archer list` show the names")
    return known[file_or_name]


def archive_if_any(root: Path) -> "Archive | None":
    """The archive at `root`; None if `root` does not exist. Raises ArchiveError if `root` is not an archive."""
    return existing_archive(root) if root.exists() else None


def existing_archive(root: Path) -> "Archive":
    """The archive at `root`. Raises ArchiveError when there is none."""
    from archive.store import Archive

    if not root.exists():
        raise ArchiveError(f"no archive at {root}; make one with `archer init {root}` or `archer propose`")
    return Archive(root)


def name_damage(damage: Mapping[str, str]) -> None:
    """Raise ArchiveError if some proposals cannot be read. Call it after the readable proposals were shown.

    damage: what is wrong, by folder name.
    """
    if damage:
        first, *others = damage.values()
        more = f" (and {len(others)} more; `archer verify` lists them)" if others else ""
        raise ArchiveError(f"{len(damage)} of the proposals cannot be read, all others are shown: {first}{more}")
