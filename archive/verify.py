"""Integrity of an archive: what is wrong, one line a problem; nothing is changed."""

from collections.abc import Iterator

from archive.errors import ArchiveError
from archive.files import read_lines
from archive.folders import PROPOSALS, VARIANTS
from archive.leaderboards import LEADERBOARDS, leaderboard_csv, scorecards
from archive.record import Record
from archive.store import TRIALS, Archive
from evaluator.outcomes import Status, Trial
from evaluator.statistics import scorecard


def problems(archive: Archive) -> Iterator[str]:
    """Every contradiction in the archive, in words; with none, every row can be traced to its trials."""
    sound = True
    for identity in archive.ids():
        try:
            yield from _record_problems(archive.record(identity))
        except ArchiveError as error:
            sound = False
            yield str(error)
    for path in sorted((archive.root / TRIALS).glob("*/*.jsonl")):
        try:
            yield from _trial_problems(archive, str(path.relative_to(archive.root)), read_lines(path, Trial))
        except ArchiveError as error:
            sound = False
            yield str(error)
    if sound:
        yield from archive.prediction_problems()
        yield from _leaderboard_problems(archive)
    yield from (
        f"{path} differs from the last commit; commit it or `git checkout` it" for path in archive.dirty_paths()
    )


def _record_problems(record: Record) -> Iterator[str]:
    where = f"{PROPOSALS}/{record.id}"
    if (record.status is Status.SCORED) != (record.scorecard is not None):
        yield f"{where}: status {record.status} and {'a' if record.scorecard else 'no'} scorecard contradict each other"
    for trial in record.trials:
        if trial.source_hash != record.proposal.variant.source_hash:
            yield f"{where}: a trial on {trial.task} ran other code than the proposal's"
    if record.scorecard is not None and scorecard(record.trials) != record.scorecard:
        yield f"{where}: the scorecard is not what its trials give"


def _trial_problems(archive: Archive, where: str, trials: tuple[Trial, ...]) -> Iterator[str]:
    for trial in trials:
        code = archive.root / VARIANTS / f"{trial.variant}.py"
        if not code.exists():
            yield f"{where}: no code of {trial.variant} in {VARIANTS}/"
        elif archive.variants()[trial.variant].source_hash != trial.source_hash:
            yield f"{where}: {trial.task}, seed {trial.seed} ran other code than {VARIANTS}/{trial.variant}.py"


def _leaderboard_problems(archive: Archive) -> Iterator[str]:
    for protocol in archive.protocols():
        path = archive.root / LEADERBOARDS / f"{protocol}.csv"
        expected = leaderboard_csv(scorecards(protocol, archive.trials(protocol)))
        if not path.exists() or path.read_text(encoding="utf-8") != expected:
            yield f"{LEADERBOARDS}/{protocol}.csv is not what its trials give; run `archer verify --rebuild`"
