"""Finds, by content, which proposals and variants of another archive are here already, and names the new ones."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from archive.reader import Reader
from archive.records.record import Record
from archive.records.runs import run_of
from archive.store import Archive
from variants.contract import Variant


def identity(record: Record, variants: Mapping[str, Variant]) -> str:
    """SHA-256 over the content of a proposal: code, parent's code, predictions, provenance, status, trials; no name."""
    proposal, asked = record.proposal, record.proposal.provenance
    parent = variants.get(proposal.parent)
    predictions = sorted((task, p.mean, p.low, p.high) for task, p in proposal.predictions.items())
    trials = sorted(
        json.dumps([*run_of(trial), trial.status, trial.accuracy, trial.weights_hash]) for trial in record.trials
    )
    parts: list[Any] = [proposal.variant.source_hash, parent.source_hash if parent else proposal.parent, predictions]
    parts += [asked.proposer, asked.model, asked.seed, asked.prompt_hash, record.status, record.protocol_hash, trials]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def match(archive: Archive, content: Reader, records: list[Record]) -> tuple[dict[str, str], list[Record]]:
    """The local name of each variant of the other archive, and the records that are new here.

    A proposal that the other archive has twice is two proposals. One that made a variant which is here without a
    proposal, as a seed, keeps that variant's name. content, records: those of the other archive.
    """
    ours, theirs = archive.variants(), content.variants()
    known: dict[str, list[str]] = defaultdict(list)
    proposed: set[str] = set()
    for record in archive.records():
        known[identity(record, ours)].append(record.proposal.variant.name)
        proposed.add(record.proposal.variant.name)
    names: dict[str, str] = {}
    new = []
    for record in records:
        name = record.proposal.variant.name
        if twins := known[identity(record, theirs)]:
            names[name] = twins.pop(twins.index(name) if name in twins else 0)
        else:
            new.append(record)
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
    return names, new
