"""Checks the integrity of an archive: one line per problem. It changes nothing."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from archive.confirmations import CONFIRMATIONS, read_confirmations
from archive.errors import ArchiveError
from archive.examine import examine_all
from archive.files import read_lines, read_text
from archive.reader import TRIALS, Reader
from archive.records.places import PROPOSALS, VARIANTS, doubled, variant_place
from archive.store import Archive
from archive.tables.leaderboards import LEADERBOARDS, leaderboard_csv, scorecards
from archive.verified import Verified
from evaluator.outcomes import Trial
from evaluator.protocols.built_in import tasks_of
from variants.contract import Variant


def problems(archive: Archive, since: Verified | None = None) -> Iterator[str]:
    """Every contradiction in the archive, one line each. Without problems, every row can be traced to its trials.

    Leaderboards are derived from the contents, and looked at only where these are sound.
    A clone without problems is as complete as the archive that it was cloned from. since: a state without problems;
    then of the proposals, the kernels and git's objects only those are read that came or changed after it.
    """
    archive.look_anew()
    late: list[str] = []
    with ThreadPoolExecutor(1) as beside:  # git checks its objects in a process of its own, while the records are read
        of_git = beside.submit(list, archive.git_problems() if since is None else since.git_problems())
        found = list(_content_problems(archive, since, late))
        yield from (*found, *late)
        yield from _leaderboard_problems(archive) if not found else ()
        yield from of_git.result()
    yield from (
        f"{path} differs from the last commit; commit it or `git checkout` it" for path in archive.dirty_paths()
    )


def content_problems(reader: Reader) -> Iterator[str]:
    """The contradictions in records, variants and trials alone, without git."""
    return _content_problems(reader, None, [])


def _content_problems(reader: Reader, since: Verified | None, late: list[str]) -> Iterator[str]:
    """The same since a state; problems with the date of predictions are added to `late`."""
    variants, identities = reader.variants(), reader.ids()
    try:
        for name in variants if since is None else ():
            variants[name]
    except ArchiveError as error:
        yield str(error)
        return
    yield from _confirmation_problems(reader, variants)
    for examined in examine_all(reader, identities if since is None else since.changed_proposals()):
        yield from examined.content
        late += examined.predictions
    numbers: dict[int, str] = {}
    for identity in identities:
        if (other := numbers.setdefault(int(identity.split("-")[0]), identity)) != identity:
            yield f"{PROPOSALS}/: {other} and {identity} have the same number"
    yield from (f"{place} lies in another place too; remove one of them" for place in doubled(reader.root))
    yield from _ask_problems(reader)
    for path in sorted(found for name in (TRIALS, CONFIRMATIONS) for found in (reader.root / name).glob("*/*.jsonl")):
        try:
            where = str(path.relative_to(reader.root))
            yield from _trial_problems(reader, where, path, variants)
        except ArchiveError as error:
            yield str(error)


def _ask_problems(reader: Reader) -> Iterator[str]:
    """Failed asks whose name or content cannot be read."""
    try:
        reader.failed_asks()
        for _ in reader.failed_exchanges():
            pass
    except ArchiveError as error:
        yield str(error)


def _confirmation_problems(reader: Reader, variants: Mapping[str, Variant]) -> Iterator[str]:
    """Results on fresh seeds whose variant or protocol differs from their file's name, or does not exist."""
    for folder in sorted((reader.root / CONFIRMATIONS).glob("*")):
        try:
            found = read_confirmations(reader.root, folder.name)
        except ArchiveError as error:
            yield str(error)
            continue
        for name, each in found.items():
            where = f"{CONFIRMATIONS}/{folder.name}/{name}.json"
            if (each.variant, each.protocol) != (name, folder.name):
                yield f"{where} is of {each.variant} under {each.protocol}"
            yield from (f"{where}: no code of {who} in {VARIANTS}/" for who in {name, each.against} - variants.keys())


def _trial_problems(reader: Reader, where: str, path: Path, variants: Mapping[str, Variant]) -> Iterator[str]:
    """Trials of a file that are not of the variant and the protocol that its path names. Raises ArchiveError."""
    protocol, name, trials = path.parent.name, path.stem, read_lines(path, Trial)
    known = variants[name].source_hash if name in variants else None
    for trial in trials:
        if (trial.variant, trial.protocol) != (name, protocol):
            yield f"{where}: {trial.task}, seed {trial.seed} is of {trial.variant} under {trial.protocol}"
        elif known is None:
            yield f"{where}: no code of {name} in {VARIANTS}/"
        elif known != trial.source_hash:
            yield f"{where}: {trial.task}, seed {trial.seed} ran other code than {variant_place(reader.root, name)}"


def _leaderboard_problems(archive: Archive) -> Iterator[str]:
    for protocol in archive.protocols():
        path = archive.root / LEADERBOARDS / f"{protocol}.csv"
        expected = leaderboard_csv(scorecards(protocol, archive.trials(protocol)), tasks_of(protocol))
        if not path.exists() or read_text(path) != expected:
            yield f"{LEADERBOARDS}/{protocol}.csv is not what its trials give; run `archer verify --rebuild`"
