"""Where a proposal's folder, a variant's file and a variant's predictions lie. Nothing else builds these paths.

Git stores a folder's list anew with every commit that adds to it, which is quadratic in a folder that grows. So the
first proposals lie side by side (`proposals/0001-NAME`, `variants/NAME.py`), and from BORDER on there are folders in
between: a hundred proposals each (`proposals/1200-1299/1234-NAME`), and variants by a hash of their name
(`variants/3f/NAME.py`; so on the branch of predictions). Both places are read for every number and name.

Places are text, relative to the archive, with `/`.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from operator import itemgetter
from pathlib import Path

PROPOSALS, VARIANTS = "proposals", "variants"
BORDER = 1_000
"""Number of the first proposal that is written into a folder in between; and how many predictions lie side by side."""
GROUP = 100
_ID = re.compile(r"[0-9]{4,9}-[a-z][a-z0-9_]{0,119}")
_GROUP, _SHARD = re.compile(r"[0-9]{4,9}-[0-9]{4,9}"), re.compile(r"[0-9a-f]{2}")


def number_of(identity: str) -> int:
    """The number of a proposal from its folder name, `0001-NAME`. Raises ValueError."""
    return int(identity.partition("-")[0])


def proposal_place(root: Path, identity: str) -> str:
    """Where the folder of a proposal lies; of one that is not there, where it goes. identity: `0001-NAME`."""
    flat, number = f"{PROPOSALS}/{identity}", number_of(identity)
    return _there_or(root, flat, f"{PROPOSALS}/{group_of(number)}/{identity}", number)


def variant_place(root: Path, name: str, number: int = 0) -> str:
    """Where the file of a variant lies; of one that is not there, where that of the proposal of this number goes."""
    return _there_or(root, f"{VARIANTS}/{name}.py", f"{VARIANTS}/{shard_of(name)}/{name}.py", number)


def regrouped(root: Path) -> dict[str, str]:
    """Old and new place of what lies side by side with others and would be written into a folder in between today.

    These are the proposals from BORDER on, and their variants.
    """
    found = {}
    for identity, place in proposal_places(root).items():
        number, name = number_of(identity), identity.partition("-")[2]
        if number >= BORDER:
            found[place] = f"{PROPOSALS}/{group_of(number)}/{identity}"
            found[variant_place(root, name)] = f"{VARIANTS}/{shard_of(name)}/{name}.py"
    return {old: new for old, new in found.items() if old != new and (root / old).exists()}


def prediction_places(name: str) -> tuple[str, str]:
    """The two paths that a variant's predictions can have on their branch: side by side with others, and further in."""
    return f"{name}.json", f"{shard_of(name)}/{name}.json"


def group_of(number: int) -> str:
    """The folder in between for a proposal of this number, such as `1200-1299`."""
    first = number - number % GROUP
    return f"{first:04d}-{first + GROUP - 1:04d}"


def shard_of(name: str) -> str:
    """The folder in between for a variant of this name, one of 256."""
    return hashlib.sha256(name.encode()).hexdigest()[:2]


def proposal_places(root: Path) -> dict[str, str]:
    """Place of every proposal that is there, by folder name, oldest first."""
    found = {identity: (number, place) for number, identity, place in _proposals(root)}
    return {identity: place for identity, (_, place) in sorted(found.items(), key=itemgetter(1))}


def proposals_numbered(root: Path, number: int) -> list[str]:
    """Folder names of the proposals of this number, in the order of `proposal_places`, without listing all others."""
    everyone = (*_grouped(root, group_of(number)), *_flat(root))
    found = {name: place for its_number, name, place in everyone if its_number == number}
    return sorted(found, key=found.__getitem__)


def newest_number(root: Path) -> int:
    """The largest number of a proposal that is there; 0 without any."""
    groups = sorted(filter(_GROUP.fullmatch, _names(f"{root}/{PROPOSALS}")), key=lambda name: int(name.split("-")[0]))
    newest = next((numbers for name in reversed(groups) if (numbers := [n for n, *_ in _grouped(root, name)])), [])
    return max([*newest, *(number for number, *_ in _flat(root))], default=0)


def folder_times(root: Path) -> dict[str, int]:
    """When something last came into or left each folder that proposals lie in, in ns; "": where they lie side by side.

    A file that is written anew in its place changes none of them.
    """
    with os.scandir(f"{root}/{PROPOSALS}") as inside:
        groups = {each.name: each.stat().st_mtime_ns for each in inside if _GROUP.fullmatch(each.name)}
    return {"": os.stat(f"{root}/{PROPOSALS}").st_mtime_ns, **groups}  # noqa: PTH116, as the others


def proposals_in(root: Path, group: str) -> list[str]:
    """Folder names of the proposals that lie in a folder in between."""
    return [identity for _, identity, _ in _grouped(root, group)]


def variant_places(root: Path) -> dict[str, str]:
    """Place of every variant that is there, by name, in alphabetical order."""
    found = {place.rpartition("/")[2].removesuffix(".py"): place for place in _variants(root)}
    return {name: found[name] for name in sorted(found)}


def doubled(root: Path) -> Iterator[str]:
    """Proposals and variants that lie in both places, each with the place that is not read."""
    proposals = (place for _, _, place in _proposals(root))
    for places, chosen in ((proposals, proposal_places(root)), (_variants(root), variant_places(root))):
        known = set(chosen.values())
        yield from sorted(place for place in places if place not in known)


def proposal_of(path: str) -> str | None:
    """Folder name of the proposal that a path belongs to; None where it belongs to none."""
    top, *inner = path.split("/")
    if top == PROPOSALS and len(inner) > 1 and _GROUP.fullmatch(inner[0]):
        inner = inner[1:] if inner[0] == group_named(inner[1]) else []
    return inner[0] if top == PROPOSALS and inner and _ID.fullmatch(inner[0]) else None


def variant_of(path: str) -> str | None:
    """Name of the variant whose file has this path; None where it is no variant's."""
    top, *inner = path.split("/")
    name = inner[-1].removesuffix(".py") if inner and inner[-1].endswith(".py") else ""
    known = top == VARIANTS and name and (len(inner) == 1 or inner[:-1] == [shard_of(name)])
    return name if known else None


def draft_folders(root: Path) -> Iterator[Path]:
    """The folders in which proposals are written."""
    yield root / PROPOSALS
    yield from (root / PROPOSALS / name for name in _names(f"{root}/{PROPOSALS}") if _GROUP.fullmatch(name))


def _there_or(root: Path, flat: str, inside: str, number: int) -> str:
    """Which of two places is taken: the flat one if both are; if none is, that of a new proposal of this number."""
    if os.path.lexists(f"{root}/{flat}"):
        return flat
    return inside if number >= BORDER or os.path.lexists(f"{root}/{inside}") else flat


def _proposals(root: Path) -> Iterator[tuple[int, str, str]]:
    """Number, folder name and place of all: those side by side come last, so that of two alike they are taken."""
    for group in filter(_GROUP.fullmatch, _names(f"{root}/{PROPOSALS}")):
        yield from _grouped(root, group)
    yield from _flat(root)


def _grouped(root: Path, group: str) -> Iterator[tuple[int, str, str]]:
    first = int(group.partition("-")[0])
    if group != group_of(first):
        return
    for name in filter(_ID.fullmatch, _names(f"{root}/{PROPOSALS}/{group}")):
        number = number_of(name)
        if first <= number < first + GROUP:
            yield number, name, f"{PROPOSALS}/{group}/{name}"


def _flat(root: Path) -> Iterator[tuple[int, str, str]]:
    for name in filter(_ID.fullmatch, _names(f"{root}/{PROPOSALS}")):
        yield number_of(name), name, f"{PROPOSALS}/{name}"


def _variants(root: Path) -> Iterator[str]:
    """Places of all variants: those side by side come last, so that of two alike they are taken."""
    names = _names(f"{root}/{VARIANTS}")
    for shard in (name for name in names if _SHARD.fullmatch(name)):
        files = (name for name in _names(f"{root}/{VARIANTS}/{shard}") if name.endswith(".py"))
        yield from (f"{VARIANTS}/{shard}/{name}" for name in files if shard_of(name[: -len(".py")]) == shard)
    yield from (f"{VARIANTS}/{name}" for name in names if name.endswith(".py"))


def group_named(identity: str) -> str | None:
    """The folder in between for a proposal's folder name; None where that is none."""
    return group_of(number_of(identity)) if _ID.fullmatch(identity) else None


def _names(folder: str) -> list[str]:
    """What a folder holds; nothing where it is none, or a link."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return [] if os.path.islink(folder) else os.listdir(folder)  # noqa: PTH208, PTH114, names are what is wanted
    return []
