"""One variant evaluated outside of a search, for `archer evaluate`."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agent.analysis.differences.fresh_seeds import FreshComparison
from agent.search.confirm import fresh_seeds
from agent.search.find_variant import find_variant, recorded_parent
from agent.search.fingerprint_index import FingerprintIndex
from agent.search.pipeline import Evaluated, Pipeline
from archive.seeding import shipped_by_variant
from archive.store import Archive
from evaluator.outcomes import Status, Trial
from evaluator.protocols.protocol import Protocol, TrialSpec, trial_specs
from evaluator.statistics.lazy_trials import comparable
from evaluator.tasks.names import TaskName
from evaluator.trials.run_trial import spec_of
from variants.contract import BASELINE, Variant


@dataclass(frozen=True)
class VariantResult:
    """The result of a request. parent_trials: trials of the parent that were run for this request."""

    request: "VariantRequest"
    evaluated: Evaluated
    wall_seconds: float
    fresh: FreshComparison | None = None
    """The first scores beside the scores on fresh seeds; None if the request is not on fresh seeds."""
    parent_trials: tuple[Trial, ...] = ()

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the new trials, of the variant and of the parent, on both sides of the sandbox."""
        known = self.request.known
        new = [trial for trial in self.evaluated.trials if spec_of(trial) not in known]
        return sum(trial.cpu_seconds for trial in (*new, *self.parent_trials, *self.evaluated.parent_again))


@dataclass(frozen=True)
class VariantRequest:
    """One variant, the parent that it is compared with, and the tasks and seeds of a protocol to evaluate.

    trials: trials of all variants under the protocol, by variant. known: trials of the variant that need not be run
    again. on_fresh_seeds: whether `seeds` are fresh seeds; the parent is then trained on these seeds too.
    """

    variant: Variant
    parent: Variant
    protocol: Protocol
    tasks: Sequence[TaskName]
    seeds: Sequence[int]
    trials: Mapping[str, Sequence[Trial]]
    twins: FingerprintIndex
    known: Mapping[TrialSpec, Trial]
    on_fresh_seeds: bool = False

    @classmethod
    def of(
        cls,
        variant: Variant,
        protocol: Protocol,
        tasks: Sequence[TaskName],
        seed_count: int | None,
        parent: str | None,
        archive: Archive | None,
    ) -> "VariantRequest":
        """A request that uses the trials of the archive; without an archive, the trials that ship with archer.

        parent: its name; None: the recorded parent of the variant, else the baseline. Raises UserError.
        """
        other = find_variant(parent or recorded_parent(variant, archive) or BASELINE, archive)
        chosen = protocol.seeds if seed_count is None else range(seed_count)
        trials = archive.trials(protocol.name) if archive else shipped_by_variant(protocol.name)
        return cls(variant, other, protocol, tasks, tuple(chosen), trials, FingerprintIndex(archive), {})

    def fresh(self) -> "VariantRequest":
        """The same request on fresh seeds."""
        first = fresh_seeds(self.protocol)[0]
        return replace(self, seeds=range(first, first + len(self.seeds)), on_fresh_seeds=True)

    def using_archived(self) -> "VariantRequest":
        """The same request with the archived trials of the same variant and code, which need not be run again."""
        own = comparable(self.trials, self.protocol.hash).get(self.variant.name, ())
        same = {spec_of(trial): trial for trial in own if trial.source_hash == self.variant.source_hash}
        return replace(self, known={spec: same[spec] for spec in self.specs if spec in same})

    @property
    def specs(self) -> tuple[TrialSpec, ...]:
        """The specs of all trials of the variant, known ones included."""
        return trial_specs(self.protocol, self.tasks, self.seeds)

    @property
    def training(self) -> tuple[TrialSpec, ...]:
        """The specs of all trials that may be trained: those not known and, on fresh seeds, those of the parent."""
        own = tuple(spec for spec in self.specs if spec not in self.known)
        return own + (self.specs if self._parent_too else ())

    @property
    def _parent_too(self) -> bool:
        return self.on_fresh_seeds and self.parent.name != self.variant.name

    def run(self, pipeline: Pipeline) -> VariantResult:
        """Evaluate the variant, even if it is a duplicate. The request's trials replace those of `pipeline`."""
        began = time.monotonic()
        report = pipeline.check(self.variant, self.parent, self.twins.of_others(self.variant))
        trials = {} if self.on_fresh_seeds else self.trials
        of_parent: tuple[Trial, ...] = ()
        if self._parent_too and report.verdict == "pass":
            ended = pipeline.train(self.parent, self.specs)
            of_parent = ended.trials
            if ended.status is not Status.SCORED:
                reason = f"{self.parent.name}, its parent: {ended.reason}"
                failed = Evaluated(ended.status, reason, report)
                return VariantResult(self, failed, time.monotonic() - began, None, of_parent)
            trials = {self.parent.name: of_parent}
        evaluated = replace(pipeline, trials=trials).evaluate(
            self.variant, self.parent, self.specs, report, known=self.known, train_duplicates=True
        )
        fresh = self._beside_first(evaluated, trials) if evaluated.card is not None and self.on_fresh_seeds else None
        return VariantResult(self, evaluated, time.monotonic() - began, fresh, of_parent)

    def _beside_first(self, evaluated: Evaluated, trials: Mapping[str, Sequence[Trial]]) -> FreshComparison:
        first = comparable(self.trials, self.protocol.hash)
        new = {**trials, self.variant.name: evaluated.trials}
        return FreshComparison.of(self.variant.name, self.parent.name, first, new, self.tasks)
