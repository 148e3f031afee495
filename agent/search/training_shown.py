"""Trainings beside the proposals as one line: what is trained now, and their own time left."""

import time
from collections.abc import Sequence

from agent.analysis.trial_work import weights
from agent.terminal.progress import Progress, minutes
from agent.terminal.time_left import seconds_left
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.trials.evaluate import TrialProgress
from variants.contract import Variant, short_name


class TrainingShown:
    """Follows the trainings that are done for a variant and its rival. More may follow those that are planned."""

    def __init__(
        self,
        doing: str,
        variant: Variant,
        protocol: Protocol,
        planned: Sequence[tuple[Variant, TrialSpec]],
        progress: Progress,
        part: str,
    ) -> None:
        """Nothing is shown before the first step. doing: a word for the line. part: what the plan is a part of."""
        self._what = f"{doing} {short_name(variant.name)}"
        self._part = part
        self._progress = progress
        work = weights(protocol, {spec for _, spec in planned})
        self._left = {(variant.name, spec): work[spec] for variant, spec in planned}
        self._whole = sum(self._left.values())
        self._began = time.monotonic()
        self._work = work

    def follow(self, variant: Variant, step: TrialProgress) -> None:
        """Show the newest step."""
        if (variant.name, step.spec) in self._left:
            self._left[variant.name, step.spec] = (1 - step.done) * self._work[step.spec]
        self._progress.aside(
            f"{self._what}: {short_name(variant.name)}, {step.spec.task}, seed {step.spec.seed}: "
            f"{step.done:.0%}{self._time_left(variant, step.spec)}"
        )

    def _time_left(self, variant: Variant, spec: TrialSpec) -> str:
        if (variant.name, spec) not in self._left:
            return " (second look)" if self._part else ""
        done = self._whole - sum(self._left.values())
        left = seconds_left(done, self._whole, time.monotonic() - self._began)
        of_part = f" of {self._part}" if self._part else ""
        return "" if left is None else f", about {minutes(left)} left{of_part}"
