"""A variant beside its parent: what it inherits, because the two cannot differ there or the change never acted."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from evaluator.outcomes import Trial
from evaluator.protocols.protocol import TrialSpec
from evaluator.tasks.names import TaskName
from evaluator.trials.evaluate import Evaluator, inheritable
from evaluator.trials.no_effect import of_specs, reason, rounding_apart, same_bits, telling
from evaluator.trials.run_trial import spec_of
from variants.contract import Variant


@dataclass
class BesideParent:
    """What need not be trained of a variant. Without a parent that was trained, nothing.

    here: trials of parents that were trained again on this machine, by source; `settled` adds to it.
    """

    evaluator: Evaluator
    variant: Variant
    specs: Sequence[TrialSpec]
    stop: threading.Event
    here: dict[str, tuple[Trial, ...]]
    parent: Variant | None = None
    parent_trials: Sequence[Trial] = ()
    inert: Mapping[TrialSpec, Trial] = field(default_factory=dict)
    """Inherited, since the two cannot differ there."""
    telling: tuple[TrialSpec, ...] = ()
    """Those that tell whether the change acts; the first of them to be trained first."""
    reason: str = ""
    """Why the other trials were inherited; empty if the change acted."""
    again: tuple[Trial, ...] = ()
    """Trials of the parent that were trained again."""

    def compare(self, parent: Variant, trials: Sequence[Trial], inert: Mapping[TaskName, Collection[str]]) -> None:
        """Set the parent, with its trials and the settings, by task, where the variant cannot differ from it."""
        protocol = self.evaluator.protocol
        same = {spec for spec in self.specs if spec.setting in inert.get(spec.task, ())}
        self.parent, self.parent_trials = parent, trials
        self.inert = inheritable(self.variant, same, trials, protocol)
        if trials:
            free = [spec for spec in self.specs if spec not in same]
            self.telling = telling(protocol, free, self.evaluator.members)

    def first(self, trials: Sequence[Trial], order: Sequence[TrialSpec]) -> Sequence[TrialSpec]:
        """What to train before all else: the first of the telling specs; the others too if that ends like the parent.

        trials: of the variant so far. order: of all specs, of which another one keeps the second core busy.
        """
        ours = of_specs(trials, self.telling)
        if self.evaluator.members > 1:
            return self.telling
        if ours or not self.telling:
            alike = same_bits(ours, self.parent_trials) or rounding_apart(ours, self.parent_trials)
            return self.telling if alike else ()
        beside = [spec for spec in order if spec != self.telling[0] and spec not in self.inert]
        return [self.telling[0], *beside[:1]]

    def settled(self, trials: Sequence[Trial]) -> Mapping[TrialSpec, Trial]:
        """The missing trials, inherited, if the change did not act in the telling ones, nor in any other; else none.

        trials: of the variant. Where the parent's come from another machine, whose rounding differs, the parent is
        trained again on the telling specs, unless the learning curves are apart from the start.
        """
        ours = of_specs(trials, self.telling)
        missing = set(self.specs) - {spec_of(trial) for trial in trials}
        rest = inheritable(self.variant, missing, self.parent_trials, self.evaluator.protocol)
        complete = len(ours) == len(self.telling) and rest.keys() == missing
        if self.parent is None or not ours or not complete:
            return {}
        again = not same_bits(ours, self.parent_trials)
        if self._acts_elsewhere(trials, again) or (again and not self._same_again(self.parent, ours)):
            return {}
        self.reason = reason(self.parent.name, ours, len(rest), again)
        return rest

    def _acts_elsewhere(self, trials: Sequence[Trial], again: bool) -> bool:
        """Whether another trial that was trained differs from the parent's. again: the parent's bits are no measure."""
        known = {spec_of(trial) for trial in self.parent_trials} - set(self.telling)
        others = of_specs((trial for trial in trials if trial.inherited_from is None), known)
        alike = rounding_apart if again else same_bits
        return bool(others) and not alike(others, self.parent_trials)

    def _same_again(self, parent: Variant, ours: Sequence[Trial]) -> bool:
        return rounding_apart(ours, self.parent_trials) and same_bits(ours, self._trained_here(parent))

    def _trained_here(self, parent: Variant) -> Sequence[Trial]:
        known = self.here.get(parent.source_hash, ())
        have = {spec_of(trial) for trial in known}
        if missing := [spec for spec in self.telling if spec not in have]:
            self.again = replace(self.evaluator, log=None).evaluate(parent, missing, stop=self.stop).trials
            known = self.here[parent.source_hash] = (*known, *of_specs(self.again, missing))
        return known
