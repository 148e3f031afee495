"""Bringing another archive's proposals and trials into this one: none lost, none doubled, every link right."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd

from archive.errors import ArchiveError
from archive.fetch import Fetched, fetched
from archive.files import read_lines, read_text
from archive.folders import VARIANTS
from archive.git import GitFolder
from archive.leaderboards import LEADERBOARDS
from archive.naming import renamed_record, renamed_text
from archive.predictions import BRANCH, prediction_problems
from archive.reader import ASKS, TRIALS, Reader
from archive.record import Origin, Record
from archive.store import Archive
from archive.verify import content_problems
from evaluator.outcomes import Trial
from evaluator.protocol import PROTOCOLS
from variants.contract import Variant
from variants.leaderboard import format_leaderboard, parse_leaderboard


@dataclass
class Merged:
    """What a merge did."""

    head: str
    """The other archive's commit."""
    added: list[tuple[str, str]] = field(default_factory=list)
    """Each new proposal's id here, and there."""
    known: int = 0
    """Proposals that were here already."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Variants whose names were taken here: name there -> name here."""
    trials: int = 0
    """Trials of seeds and of `evaluate --add` that were new."""
    conflicts: int = 0
    """Trials that were here with another result; this archive's were kept."""
    apart: dict[str, list[str]] = field(default_factory=dict)
    """Versions of protocols, by name, that are not today's: their proposals are kept, and on no leaderboard."""
    ignored: int = 0


def merge(
    archive: Archive, other: str, accept: Callable[[Record], None], follow: Callable[[int, int], None] = lambda *_: None
) -> Merged:
    """Merge the last commit of the archive at `other`, a path or git URL, which is not trusted.

    `accept` raises for a record that must not come in; `follow` is told how many of how many proposals are in. Nothing
    is written before all of `other` was found sound. What was merged before is found again by content, so that a merge
    that was interrupted is finished by merging again. Raises ArchiveError.
    """
    with fetched(other) as found, archive.writing():
        records = _sound(found, other, accept)
        archive.recover()
        merged = Merged(found.head, ignored=found.ignored)
        names, new = _match(archive, found.content, records)
        merged.known = len(records) - len(new)
        merged.renamed = {old: name for old, name in sorted(names.items()) if old != name}
        merged.apart = _apart(records)
        _bring_variants(archive, found, names, {record.proposal.variant.name for record in records}, merged)
        if any(record.predicted for record in new):
            archive.merge_predictions(found.repository)
        try:
            for record in new:
                origin = _origin(found, record, merged.renamed)
                report = renamed_text(found.content.report(record), merged.renamed)
                told = archive.adopt(renamed_record(record, merged.renamed), report, origin)
                merged.added.append((told.id, record.id))
                follow(len(merged.added), len(new))
        finally:
            archive.rebuild_leaderboards()
        return merged


def identity(record: Record, variants: Mapping[str, Variant]) -> str:
    """What makes a proposal the same wherever it lies: code, parent's code, predictions, asker, results; no name."""
    proposal, asked = record.proposal, record.proposal.provenance
    parent = variants.get(proposal.parent)
    predictions = sorted((task, p.mean, p.low, p.high) for task, p in proposal.predictions.items())
    trials = sorted(
        json.dumps([*_spec(trial), trial.status, trial.accuracy, trial.weights_hash]) for trial in record.trials
    )
    parts: list[Any] = [proposal.variant.source_hash, parent.source_hash if parent else proposal.parent, predictions]
    parts += [asked.proposer, asked.model, asked.seed, asked.prompt_hash, record.status, record.protocol_hash, trials]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _origin(found: Fetched, record: Record, renamed: Mapping[str, str]) -> Origin:
    """Where a record comes from; names since it was made, through every merge."""
    before = found.content.origin(record.id)
    names = {old: renamed.get(name, name) for old, name in before.renamed.items()} if before else {}
    return Origin(id=record.id, commit=found.commits.get(record.id, found.head), renamed={**renamed, **names})


def _spec(trial: Trial) -> tuple[Any, ...]:
    """What is run once: two trials with the same are one."""
    plan = (trial.protocol_hash, trial.task, trial.setting, trial.lr, trial.weight_decay, trial.seed)
    return (*plan, trial.isolation)


def _sound(found: Fetched, other: str, accept: Callable[[Record], None]) -> list[Record]:
    """All records of an archive in which nothing contradicts anything. Raises ArchiveError."""
    content = found.content

    def refuse(why: str) -> ArchiveError:
        why = why.replace(f"{content.root}/", "").removesuffix("; restore it with `git checkout`")
        return ArchiveError(f"{other}: {why}; nothing was merged (`archer verify` there lists what is wrong)")

    for problem in content_problems(content):
        raise refuse(problem)
    records = list(content.records())
    git = GitFolder(found.repository)
    history = git.history(BRANCH)
    for record in records:
        for problem in prediction_problems(git, record, history, content.origin(record.id)):
            raise refuse(f"{record.id}: {problem}")
    for record in records:
        try:
            json.dumps(record.model_dump(mode="json"), allow_nan=False).encode()
            datetime.fromisoformat(record.created)
            accept(record)
        except (ValueError, RecursionError) as error:
            raise refuse(f"{record.id}: {' '.join(str(error).split())[:200]}") from error
    return records


def _match(archive: Archive, content: Reader, records: list[Record]) -> tuple[dict[str, str], list[Record]]:
    """Name here of every variant there, and the records that are not here. A proposal made twice there comes twice."""
    ours, theirs = archive.variants(), content.variants()
    known: dict[str, list[str]] = defaultdict(list)
    for record in archive.records():
        known[identity(record, ours)].append(record.proposal.variant.name)
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
        names[name] = archive.free_name(name, tuple(names.values()))
    by_hash = {variant.source_hash: name for name, variant in reversed(ours.items())}
    for name, variant in theirs.items():
        if name in names:
            continue
        same = name in ours and ours[name].source_hash == variant.source_hash
        here = name if same else by_hash.get(variant.source_hash)
        names[name] = here or archive.free_name(name, tuple(names.values()))
    return names, new


def _bring_variants(
    archive: Archive, found: Fetched, names: Mapping[str, str], proposed: set[str], merged: Merged
) -> None:
    """Code and trials of variants that no proposal made, imported leaderboards and failed asks, in one commit."""
    files = {
        f"{VARIANTS}/{names[name]}.py": variant.source
        for name, variant in found.content.variants().items()
        if name not in proposed and archive.variant(names[name]) is None
    }
    for path, text in (*_trials(archive, found.content, names, merged), *_asks(archive, found.content)):
        files[path] = text
    files |= _boards(archive, found.content)
    archive.tell_files(files, f"Merge variants and {merged.trials} trials\n\nMerged-From: {found.head}")


def _trials(archive: Archive, content: Reader, names: Mapping[str, str], merged: Merged) -> Iterator[tuple[str, str]]:
    for path in sorted((content.root / TRIALS).glob("*/*.jsonl")):
        here = f"{TRIALS}/{path.parent.name}/{names[path.stem]}.jsonl"
        own = read_lines(archive.root / here, Trial)
        known = {_spec(trial): (trial.accuracy, trial.weights_hash) for trial in own}
        new = []
        for trial in read_lines(path, Trial):
            if (before := known.get(_spec(trial))) is None:
                link = trial.inherited_from
                moved = {"variant": names[path.stem], "inherited_from": names.get(link, link) if link else None}
                new.append(trial.model_copy(update=moved))
            else:
                merged.conflicts += before != (trial.accuracy, trial.weights_hash)
        merged.trials += len(new)
        if new:
            yield here, "".join(f"{trial.model_dump_json()}\n" for trial in (*own, *new))


def _asks(archive: Archive, content: Reader) -> Iterator[tuple[str, str]]:
    """Asks that gave no proposal, each exchange once."""
    here = {path.name: read_text(path) for path in (archive.root / ASKS).glob("*.jsonl")}
    for path in sorted((content.root / ASKS).glob("*.jsonl")):
        text, name, number = read_text(path), path.name, 2
        if text in here.values():
            continue
        while name in here:
            name, number = f"{path.stem}-{number}.jsonl", number + 1
        here[name] = text
        yield f"{ASKS}/{name}", text


def _boards(archive: Archive, content: Reader) -> dict[str, str]:
    """Leaderboards that were imported: rows that are not here. A row of the same name stays as it is here."""
    derived = {*PROTOCOLS, *archive.protocols(), *content.protocols()}
    files = {}
    for path in sorted((content.root / LEADERBOARDS).glob("*.csv")):
        if path.stem in derived:
            continue
        where = f"{LEADERBOARDS}/{path.name}"
        theirs = parse_leaderboard(read_text(path), where)
        if not (archive.root / where).exists():
            files[where] = format_leaderboard(theirs)
            continue
        ours = parse_leaderboard(read_text(archive.root / where), where)
        if len(more := theirs[~theirs.index.isin(ours.index)]):
            files[where] = format_leaderboard(pd.concat([ours, more]))
    return files


def _apart(records: list[Record]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for record in records:
        today = PROTOCOLS.get(record.protocol)
        if today is None or today.hash != record.protocol_hash:
            found[record.protocol].add(record.protocol_hash)
    return {name: sorted(hashes) for name, hashes in sorted(found.items())}
