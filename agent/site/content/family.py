"""Who descends from whom, and who stands beside whom: read without reading whole records."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.site.content.row import page_of
from archive.errors import ArchiveError
from archive.files import read_json
from archive.records.places import proposal_place
from variants.contract import short_name


@dataclass(frozen=True)
class Sketch:
    """What is known of a proposal before its record is read. `id` is the name of its folder."""

    id: str
    number: int
    name: str
    parent: str
    protocol: str
    protocol_hash: str
    damage: str = ""
    """What is wrong, where not even this could be read: then it is known by its folder's name alone."""


@dataclass(frozen=True)
class Link:
    """Where a variant is shown, and as what. A variant without a page is a seed's or unknown."""

    name: str
    page: str | None


@dataclass(frozen=True)
class Neighbours:
    """What a proposal's page links to."""

    parent: Link
    twin: Link | None
    children: tuple[Link, ...]
    previous: Link | None
    following: Link | None


class Family:
    """All proposals of an archive, oldest first."""

    def __init__(self, sketches: Sequence[Sketch]) -> None:
        self.sketches = sketches
        self.by_id = {sketch.id: sketch for sketch in sketches}
        self.by_name = {sketch.name: sketch for sketch in sketches}
        self._short = {short_name(sketch.name): sketch for sketch in sketches}
        self._place = {sketch.id: place for place, sketch in enumerate(sketches)}
        self._children: dict[str, list[Sketch]] = defaultdict(list)
        for sketch in sketches:
            self._children[sketch.parent].append(sketch)

    def neighbours(self, sketch: Sketch, twin: str | None) -> Neighbours:
        """Links of a page; `twin` is the short name of a variant that computes the same."""
        place = self._place[sketch.id]
        return Neighbours(
            parent=self._link(sketch.parent),
            twin=None if twin is None else Link(twin, _page(self._short.get(twin))),
            children=tuple(self._link(child.name) for child in self._children[sketch.name]),
            previous=_beside(self.sketches, place - 1),
            following=_beside(self.sketches, place + 1),
        )

    def around(self, sketch: Sketch) -> Neighbours:
        """The same without a twin: what can change while the record does not."""
        return self.neighbours(sketch, None)

    def _link(self, name: str) -> Link:
        return Link(short_name(name), _page(self.by_name.get(name)))


def read_sketch(root: Path, identity: str) -> Sketch:
    """Read it from the proposal's first file."""
    path = root / proposal_place(root, identity) / "proposal.json"
    number, name = identity.split("-", 1)
    try:
        content = read_json(path)
        proposal = content["proposal"]
        return Sketch(
            identity,
            int(content["number"]),
            str(proposal["variant"]["name"]),
            str(proposal["parent"]),
            str(content["protocol"]),
            str(content["protocol_hash"]),
        )
    except ArchiveError as error:
        return Sketch(identity, int(number), name, "", "", "", str(error))
    except (KeyError, TypeError, ValueError) as error:
        damage = f"{path} lacks {error}; restore it with `git checkout`"
        return Sketch(identity, int(number), name, "", "", "", damage)


def _page(sketch: Sketch | None) -> str | None:
    return page_of(sketch.number) if sketch else None


def _beside(sketches: Sequence[Sketch], place: int) -> Link | None:
    return (
        Link(short_name(sketches[place].name), page_of(sketches[place].number)) if 0 <= place < len(sketches) else None
    )
