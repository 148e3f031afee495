"""The notebook of a search: at most a page of claims, rewritten by the model with every proposal, each with evidence.

A proposal keeps the notebook as its model left it. The one in force is that of the newest proposal that has one. A
claim counts only as far as it names variants that the archive knows.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from archive.errors import ArchiveError
from archive.names import find_name
from archive.records.outline import Outline
from archive.records.record import Record

LOOKED_AT = 20
"""The newest proposals of models, among which the notebook is looked for."""


@dataclass(frozen=True)
class Claim:
    """A sentence, and the full names of the variants that it rests on; never none."""

    text: str
    links: tuple[str, ...]


@dataclass(frozen=True)
class Notebook:
    """The claims in force. name: of the variant with whose proposal they were written. by: the model."""

    name: str
    by: str
    claims: tuple[Claim, ...]


def notebook(
    history: Iterable[Record | Outline], read: Callable[[Record | Outline], Record | None], known: Iterable[str]
) -> Notebook | None:
    """The notebook in force; None where no model has left one. known: full names of variants that may be linked."""
    asked = (record for record in history if record.proposal.provenance.model is not None)
    for outline in islice(sorted(asked, key=lambda record: -record.number), LOOKED_AT):
        record = read(outline)
        if record is not None and record.proposal.notebook:
            return _of(record, tuple(known))
    return None


def _of(record: Record, known: tuple[str, ...]) -> Notebook | None:
    claims = []
    for note in record.proposal.notebook:
        links = tuple(dict.fromkeys(name for link in note.links if (name := _found(link, known)) is not None))
        if links:
            claims.append(Claim(note.claim, links))
    proposal = record.proposal
    return Notebook(proposal.variant.name, proposal.provenance.model or "", tuple(claims)) if claims else None


def _found(link: str, known: tuple[str, ...]) -> str | None:
    """The variant of this name; None for none, and for a short name of several."""
    try:
        return find_name(link.strip("` "), known)
    except ArchiveError:
        return None
