"""Predictions, committed to a separate branch before the first trial, so that nobody can change them afterwards."""

import contextlib
from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from archive.errors import ArchiveError
from archive.git import GitFolder
from archive.records import places
from archive.records.places import prediction_places
from archive.records.record import Origin, Prediction, Proposal, Record, moment
from evaluator.tasks.names import TaskName
from evaluator.values import Value
from variants.contract import VariantName

BRANCH = "predictions"
CLOCK_SECONDS = 2
"""Tolerance, because commits and records are dated in whole seconds."""


class Committed(Value):
    """The committed document: the predictions, and the variant, protocol and proposer that they belong to."""

    variant: VariantName
    source_hash: str
    parent: VariantName
    protocol: str
    protocol_hash: str
    proposer: str
    model: str | None
    predictions: dict[TaskName, Prediction]

    @classmethod
    def of(cls, proposal: Proposal, protocol: str, protocol_hash: str) -> "Committed":
        """The document to commit for a proposal."""
        return cls(
            variant=proposal.variant.name,
            source_hash=proposal.variant.source_hash,
            parent=proposal.parent,
            protocol=protocol,
            protocol_hash=protocol_hash,
            proposer=proposal.provenance.proposer,
            model=proposal.provenance.model,
            predictions=proposal.predictions,
        )


def commit_predictions(git: GitFolder, committed: Committed) -> str:
    """Commit the predictions. Returns the commit's hash. Raises ArchiveError.

    The very same ones, committed before by a search that was killed, keep their older commit: their trials go on.
    """
    text = committed.model_dump_json(indent=2) + "\n"
    flat, inside = prediction_places(committed.variant)
    for place in (flat, inside):
        if (before := git.last_commit_aside(BRANCH, place, text)) is not None:
            return before
    message = f"Predict {committed.variant}\n\nSource: {committed.source_hash}\nProtocol: {committed.protocol}"
    place = flat if git.entries_aside(BRANCH) < places.BORDER else inside
    return git.commit_aside(BRANCH, place, text, message)


def prediction_problems(
    git: GitFolder, record: Record, history: Mapping[str, int], origin: Origin | None = None
) -> Iterator[str]:
    """Evidence against the claim that the record's predictions were committed before its first trial.

    history: time of each commit of the branch. origin: that of a merged record, whose predictions were committed under
    older names. A record without a prediction commit, made by an older archer, has no problems.
    """
    if record.predicted is None:
        return
    before = {here: there for there, here in origin.renamed.items()} if origin else {}
    name = before.get(record.proposal.variant.name, record.proposal.variant.name)
    if record.predicted not in history:
        yield f"its predictions' commit {record.predicted[:12]} is not on the branch {BRANCH}; fetch that branch"
        return
    if (text := _committed(git, record.predicted, name)) is None:
        yield f"its predictions' commit {record.predicted[:12]} holds no {name}.json"
        return
    if not _same(text, Committed.of(record.proposal, record.protocol, record.protocol_hash), before):
        yield f"its predictions are not those of commit {record.predicted[:12]}"
    own = [trial.wall_seconds for trial in record.trials if trial.inherited_from is None]
    began = moment(record.created).timestamp() - max(own, default=0.0)
    if history[record.predicted] > began + CLOCK_SECONDS:
        yield f"its predictions' commit {record.predicted[:12]} is later than its first trial"


def _committed(git: GitFolder, commit: str, name: str) -> str | None:
    """What a commit of the branch says of a variant; None for nothing."""
    for place in prediction_places(name):
        with contextlib.suppress(ArchiveError):
            return git.content(commit, place)
    return None


def _same(text: str, expected: Committed, before: Mapping[str, str]) -> bool:
    """Whether the committed text holds `expected`. If a merge changed names, the reasons may differ.

    before: older names of renamed variants, by current name.
    """
    if not before:
        return text == expected.model_dump_json(indent=2)
    names = {
        "variant": before.get(expected.variant, expected.variant),
        "parent": before.get(expected.parent, expected.parent),
    }
    try:
        committed = Committed.model_validate_json(text)
    except ValidationError:
        return False
    return _without_reasons(committed) == _without_reasons(expected.model_copy(update=names))


def _without_reasons(committed: Committed) -> Committed:
    bare = {task: found.model_copy(update={"why": ""}) for task, found in committed.predictions.items()}
    return committed.model_copy(update={"predictions": bare})
