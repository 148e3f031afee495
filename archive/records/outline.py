"""A record without its trials, checks, exchange and code: enough to list 10,000 proposals in seconds."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from archive.errors import ArchiveError
from archive.files import first_problem, read_bytes
from archive.records.places import proposal_place
from archive.records.record import Cost, Moment, Prediction, Provenance, Record
from evaluator.outcomes import Scorecard, StateSize, Status, Verdict, state_of
from evaluator.protocols.built_in import tasks_of
from evaluator.statistics.over_tasks import mean_over_tasks
from evaluator.tasks.names import TaskName
from variants.contract import VariantName


class _Part(BaseModel):
    """A part of a document on disk. Fields that the class does not name are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


P = TypeVar("P", bound=_Part)


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
    state: StateSize | None = None

    @property
    def id(self) -> str:
        """Folder name of the record: `0001-NAME`."""
        return f"{self.number:04d}-{self.proposal.variant.name}"


def mean_of(found: Record | Outline) -> float | None:
    """Mean accuracy over all tasks of the protocol; None where one was not measured."""
    return mean_over_tasks(found.scorecard.scores if found.scorecard else {}, tasks_of(found.protocol))


class _Finding(_Part):
    check: str
    evidence: dict[str, Any] = {}


class _CheckFile(_Part):
    findings: tuple[_Finding, ...] = ()


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
    """Read the outline from the files of a proposal's folder. Raises ArchiveError that names the wrong file."""
    folder = root / proposal_place(root, identity)
    fields: dict[str, Any] = {}
    parts: tuple[tuple[str, type[_Part]], ...] = (("proposal.json", _ProposalFile), ("scorecard.json", _ResultFile))
    for name, model in parts:
        part = _read(folder / name, model)
        fields |= {field: getattr(part, field) for field in model.model_fields}
    if (folder / "check.json").exists():
        check = _read(folder / "check.json", _CheckFile)
        fields["state"] = state_of(found.evidence for found in check.findings if found.check == "state")
    outline = Outline.model_construct(**fields)
    if outline.id != identity:
        raise ArchiveError(f"{folder} holds the record {outline.id}; the folder was renamed")
    return outline


def _read(path: Path, model: type[P]) -> P:
    try:
        return model.model_validate_json(read_bytes(path))
    except ValidationError as error:
        raise ArchiveError(f"{path}: {first_problem(error)}; restore it with `git checkout`") from error
