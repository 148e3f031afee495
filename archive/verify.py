"""Checks the integrity of an archive: one line per problem. It changes nothing."""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import isclose

from archive.confirmations import CONFIRMATIONS, read_confirmations
from archive.errors import ArchiveError
from archive.files import read_lines, read_text
from archive.reader import TRIALS, Reader
from archive.records.folders import PROPOSALS, VARIANTS
from archive.records.record import Record
from archive.store import Archive
from archive.tables.leaderboards import LEADERBOARDS, leaderboard_csv, scorecards
from evaluator.outcomes import Score, Scorecard, Status, Trial
from evaluator.protocols.built_in import tasks_of
from evaluator.statistics.scorecards import scorecard
from variants.contract import Variant

_PROTOCOL = re.compile(r"[a-z][a-z0-9_-]{0,39}")
"""A protocol's name is part of a path."""


def problems(archive: Archive) -> Iterator[str]:
    """Every contradiction in the archive, one line each. Without problems, every row can be traced to its trials.

    A clone without problems is as complete as the archive that it was cloned from.
    """
    found = list(content_problems(archive))
    yield from found or (*archive.prediction_problems(), *_leaderboard_problems(archive))
    yield from archive.git_problems()
    yield from (
        f"{path} differs from the last commit; commit it or `git checkout` it" for path in archive.dirty_paths()
    )


def content_problems(reader: Reader) -> Iterator[str]:
    """The contradictions in records, variants and trials alone, without git."""
    try:
        variants = dict(reader.variants())
    except ArchiveError as error:
        yield str(error)
        return
    yield from _confirmation_problems(reader, variants)
    numbers: dict[int, str] = {}
    for identity in reader.ids():
        try:
            record = reader.record(identity)
            yield from _record_problems(reader, record, variants)
            reader.report(record)
        except ArchiveError as error:
            yield str(error)
            continue
        if (other := numbers.setdefault(record.number, identity)) != identity:
            yield f"{PROPOSALS}/: {other} and {identity} have the same number"
    yield from _ask_problems(reader)
    for path in sorted(found for name in (TRIALS, CONFIRMATIONS) for found in (reader.root / name).glob("*/*.jsonl")):
        try:
            where = str(path.relative_to(reader.root))
            yield from _trial_problems(where, path.parent.name, path.stem, read_lines(path, Trial), variants)
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


def _record_problems(reader: Reader, record: Record, variants: Mapping[str, Variant]) -> Iterator[str]:
    where = f"{PROPOSALS}/{record.id}"
    if not _PROTOCOL.fullmatch(record.protocol):
        yield f"{where}: {record.protocol!r} is no name of a protocol"
    for parent in filter(None, (record.proposal.parent, record.proposal.second_parent)):
        if parent not in variants:
            yield f"{where}: no code of its parent {parent} in {VARIANTS}/"
    if (record.status is Status.SCORED) != (record.scorecard is not None):
        yield f"{where}: status {record.status} and {'a' if record.scorecard else 'no'} scorecard contradict each other"
    for trial in record.trials:
        if trial.source_hash != record.proposal.variant.source_hash:
            yield f"{where}: a trial on {trial.task} ran other code than the proposal's"
        if (trial.variant, trial.protocol) != (record.proposal.variant.name, record.protocol):
            yield f"{where}: a trial on {trial.task} is of {trial.variant} under {trial.protocol}"
    if record.scorecard is not None and not _follows(record.scorecard, record.trials):
        yield f"{where}: the scorecard is not what its trials give"
    reader.origin(record.id)


def _follows(card: Scorecard, trials: Sequence[Trial]) -> bool:
    """Whether trials give this scorecard. Those of several variants or protocols give none."""
    try:
        return bool(trials) and _alike(scorecard(trials), card)
    except ValueError:
        return False


def _alike(one: Scorecard, other: Scorecard) -> bool:
    """Whether two scorecards are equal up to the last bits, in which versions of archer may differ."""
    if one.model_copy(update={"scores": {}}) != other.model_copy(update={"scores": {}}):
        return False
    pairs = [(score, other.scores.get(task)) for task, score in one.scores.items()]
    return one.scores.keys() == other.scores.keys() and all(
        known is not None
        and score.n == known.n
        and all(isclose(a, b, abs_tol=1e-9) for a, b in zip(_spans(score), _spans(known), strict=True))
        for score, known in pairs
    )


def _spans(score: Score) -> tuple[float, float, float]:
    return score.mean, score.low, score.high


def _trial_problems(
    where: str, protocol: str, name: str, trials: tuple[Trial, ...], variants: Mapping[str, Variant]
) -> Iterator[str]:
    for trial in trials:
        if (trial.variant, trial.protocol) != (name, protocol):
            yield f"{where}: {trial.task}, seed {trial.seed} is of {trial.variant} under {trial.protocol}"
        elif name not in variants:
            yield f"{where}: no code of {name} in {VARIANTS}/"
        elif variants[name].source_hash != trial.source_hash:
            yield f"{where}: {trial.task}, seed {trial.seed} ran other code than {VARIANTS}/{name}.py"


def _leaderboard_problems(archive: Archive) -> Iterator[str]:
    for protocol in archive.protocols():
        path = archive.root / LEADERBOARDS / f"{protocol}.csv"
        expected = leaderboard_csv(scorecards(protocol, archive.trials(protocol)), tasks_of(protocol))
        if not path.exists() or read_text(path) != expected:
            yield f"{LEADERBOARDS}/{protocol}.csv is not what its trials give; run `archer verify --rebuild`"
