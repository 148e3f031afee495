"""Merges another archive's proposals and trials into this one: nothing lost, nothing doubled, every link right."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping

from archive.errors import ArchiveError
from archive.git import GitFolder
from archive.merging.fetch import Fetched, fetched
from archive.merging.matching import match
from archive.merging.moving import bring_results, bring_variants
from archive.merging.renaming import renamed_record, renamed_text
from archive.merging.result import Merged
from archive.predictions import BRANCH, prediction_problems
from archive.records.record import Origin, Record
from archive.store import Archive
from archive.verify import content_problems
from evaluator.protocols.built_in import protocol_of_today


def merge(
    archive: Archive, other: str, accept: Callable[[Record], None], follow: Callable[[int, int], None] = lambda *_: None
) -> Merged:
    """Merge the last commit of the archive at `other`, a path or git URL, which is not trusted.

    accept: raises for a record that must not be merged. follow: called with the number of merged proposals and of all
    new proposals. Nothing is written before the whole of `other` was checked. Content identifies proposals that were
    merged before, so a second merge finishes an interrupted merge. Raises ArchiveError.
    """
    with fetched(other) as found, archive.writing():
        records = _sound(found, other, accept)
        archive.recover()
        merged = Merged(found.head, ignored=found.ignored)
        names, new, further = match(archive, found.content, records)
        merged.known = len(records) - len(new) - len(further)
        merged.renamed = {old: name for old, name in sorted(names.items()) if old != name}
        merged.apart = _apart(records)
        bring_variants(archive, found, names, {record.proposal.variant.name for record in records})
        if any(record.predicted for record in (*new, *further.values())):
            archive.merge_predictions(found.repository)
        try:
            for record in new:
                told = archive.adopt(*_moved(found, record, merged.renamed))
                merged.added.append((told.id, record.id))
                follow(len(merged.added), len(new))
            for number, record in further.items():
                moved, report, origin = _moved(found, record, merged.renamed)
                told = archive.retell(moved.model_copy(update={"number": number}), report, origin)
                merged.further.append((told.id, record.id))
            bring_results(archive, found, names, merged)
        finally:
            archive.rebuild_leaderboards()
        return merged


def _moved(found: Fetched, record: Record, renamed: Mapping[str, str]) -> tuple[Record, str, Origin]:
    """A record and its report with the names of this archive, and where they come from."""
    report = renamed_text(found.content.report(record), renamed)
    return renamed_record(record, renamed), report, _origin(found, record, renamed)


def _origin(found: Fetched, record: Record, renamed: Mapping[str, str]) -> Origin:
    """The origin of a record, with the names that changed in this merge and in earlier merges.

    A variant that an earlier merge renamed is under its first name alone, which its predictions have.
    """
    before = found.content.origin(record.id)
    earlier = before.renamed if before else {}
    names = {old: name for old, name in renamed.items() if old not in earlier.values()}
    names |= {old: renamed.get(name, name) for old, name in earlier.items()}
    return Origin(id=record.id, commit=found.commits.get(record.id, found.head), renamed=names)


def _sound(found: Fetched, other: str, accept: Callable[[Record], None]) -> list[Record]:
    """All records of the other archive. Raises ArchiveError if anything in the archive contradicts anything else."""
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
            accept(record)
        except (ValueError, RecursionError) as error:
            raise refuse(f"{record.id}: {' '.join(str(error).split())[:200]}") from error
    return records


def _apart(records: list[Record]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if protocol_of_today(record.protocol, record.protocol_hash) is None:
            found[record.protocol].add(record.protocol_hash)
    return {name: sorted(hashes) for name, hashes in sorted(found.items())}
