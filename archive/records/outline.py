"""A record without its trials, checks, exchange and code: enough to list 10,000 proposals in seconds."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from archive.errors import ArchiveError
from archive.files import first_problem, read_bytes
from archive.records.folders import PROPOSALS
from archive.records.record import Cost, Moment, Prediction, Provenance
from evaluator.outcomes import Scorecard, Status, Verdict
from evaluator.protocols.built_in import tasks_of
from evaluator.statistics.over_tasks import mean_over_tasks
from evaluator.tasks.names import TaskName
from variants.contract import VariantName


class _Part(BaseModel):
    """A part of a document on disk. Fields that the class does not name are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class NamedCode(_Part):
    """Name of a variant and SHA-256 of its source."""

    name: VariantName
    source_hash: str


class OutlinedProposal(_Part):
    """The proposal without its texts."""

    variant: NamedCode
    parent: VariantName
    title: str
    predictions: dict[TaskName, Prediction]
    provenance: Provenance


class Outline(_Part):
    """The short fields of a Record, under the same names."""

    number: int
    created: Moment
    proposal: OutlinedProposal
    status: Status
    reason: str = ""
    no_effect: bool = False
    protocol: str
    protocol_hash: str
    scorecard: Scorecard | None = None
    verdicts: tuple[Verdict, ...] = ()
    cost: Cost = Cost()

    @property
    def id(self) -> str:
        """Folder name of the record: `0001-NAME`."""
        return f"{self.number:04d}-{self.proposal.variant.name}"

    @property
    def mean(self) -> float | None:
        """Mean accuracy over all tasks of the protocol; None where one was not measured."""
        scores = self.scorecard.scores if self.scorecard else {}
        return mean_over_tasks(scores, tasks_of(self.protocol))


class _ProposalFile(_Part):
    number: int
    created: Moment
    proposal: OutlinedProposal
    protocol: str
    protocol_hash: str


class _ResultFile(_Part):
    status: Status
    reason: str = ""
    no_effect: bool = False
    scorecard: Scorecard | None = None
    verdicts: tuple[Verdict, ...] = ()
    cost: Cost = Cost()


def read_outline(root: Path, identity: str) -> Outline:
    """Read the outline from two files of a proposal's folder. Raises ArchiveError that names the wrong file."""
    folder = root / PROPOSALS / identity
    fields: dict[str, Any] = {}
    parts: tuple[tuple[str, type[_Part]], ...] = (("proposal.json", _ProposalFile), ("scorecard.json", _ResultFile))
    for name, model in parts:
        try:
            part = model.model_validate_json(read_bytes(folder / name))
        except ValidationError as error:
            raise ArchiveError(f"{folder / name}: {first_problem(error)}; restore it with `git checkout`") from error
        fields |= {field: getattr(part, field) for field in model.model_fields}
    outline = Outline.model_construct(**fields)
    if outline.id != identity:
        raise ArchiveError(f"{folder} holds the record {outline.id}; the folder was renamed")
    return outline
