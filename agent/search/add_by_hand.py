"""Archiving what `archer evaluate` measured: further trials of a known variant, or a proposal made by hand."""

from datetime import UTC, datetime

from agent.analysis.take_snapshot import take_snapshot
from agent.reports.report import render_report
from agent.search.evaluate_variant import Measured
from archive.matching import spec
from archive.record import Cost, Proposal, Provenance, Record
from archive.store import Archive
from evaluator.outcomes import Status
from variants.contract import Variant


def archive_result(archive: Archive, measured: Measured) -> None:
    """Archive further trials of a known variant, or a new one as a proposal made by hand. Raises ArchiveError.

    A trial that the archive has already stays as it is there: the better of two results would count for both.
    """
    known = archive.variants().get(measured.variant.name)
    if known is not None and known.source == measured.variant.source and measured.evaluation is not None:
        there = {spec(trial) for trial in archive.trials(measured.protocol.name).get(known.name, ())}
        new = [t for t in measured.evaluation.trials if t.status is Status.SCORED and spec(t) not in there]
        if new:
            archive.tell_trials(new)
        return
    name = archive.free_name(measured.variant.name)
    record = _record(measured, measured.variant.model_copy(update={"name": name}))
    archive.tell(record, render_report(record, take_snapshot(archive, measured.protocol.name, seed=0)))


def _record(measured: Measured, variant: Variant) -> Record:
    trials = measured.evaluation.trials if measured.evaluation else ()
    rename = {"variant": variant.name}
    proposal = Proposal(
        variant=variant,
        parent=measured.parent,
        title=f"{variant.name}, added by hand",
        insights=(),
        motivation="Written outside of archer and added with `archer evaluate --add`.",
        mathematics="",
        predictions={},
        differences=(),
        next_steps=(),
        provenance=Provenance(proposer="hand", seed=0, parents=(measured.parent,)),
    )
    return Record(
        number=0,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        proposal=proposal,
        status=measured.status,
        reason=measured.reason,
        protocol=measured.protocol.name,
        protocol_hash=measured.protocol.hash,
        check=measured.report.model_copy(update={"name": variant.name}),
        trials=tuple(trial.model_copy(update=rename) for trial in trials),
        scorecard=measured.card.model_copy(update=rename) if measured.card else None,
        verdicts=measured.verdicts,
        cost=Cost(cpu_seconds=measured.cpu_seconds, wall_seconds=measured.wall_seconds),
    )
