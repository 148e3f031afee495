"""Finds, by content, which proposals and variants of another archive are here already, and names the new ones."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from archive.reader import Reader
from archive.records.record import Record
from archive.records.runs import run_of
from archive.store import Archive
from evaluator.outcomes import Status
from variants.contract import Variant


def identity(record: Record, variants: Mapping[str, Variant]) -> str:
    """SHA-256 over the content of a proposal: code, parent's code, predictions, provenance, status, trials; no name."""
    trials = sorted(
        json.dumps([*run_of(trial), trial.status, trial.accuracy, trial.weights_hash]) for trial in record.trials
    )
    return _digest([*_asked(record, variants), record.status, trials])


def _asked(record: Record, variants: Mapping[str, Variant]) -> list[Any]:
    """The content of a proposal that is the same however far it was evaluated."""
    proposal, asked = record.proposal, record.proposal.provenance
    parent = variants.get(proposal.parent)
    predictions = sorted((task, p.mean, p.low, p.high) for task, p in proposal.predictions.items())
    parts: list[Any] = [proposal.variant.source_hash, parent.source_hash if parent else proposal.parent, predictions]
    return [*parts, asked.proposer, asked.model, asked.seed, asked.prompt_hash, record.protocol_hash]


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class _Here(NamedTuple):
    """A proposal of this archive. ended: how many of its trials are scored."""

    name: str
    number: int
    asked: str
    status: Status
    ended: int

    @classmethod
    def of(cls, record: Record, variants: Mapping[str, Variant]) -> Self:
        ended = sum(trial.status is Status.SCORED for trial in record.trials)
        asked = _digest(_asked(record, variants))
        return cls(record.proposal.variant.name, record.number, asked, record.status, ended)


class Match(NamedTuple):
    """What the other archive's content is here."""

    names: dict[str, str]
    """The local name of each of its variants."""
    new: list[Record]
    further: dict[int, Record]
    """Records of proposals that were interrupted here and are further there, by their number here."""


def match(archive: Archive, content: Reader, records: list[Record]) -> Match:
    """What is here already, and what is new.

    A proposal that the other archive has twice is two proposals. One that made a variant which is here without a
    proposal, as a seed, keeps that variant's name. One that is interrupted here or there is the one that is further.
    content, records: those of the other archive.
    """
    ours, theirs = archive.variants(), content.variants()
    known: dict[str, list[_Here]] = defaultdict(list)
    for record in archive.records():
        known[identity(record, ours)].append(_Here.of(record, ours))
    proposed = {here.name for twins in known.values() for here in twins}
    names: dict[str, str] = {}
    others = []
    for record in records:
        name = record.proposal.variant.name
        if twins := known[identity(record, theirs)]:
            found = next((twin for twin in twins if twin.name == name), twins[0])
            twins.remove(found)
            names[name] = found.name
        else:
            others.append(record)
    new, further = _compared(others, theirs, [here for twins in known.values() for here in twins], names)
    for record in new:
        name = record.proposal.variant.name
        seed = name not in proposed and ours.get(name) == record.proposal.variant
        names[name] = name if seed else archive.free_name(name, tuple(names.values()))
    by_hash = {variant.source_hash: name for name, variant in reversed(list(ours.items()))}
    for name, variant in theirs.items():
        if name in names:
            continue
        same = name in ours and ours[name].source_hash == variant.source_hash
        here = name if same else by_hash.get(variant.source_hash)
        names[name] = here or archive.free_name(name, tuple(names.values()))
    return Match(names, new, further)


def _compared(
    records: Iterable[Record], variants: Mapping[str, Variant], unmatched: list[_Here], names: dict[str, str]
) -> tuple[list[Record], dict[int, Record]]:
    """Those that are new, and those that are further than one of `unmatched` that was interrupted; `names` grows."""
    new, further = [], {}
    for record in records:
        theirs = _Here.of(record, variants)
        alike = (here for here in unmatched if here.asked == theirs.asked)
        found = next((here for here in alike if Status.INTERRUPTED in (here.status, theirs.status)), None)
        if found is None:
            new.append(record)
            continue
        unmatched.remove(found)
        names[theirs.name] = found.name
        if found.status is Status.INTERRUPTED and (theirs.status is not found.status or theirs.ended > found.ended):
            further[found.number] = record
    return new, further
