"""A confirmation under way, as one line beside the proposals: what it trains, and its own time left."""

import time

from agent.search.confirm import WouldBeBest
from agent.terminal.progress import Progress, minutes
from agent.terminal.time_left import seconds_left, weights
from evaluator.protocols.protocol import TrialSpec
from evaluator.trials.evaluate import TrialProgress
from variants.contract import Variant, short_name


class ConfirmingShown:
    """Follows the trainings of a confirmation. The time left is that of the first look; a second may follow."""

    def __init__(self, found: WouldBeBest, progress: Progress) -> None:
        """Nothing is shown before the first step."""
        self._name = short_name(found.variant.name)
        self._progress = progress
        work = weights(found.protocol, {spec for _, spec in found.first_look})
        self._left = {(variant.name, spec): work[spec] for variant, spec in found.first_look}
        self._whole = sum(self._left.values())
        self._began = time.monotonic()
        self._work = work

    def follow(self, variant: Variant, step: TrialProgress) -> None:
        """Show the newest step."""
        if (variant.name, step.spec) in self._left:
            self._left[variant.name, step.spec] = (1 - step.done) * self._work[step.spec]
        self._progress.aside(
            f"confirming {self._name}: {short_name(variant.name)}, {step.spec.task}, seed {step.spec.seed}: "
            f"{step.done:.0%}{self._time_left(variant, step.spec)}"
        )

    def _time_left(self, variant: Variant, spec: TrialSpec) -> str:
        if (variant.name, spec) not in self._left:
            return " (second look)"
        done = self._whole - sum(self._left.values())
        left = seconds_left(done, self._whole, time.monotonic() - self._began)
        return "" if left is None else f", about {minutes(left)} left of the first look"
