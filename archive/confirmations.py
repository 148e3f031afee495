"""Confirmations: results of would-be new bests on fresh seeds. No leaderboard has these results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from archive.errors import ArchiveError
from archive.files import first_problem, read_json, read_lines, write_json, write_lines
from archive.records.runs import once
from evaluator.outcomes import Trial
from evaluator.statistics.moderated_t_test import Effect
from evaluator.tasks.names import TaskName
from evaluator.values import Value
from variants.contract import VariantName

CONFIRMATIONS = "confirmations"


class Difference(Value):
    """Difference between two variants in a mean over tasks, over n paired seeds, with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, found: Effect) -> "Difference":
        """An effect with its interval."""
        low, high = found.interval()
        return cls(mean=found.mean, low=low, high=high, n=found.n)


class Confirmation(Value):
    """A would-be new best against the best so far: on the protocol's seeds (first) and on fresh seeds (fresh).

    open: better on the fresh seeds, but within noise. unfinished: stopped before a decision; a later search goes on.
    """

    variant: VariantName
    against: VariantName
    protocol: str
    protocol_hash: str
    weights: dict[TaskName, float] = Field(default_factory=dict)
    """What each task counts in the mean of `first` and `fresh`; empty (older archives): all tasks alike."""
    outcome: Literal["confirmed", "refuted", "open", "failed", "unfinished"]
    reason: str = ""
    first: Difference
    fresh: Difference | None = None
    created: str

    def decides(self, protocol_hash: str) -> bool:
        """Whether it came to its end under this version of its protocol."""
        return self.protocol_hash == protocol_hash and self.outcome != "unfinished"


def confirmation_paths(confirmation: Confirmation, trials: Sequence[Trial]) -> list[str]:
    """What `write_confirmation` writes, relative to the archive: the confirmation, then the trials of each variant."""
    folder, names = f"{CONFIRMATIONS}/{confirmation.protocol}", dict.fromkeys(trial.variant for trial in trials)
    return [f"{folder}/{confirmation.variant}.json", *(f"{folder}/{name}.jsonl" for name in names)]


def write_confirmation(root: Path, confirmation: Confirmation, trials: Sequence[Trial]) -> None:
    """Write the confirmation and append those of its trials that are not there. Raises OSError."""
    decision, *of_trials = confirmation_paths(confirmation, trials)
    write_json(root / decision, confirmation.model_dump(mode="json"))
    for path in of_trials:
        new = (trial for trial in trials if trial.variant == Path(path).stem)
        write_lines(root / path, once((*read_lines(root / path, Trial), *new)))


def read_confirmations(root: Path, protocol: str) -> dict[str, Confirmation]:
    """All confirmations under a protocol, by variant. Raises ArchiveError."""
    paths = sorted((root / CONFIRMATIONS / protocol).glob("*.json"))
    return {path.stem: _read(path) for path in paths}


def _read(path: Path) -> Confirmation:
    try:
        return Confirmation.model_validate(read_json(path))
    except ValidationError as error:
        raise ArchiveError(f"{path}: {first_problem(error)}; restore it with `git checkout`") from error


def read_fresh_trials(root: Path, protocol: str) -> dict[str, tuple[Trial, ...]]:
    """All trials on fresh seeds under a protocol, by variant. Raises ArchiveError."""
    paths = sorted((root / CONFIRMATIONS / protocol).glob("*.jsonl"))
    return {path.stem: read_lines(path, Trial) for path in paths}
