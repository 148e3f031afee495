"""One line of each proposal, and all proposals as a sequence whose outlines are read when they are looked at."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, overload

from archive.records.outline import Outline, mean_of
from archive.records.record import Record
from evaluator.outcomes import Status

_STATUS = {str(status): status for status in Status}


class ProposalLine(NamedTuple):
    """One proposal as a line of a list. mean: mean accuracy over the tasks; None without a score."""

    id: str
    number: int
    name: str
    parent: str
    status: Status
    mean: float | None
    proposer: str
    model: str | None
    protocol: str
    protocol_hash: str
    created: str
    cpu_seconds: float
    no_effect: bool
    mechanisms: str
    """What it is made of, as JSON; empty where it is not made of mechanisms."""
    source_hash: str
    state: tuple[int | None, bool] | None
    """Of its state size: the numbers, and whether it grows; None where it was not measured."""


def line_of(found: Record | Outline) -> ProposalLine:
    """The line of a proposal."""
    proposal, provenance = found.proposal, found.proposal.provenance
    return ProposalLine(
        id=found.id,
        number=found.number,
        name=proposal.variant.name,
        parent=proposal.parent,
        status=found.status,
        mean=mean_of(found),
        proposer=provenance.proposer,
        model=provenance.model,
        protocol=found.protocol,
        protocol_hash=found.protocol_hash,
        created=found.created,
        cpu_seconds=found.cost.cpu_seconds,
        no_effect=found.no_effect,
        mechanisms=json.dumps(provenance.mechanisms) if provenance.mechanisms else "",
        source_hash=proposal.variant.source_hash,
        state=(found.state.numbers, found.state.grows) if found.state else None,
    )


def as_columns(lines: Sequence[ProposalLine]) -> list[tuple[Any, ...]]:
    """The lines as one list for each field, which JSON can hold."""
    return list(zip(*lines, strict=True))


def from_columns(columns: Sequence[Sequence[Any]]) -> list[ProposalLine]:
    """What `as_columns` was made of. Raises ValueError, KeyError, TypeError for anything else."""
    if not columns:
        return []
    identity, number, name, parent, status, *others, state = columns
    statuses, states = [_STATUS[each] for each in status], [each and tuple(each) for each in state]
    fields = (identity, number, name, parent, statuses, *others, states)
    return list(map(ProposalLine._make, zip(*fields, strict=True)))


class History(Sequence[Outline]):
    """Proposals of an archive, oldest first. The lines are known; an outline is read on first access."""

    def __init__(self, lines: Sequence[ProposalLine], read: Callable[[Sequence[str]], list[Outline]]) -> None:
        """read: returns the outlines of these folder names."""
        self.lines = lines
        self._read = read

    def where(self, wanted: Callable[[ProposalLine], bool]) -> "History":
        """Those whose line is wanted."""
        return History([line for line in self.lines if wanted(line)], self._read)

    @overload
    def __getitem__(self, index: int) -> Outline: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Outline]: ...
    def __getitem__(self, index: int | slice) -> Outline | Sequence[Outline]:
        """An outline, or those of a slice."""
        if isinstance(index, slice):
            return History(self.lines[index], self._read)
        return self._read([self.lines[index].id])[0]

    def __iter__(self) -> Iterator[Outline]:
        """All outlines, read at once: one after the other takes ten times as long."""
        return iter(self._read([line.id for line in self.lines]))

    def __reversed__(self) -> Iterator[Outline]:
        """As `__iter__`, the newest first."""
        return reversed(self._read([line.id for line in self.lines]))

    def __len__(self) -> int:
        """How many there are."""
        return len(self.lines)
