"""Measuring one variant outside of a search: for `archer evaluate`."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.analysis.fresh_seeds import FreshComparison
from agent.search.attempt import failures
from agent.search.confirm import fresh_seeds
from agent.search.find_variant import find_variant
from agent.search.fingerprint_index import FingerprintIndex
from archive.seeding import shipped_trials
from archive.store import Archive
from evaluator.checks import check
from evaluator.outcomes import CheckReport, Scorecard, Status, Trial, Verdict
from evaluator.protocols.protocol import Protocol, TrialSpec, trial_specs
from evaluator.statistics.lazy_trials import comparable
from evaluator.statistics.scorecards import scorecard, verdict
from evaluator.tasks.registry import TaskName
from evaluator.trials.evaluate import Evaluation, Evaluator, TrialProgress, inheritable, kernel_shapes
from variants.contract import BASELINE, REFERENCE, Variant
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
    fresh: FreshComparison | None = None
    """The first scores beside these, where these are of fresh seeds."""
    parent_cpu_seconds: float = 0.0

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all trials, both sides of the sandbox; the parent's, too, where it was trained for this."""
        own = sum(trial.cpu_seconds for trial in self.evaluation.trials) if self.evaluation else 0.0
        return own + self.parent_cpu_seconds


@dataclass(frozen=True)
class Measurement:
    """One variant, what it is compared with, and which part of a protocol it runs."""

    variant: Variant
    parent: Variant
    protocol: Protocol
    tasks: Sequence[TaskName]
    seeds: Sequence[int]
    trials: Mapping[str, Sequence[Trial]]
    twins: FingerprintIndex
    first: Mapping[str, Sequence[Trial]] | None = None
    """Everyone's trials on the protocol's seeds, where these are fresh ones: the parent is trained on them, too."""
    stop: threading.Event = field(default_factory=threading.Event)

    def on_fresh_seeds(self) -> "Measurement":
        """The same on seeds that nothing was chosen by; the parent is then trained on them, too."""
        first = fresh_seeds(self.protocol)[0]
        return replace(self, seeds=range(first, first + len(self.seeds)), trials={}, first=self.trials)

    @classmethod
    def of(
        cls,
        variant: Variant,
        protocol: Protocol,
        tasks: Sequence[TaskName],
        seed_count: int | None,
        parent: str | None,
        archive: Archive | None,
    ) -> "Measurement":
        """Trials of others come from the archive, else from what ships with archer. Raises UserError."""
        own = seeds().get(variant.name)
        other = find_variant(parent or (own.parent if own and own.parent else BASELINE), archive)
        chosen = protocol.seeds if seed_count is None else range(seed_count)
        trials = archive.trials(protocol.name) if archive else shipped(protocol.name)
        return cls(variant, other, protocol, tasks, tuple(chosen), trials, FingerprintIndex(archive))

    @property
    def specs(self) -> tuple[TrialSpec, ...]:
        """The trials that it takes."""
        return trial_specs(self.protocol, self.tasks, self.seeds)

    @property
    def training(self) -> tuple[TrialSpec, ...]:
        """The trials that are trained for it: on fresh seeds the parent's, too."""
        return self.specs * (2 if self._parent_too else 1)

    @property
    def _parent_too(self) -> bool:
        return self.first is not None and self.parent.name != self.variant.name

    def run(self, evaluator: Evaluator, follow: Callable[[TrialProgress], None]) -> Measured:
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
        if not self._parent_too:
            return self._trained(began, report, evaluator, follow)
        rival = evaluator.evaluate(self.parent, self.specs, follow=follow, stop=self.stop)
        if rival.status is not Status.SCORED:
            return self._measured(began, rival.status, f"{self.parent.name}, its parent: {rival.reason}", report)
        paired = replace(self, trials={self.parent.name: rival.trials})
        return paired._trained(began, report, evaluator, follow)

    def _trained(
        self, began: float, report: CheckReport, evaluator: Evaluator, follow: Callable[[TrialProgress], None]
    ) -> Measured:
        """Train and score; what cannot differ from the parent is inherited where the parent has it."""
        inherited = {}
        if self.parent.name != self.variant.name:
            known = self.trials.get(self.parent.name, ())
            inherited = inheritable(self.variant, self.specs, report.inert_settings, known, self.protocol)
        result = evaluator.evaluate(self.variant, self.specs, inherited=inherited, follow=follow, stop=self.stop)
        return self._measured(began, result.status, result.reason, report, result)

    def _measured(
        self, began: float, status: Status, reason: str, report: CheckReport, result: Evaluation | None = None
    ) -> Measured:
        scored = result is not None and status is Status.SCORED
        fresh, parents_cpu = None, 0.0
        if self.first is not None:
            parents_cpu = sum(trial.cpu_seconds for own in self.trials.values() for trial in own)
        if scored and result and self.first is not None:
            new = {**self.trials, self.variant.name: result.trials}
            fresh = FreshComparison.of(
                self.variant.name, self.parent.name, comparable(self.first, self.protocol.hash), new, self.tasks
            )
        return Measured(
            self.variant, self.parent.name, self.protocol, status, reason, report, result,
            card=scorecard(result.trials) if scored and result else None,
            verdicts=self._verdicts(result.trials) if scored and result else (),
            wall_seconds=time.monotonic() - began,
            fresh=fresh,
            parent_cpu_seconds=parents_cpu,
        )  # fmt: skip

    def _verdicts(self, trials: Sequence[Trial]) -> tuple[Verdict, ...]:
        current = comparable(self.trials, self.protocol.hash)
        rivals = dict.fromkeys((self.parent.name, BASELINE, REFERENCE))
        return tuple(verdict(trials, current[n], n) for n in rivals if current.get(n) and n != self.variant.name)


def shipped(protocol: str) -> dict[str, list[Trial]]:
    """The trials that ship with archer, by variant."""
    trials: dict[str, list[Trial]] = {}
    for trial in shipped_trials(protocol):
        trials.setdefault(trial.variant, []).append(trial)
    return trials
