"""Measuring one variant outside of a search: for `archer evaluate`."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from agent.attempt import failures
from agent.confirm import fresh_seeds
from agent.report import render_report
from agent.standing import make_context
from agent.subject import find_variant
from agent.twins import Twins
from archive.record import Cost, Proposal, Provenance, Record
from archive.seeding import shipped_trials
from archive.store import Archive
from evaluator.checks import check
from evaluator.evaluate import Evaluation, Evaluator, Step, inheritable, kernel_shapes
from evaluator.outcomes import CheckReport, Scorecard, Status, Trial, Verdict
from evaluator.plan import Protocol, TrialSpec, trial_specs
from evaluator.statistics import scorecard, verdict
from variants.contract import BASELINE, REFERENCE, Task, Variant
from variants.seeds import seeds


@dataclass(frozen=True)
class Measured:
    """What came of it. `card` is there if and only if `status` is SCORED."""

    variant: Variant
    parent: str
    protocol: Protocol
    status: Status
    reason: str
    report: CheckReport
    evaluation: Evaluation | None = None
    card: Scorecard | None = None
    verdicts: tuple[Verdict, ...] = ()
    wall_seconds: float = 0.0

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all trials, both sides of the sandbox."""
        return sum(trial.cpu_seconds for trial in self.evaluation.trials) if self.evaluation else 0.0


@dataclass(frozen=True)
class Measurement:
    """One variant, what it is compared with, and which part of a protocol it runs."""

    variant: Variant
    parent: Variant
    protocol: Protocol
    tasks: Sequence[Task]
    seeds: Sequence[int]
    trials: Mapping[str, Sequence[Trial]]
    twins: Twins
    pair: bool = False
    """Whether the parent is trained on the same seeds."""
    stop: threading.Event = field(default_factory=threading.Event)

    def on_fresh_seeds(self) -> "Measurement":
        """The same on seeds that nothing was chosen by; the parent is then trained on them, too."""
        first = fresh_seeds(self.protocol)[0]
        return replace(self, seeds=range(first, first + len(self.seeds)), trials={}, pair=True)

    @classmethod
    def of(
        cls,
        variant: Variant,
        protocol: Protocol,
        tasks: Sequence[Task],
        seed_count: int | None,
        parent: str | None,
        archive: Archive | None,
    ) -> "Measurement":
        """Trials of others come from the archive, else from what ships with archer. Raises UserError."""
        own = seeds().get(variant.name)
        other = find_variant(parent or (own.parent if own and own.parent else BASELINE), archive)
        chosen = protocol.seeds if seed_count is None else range(seed_count)
        trials = archive.trials(protocol.name) if archive else shipped(protocol.name)
        return cls(variant, other, protocol, tasks, tuple(chosen), trials, Twins(archive))

    @property
    def specs(self) -> tuple[TrialSpec, ...]:
        """The trials that it takes."""
        return trial_specs(self.protocol, self.tasks, self.seeds)

    def run(self, evaluator: Evaluator, follow: Callable[[Step], None]) -> Measured:
        """Check; if that passes, train and score. A duplicate is measured all the same: it was asked for."""
        began = time.monotonic()
        report = check(
            self.variant,
            evaluator.sandbox,
            parent=self.parent,
            shapes=kernel_shapes(self.protocol),
            known=self.twins.of_others(self.variant),
        )
        if report.verdict == "fail":
            return self._measured(began, Status.REJECTED, failures(report), report)
        specs = self.specs
        inherited = {}
        if self.parent.name != self.variant.name:
            known = self.trials.get(self.parent.name, ())
            inherited = inheritable(self.variant, specs, report.inert_settings, known, self.protocol)
        result = evaluator.evaluate(self.variant, specs, inherited=inherited, follow=follow, stop=self.stop)
        if not self.pair or result.status is not Status.SCORED or self.parent.name == self.variant.name:
            return self._measured(began, result.status, result.reason, report, result)
        rival = evaluator.evaluate(self.parent, specs, follow=follow, stop=self.stop)
        paired = replace(self, trials={self.parent.name: rival.trials})
        return paired._measured(began, result.status, result.reason, report, result)

    def _measured(
        self, began: float, status: Status, reason: str, report: CheckReport, result: Evaluation | None = None
    ) -> Measured:
        scored = result is not None and status is Status.SCORED
        return Measured(
            self.variant, self.parent.name, self.protocol, status, reason, report, result,
            card=scorecard(result.trials) if scored and result else None,
            verdicts=self._verdicts(result.trials) if scored and result else (),
            wall_seconds=time.monotonic() - began,
        )  # fmt: skip

    def _verdicts(self, trials: Sequence[Trial]) -> tuple[Verdict, ...]:
        current = {
            name: [trial for trial in own if trial.protocol_hash == self.protocol.hash]
            for name, own in self.trials.items()
        }
        rivals = dict.fromkeys((self.parent.name, BASELINE, REFERENCE))
        return tuple(verdict(trials, current[n], n) for n in rivals if current.get(n) and n != self.variant.name)


def shipped(protocol: str) -> dict[str, list[Trial]]:
    """The trials that ship with archer, by variant."""
    trials: dict[str, list[Trial]] = {}
    for trial in shipped_trials(protocol):
        trials.setdefault(trial.variant, []).append(trial)
    return trials


def archive_result(archive: Archive, measured: Measured) -> None:
    """Archive further trials of a known variant, or a new one as a proposal made by hand. Raises ArchiveError."""
    known = archive.variants().get(measured.variant.name)
    if known is not None and known.source == measured.variant.source and measured.evaluation is not None:
        new = [trial for trial in measured.evaluation.trials if trial.status is Status.SCORED]
        if new:
            archive.tell_trials(new)
        return
    name = archive.free_name(measured.variant.name)
    record = _record(measured, measured.variant.model_copy(update={"name": name}))
    archive.tell(record, render_report(record, make_context(archive, measured.protocol.name, seed=0)))


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
