"""Examines proposals one by one, in as many processes as there are processors where there are many. It keeps none."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import isclose
from multiprocessing import get_context
from pathlib import Path

from archive.errors import ArchiveError
from archive.reader import PROTOCOL_NAME, Reader
from archive.records.folders import read_record
from archive.records.places import VARIANTS, proposal_place
from archive.records.record import Record
from archive.store import Archive
from evaluator.cores import usable_cores
from evaluator.outcomes import Score, Scorecard, Status, Trial
from evaluator.statistics.scorecards import scorecard

MANY, BATCH = 500, 50
"""Proposals that are worth a further process, and proposals that each is given at a time."""


@dataclass(frozen=True)
class Examined:
    """Problems of one proposal, a line each: contradictions in its files, and predictions that may be too late."""

    content: tuple[str, ...]
    predictions: tuple[str, ...] = ()


class Examiner:
    """Examines proposals of an archive. Predictions need git, so a plain reader's are not looked at."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._variants = reader, frozenset(reader.variant_names())
        self._times = reader.prediction_times() if isinstance(reader, Archive) else {}

    def examine(self, identity: str) -> Examined:
        """Read a proposal's folder, and say what is wrong with it."""
        where, reader = proposal_place(self._reader.root, identity), self._reader
        try:
            record = read_record(reader.root, identity)
            found = tuple(f"{where}{problem}" for problem in self._contradictions(record))
            reader.report(record)
            late = reader.prediction_problems(record, self._times) if isinstance(reader, Archive) else ()
            return Examined(found, tuple(f"{where}: {problem}" for problem in late))
        except ArchiveError as error:
            return Examined((str(error),))

    def _contradictions(self, record: Record) -> Iterator[str]:
        if not PROTOCOL_NAME.fullmatch(record.protocol):
            yield f": {record.protocol!r} is no name of a protocol"
        for parent in filter(None, (record.proposal.parent, record.proposal.second_parent)):
            if parent not in self._variants:
                yield f": no code of its parent {parent} in {VARIANTS}/"
        if (record.status is Status.SCORED) != (record.scorecard is not None):
            yield f": status {record.status} and {'a' if record.scorecard else 'no'} scorecard contradict each other"
        for trial in record.trials:
            if trial.source_hash != record.proposal.variant.source_hash:
                yield f": a trial on {trial.task} ran other code than the proposal's"
            if (trial.variant, trial.protocol) != (record.proposal.variant.name, record.protocol):
                yield f": a trial on {trial.task} is of {trial.variant} under {trial.protocol}"
        if record.scorecard is not None and not _follows(record.scorecard, record.trials):
            yield ": the scorecard is not what its trials give"
        self._reader.origin(record.id)


def examine_all(reader: Reader, identities: Sequence[str]) -> Iterator[Examined]:
    """Examine proposals, in their order."""
    workers = min(usable_cores(), len(identities) // MANY + 1)
    if workers == 1 or not isinstance(reader, Archive):
        yield from map(Examiner(reader).examine, identities)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (reader.root,)) as pool:
        yield from pool.map(_in_child, identities, chunksize=BATCH)


_examine: Callable[[str], Examined]
"""What a further process examines with."""


def _begin(root: Path) -> None:
    global _examine
    _examine = Examiner(Archive(root)).examine


def _in_child(identity: str) -> Examined:
    return _examine(identity)


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
