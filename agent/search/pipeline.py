"""The evaluation of one variant: check, train, score, compare.

`archer propose`, `archer evaluate`, confirmations and replays all evaluate by this pipeline.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.analysis.trial_work import weights
from agent.search.no_effect import BesideParent
from agent.search.racing import Race
from agent.words import twin_words
from evaluator.checks import check
from evaluator.checks.fingerprint import Fingerprint, Twin
from evaluator.outcomes import CheckReport, Scorecard, Status, Trial, Verdict
from evaluator.protocols.protocol import TrialSpec
from evaluator.statistics.lazy_trials import comparable
from evaluator.statistics.moderated_t_test import noise_by_task
from evaluator.statistics.scorecards import scorecard
from evaluator.statistics.verdicts import verdict
from evaluator.trials.evaluate import Evaluation, Evaluator, TrialProgress, kernel_shapes
from variants.contract import BASELINE, REFERENCE, Variant

FindTwin = Callable[[Fingerprint], Twin | None]
"""Finds a known variant with this fingerprint."""


@dataclass(frozen=True)
class Evaluated:
    """The result for one variant. `card` is present if and only if `status` is SCORED."""

    status: Status
    reason: str
    report: CheckReport
    trials: tuple[Trial, ...] = ()
    card: Scorecard | None = None
    verdicts: tuple[Verdict, ...] = ()
    no_effect: bool = False
    """Whether the first trainings ended in the parent's bits, so that the other trials are the parent's."""
    parent_again: tuple[Trial, ...] = ()
    """Trials of the parent that were trained again to compare bits: a cost, no result."""


@dataclass(frozen=True)
class Pipeline:
    """Evaluates variants under the evaluator's protocol.

    trials: trials of all known variants under the protocol, to compare with and to inherit from (the parent's only).
    follow: called at each step, from several threads. stop: ends running trainings when it is set. parents_here: trials
    of parents that were trained again on this machine, by source; evaluations of one search share them.
    """

    evaluator: Evaluator
    trials: Mapping[str, Sequence[Trial]] = field(default_factory=dict)
    follow: Callable[[TrialProgress], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    parents_here: dict[str, tuple[Trial, ...]] = field(default_factory=dict)

    def evaluate(
        self,
        variant: Variant,
        parent: Variant | None,
        specs: Sequence[TrialSpec],
        report: CheckReport,
        *,
        known: Mapping[TrialSpec, Trial] | None = None,
        train_duplicates: bool = False,
        before_training: Callable[[], None] = lambda: None,
        race: Race | None = None,
    ) -> Evaluated:
        """Train, score and compare a variant whose checks gave `report`, unless they failed.

        known: trials of the variant itself that need not be run. train_duplicates: also train a variant that computes
        the same as a known variant. before_training: called if it is to be trained. race: orders the trials, and stops
        a variant that has no chance.
        """
        if report.verdict == "fail":
            return Evaluated(Status.REJECTED, failures(report), report)
        if report.duplicate_of is not None and not train_duplicates:
            return Evaluated(Status.DUPLICATE, _same_as(report, parent), report)
        before_training()
        beside = BesideParent(self.evaluator, variant, specs, self.stop, self.parents_here)
        if parent is not None and parent.name != variant.name:
            beside.compare(parent, self.trials.get(parent.name, ()), report.inert_settings)
        cost = weights(self.evaluator.protocol, specs)
        order = race.order(specs, beside.telling[:1], cost) if race is not None else specs
        ended = self.evaluator.evaluate(
            variant,
            specs,
            inherited={**(known or {}), **beside.inert},
            follow=self.follow,
            reason_to_prune=race.reason_to_prune if race is not None else lambda _: "",
            first=lambda trials: beside.first(trials, order),
            settled=beside.settled,
            order=order,
            stop=self.stop,
        )
        if ended.status is not Status.SCORED:
            return Evaluated(ended.status, ended.reason, report, ended.trials, parent_again=beside.again)
        return Evaluated(
            ended.status,
            beside.reason,
            report,
            ended.trials,
            scorecard(ended.trials),
            self.verdicts(variant, parent, ended.trials),
            bool(beside.reason),
            beside.again,
        )

    def check(
        self, variant: Variant, parent: Variant | None, twin: FindTwin | None = None, *, loop_only: bool = False
    ) -> CheckReport:
        """Run all checks at the shapes of the protocol."""
        shapes = kernel_shapes(self.evaluator.protocol, variant.layer)
        return check(variant, self.evaluator.sandbox, parent=parent, shapes=shapes, known=twin, loop_only=loop_only)

    def train(
        self,
        variant: Variant,
        specs: Sequence[TrialSpec],
        *,
        known: Mapping[TrialSpec, Trial] | None = None,
        race: Race | None = None,
    ) -> Evaluation:
        """Train and score the specs that `known` lacks; `race` as in `evaluate`."""
        return self.evaluator.evaluate(
            variant,
            specs,
            inherited=known,
            follow=self.follow,
            reason_to_prune=race.reason_to_prune if race is not None else lambda _: "",
            order=race.order(specs, (), weights(self.evaluator.protocol, specs)) if race is not None else specs,
            stop=self.stop,
        )

    def verdicts(self, variant: Variant, parent: Variant | None, trials: Sequence[Trial]) -> tuple[Verdict, ...]:
        """Verdicts against the parent, the baseline and the gated reference, for those that have trials."""
        protocol = self.evaluator.protocol
        current = comparable(self.trials, protocol.hash)
        rivals = dict.fromkeys((*([parent.name] if parent else []), BASELINE, REFERENCE))
        noise = noise_by_task({**current, variant.name: trials}, tuple(protocol.tasks))
        return tuple(
            verdict(trials, current[name], name, noise) for name in rivals if name in current and name != variant.name
        )


def failures(report: CheckReport) -> str:
    """Every failed check with its counterexample, as one line."""
    return "; ".join(f"{finding.check}: {finding.message}" for finding in report.findings if finding.status == "fail")


def _same_as(report: CheckReport, parent: Variant | None) -> str:
    no_op = f"; a no-op: its parent {parent.name} is the same at every setting" if report.no_op and parent else ""
    return f"computes {twin_words(report.duplicate_of or '', report.multiple)}{no_op}"
