"""Names that archer shows, archer takes: a full name, or the short one that tables print."""

from collections.abc import Iterable

from archive.errors import ArchiveError
from variants.contract import short_name


def find_name(given: str, known: Iterable[str]) -> str | None:
    """The known name that is `given`, else the one whose short name it is; None where there is none.

    Raises ArchiveError, which lists them, where several known names have that short name.
    """
    names = sorted(set(known))
    if given in names:
        return given
    alike = [name for name in names if short_name(name) == given]
    if len(alike) > 1:
        raise ArchiveError(f"{given!r} is short for several variants: {', '.join(alike)}; give one of these names")
    return alike[0] if alike else None
