"""Archives the result of `archer evaluate --add`: further trials of an archived variant, or a proposal made by hand."""

from dataclasses import replace
from datetime import UTC, datetime

from agent.analysis.snapshot import take_snapshot
from agent.reports.report import render_report
from agent.search.by_hand.evaluate_variant import VariantRequest, VariantResult
from agent.words import counted
from archive.records.lines import ProposalLine
from archive.records.record import BY_HAND, Cost, Proposal, Provenance, Record
from archive.store import Archive
from evaluator.outcomes import Status
from evaluator.protocols.built_in import JUDGING
from evaluator.protocols.protocol import trial_specs
from evaluator.trials.run_trial import spec_of
from variants.contract import Variant


def add_by_hand(archive: Archive, result: VariantResult) -> str:
    """Archive the trials of a variant that the archive has; archive any other variant as a new proposal.

    A proposal by hand that now has all trials of a larger protocol is told anew under that one: it is listed, shown and
    tested there. Returns one line that says what was done. Raises ArchiveError.
    """
    with archive.writing():  # what is there is looked up here, since another archer may have added it meanwhile
        return _add(archive, result)


def _add(archive: Archive, result: VariantResult) -> str:
    request, evaluated = result.request, result.evaluated
    if evaluated.status is Status.REJECTED and (before := _rejected_before(archive, request)) is not None:
        return f"nothing to add: {archive.root} has it as proposal {before.number}, {before.status}"
    known = archive.variants().get(request.variant.name)
    if known is not None and known.source == request.variant.source:
        if (grown := _grown(archive, result)) is not None:
            return grown
        there = replace(request, trials=archive.trials(request.protocol.name)).using_archived().known
        new = [t for t in evaluated.trials if t.status is Status.SCORED and spec_of(t) not in there]
        if not new and evaluated.status is Status.INTERRUPTED:
            return "nothing is added yet: what has ended is kept, and the same command goes on from there"
        if not new and evaluated.status is not Status.SCORED:
            return f"nothing to add: {request.variant.name} is in {archive.root} already"
        if not new:
            return f"nothing to add: {archive.root} has all of these trials of {request.variant.name}"
        archive.tell_trials(new)
        return f"added {counted(len(new), 'trial')} of {request.variant.name} to {archive.root}"
    name = archive.free_name(request.variant.name)
    record = _record(result, request.variant.model_copy(update={"name": name}))
    told = archive.tell(record, render_report(record, take_snapshot(archive, request.protocol.name, seed=0)))
    return f"archived as proposal {told.number}, {name}, {told.status}, in {archive.root}"


def _grown(archive: Archive, result: VariantResult) -> str | None:
    """Tell a proposal by hand anew, if it now has all trials of its protocol or of a larger one; None if it has not."""
    protocol, trials = result.request.protocol, result.evaluated.trials
    identity = archive.identity(result.request.variant.name)
    before = archive.record(identity) if identity is not None else None
    if before is None or before.proposal.variant != result.request.variant:  # its name may be short for another's
        return None
    if before.proposal.provenance.proposer != BY_HAND or protocol not in JUDGING:
        return None
    smaller = [each.name for each in JUDGING[: JUDGING.index(protocol)]]
    every = set(trial_specs(protocol))
    was_part = before.protocol_hash == protocol.hash and not {spec_of(trial) for trial in before.trials} >= every
    whole = {spec_of(trial) for trial in trials} >= every and result.evaluated.status is Status.SCORED
    if not whole or not (was_part or before.protocol in smaller):
        return None
    variant = result.request.variant
    record = _record(result, variant).model_copy(update={"number": before.number, "created": before.created})
    if scored := [trial for trial in before.trials if trial.status is Status.SCORED]:
        archive.tell_trials(scored)
    archive.retell(record, render_report(record, take_snapshot(archive, protocol.name, seed=0)))
    return f"proposal {before.number}, {variant.name}, is now told under {protocol.name}, in {archive.root}"


def _rejected_before(archive: Archive, request: VariantRequest) -> ProposalLine | None:
    """The proposal with the same code and parent that the checks rejected already, under the same protocol."""
    wanted = (request.variant.source_hash, request.parent.name, request.protocol.hash, Status.REJECTED)
    for line in archive.lines():
        if (line.source_hash, line.parent, line.protocol_hash, line.status) == wanted:
            return line
    return None


def _record(result: VariantResult, variant: Variant) -> Record:
    request, evaluated = result.request, result.evaluated
    rename = {"variant": variant.name}
    proposal = Proposal(
        variant=variant,
        parent=request.parent.name,
        title=f"{variant.name}, added by hand",
        insights=(),
        motivation="Written outside of archer and added with `archer evaluate --add`.",
        mathematics="",
        predictions={},
        differences=(),
        next_steps=(),
        provenance=Provenance(proposer=BY_HAND, seed=0, parents=(request.parent.name,)),
    )
    return Record(
        number=0,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        proposal=proposal,
        status=evaluated.status,
        reason=evaluated.reason,
        no_effect=evaluated.no_effect,
        protocol=request.protocol.name,
        protocol_hash=request.protocol.hash,
        check=evaluated.report.model_copy(update={"name": variant.name}),
        trials=tuple(trial.model_copy(update=rename) for trial in evaluated.trials),
        scorecard=evaluated.card.model_copy(update=rename) if evaluated.card else None,
        verdicts=evaluated.verdicts,
        cost=Cost(cpu_seconds=result.cpu_seconds, wall_seconds=result.wall_seconds),
    )
