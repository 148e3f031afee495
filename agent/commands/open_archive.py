"""Opens the archive that a command is about, and says what of it cannot be read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from archive.errors import ArchiveError, GitMissingError

if TYPE_CHECKING:  # it brings git along, for which a check of a file need not wait
    from archive.store import Archive


def archive_if_any(root: Path) -> "Archive | None":
    """The archive at `root`; None if `root` does not exist. Raises ArchiveError if `root` is not an archive."""
    return existing_archive(root) if root.exists() else None


def archive_to_compare_with(root: Path, tell: Callable[[str], object]) -> "Archive | None":
    """As `archive_if_any`, for what can do without: where git is missing, `tell` is told what is left out."""
    try:
        return archive_if_any(root)
    except GitMissingError as error:
        tell(f"{error}: nothing is compared with the variants of {root}")
        return None


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
