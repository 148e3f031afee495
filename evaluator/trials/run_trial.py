"""One trial: train in the sandbox, score outside of it, and say how it ended."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from evaluator.outcomes import Failure, Trial
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.sandbox import Sandbox, TrainingStopped, VariantFailed
from evaluator.training.train import train
from evaluator.trials.train_and_score import Isolation, TrainingLog, TrialRequest, limits_of, train_and_score
from variants.contract import Variant

Progress = Callable[[Mapping[str, Any]], None]


def run_trial(
    variant: Variant,
    protocol: Protocol,
    spec: TrialSpec,
    sandbox: Sandbox,
    *,
    isolation: Isolation = "sandbox",
    follow: Progress = lambda _: None,
    stop: threading.Event | None = None,
) -> Trial:
    """Train and score one variant at one setting. `follow` gets {"step", "steps", "loss"} as training goes.

    `isolation`: with "split", only the kernel runs in the sandbox while this process trains. Whatever the variant does
    wrong ends as a FAILED trial; `stop` ends it as INTERRUPTED. Raises only for failures of archer's own.
    """
    asked = TrialRequest(variant, protocol, spec, sandbox)
    training = _Training(asked, follow, stop)
    ways = {"sandbox": training.in_sandbox, "split": training.split}
    return train_and_score(asked, training.course, ways[isolation], isolation=isolation)


class _Training:
    """The training half of a trial. Both ways return the weights, and raise VariantFailed and TrainingStopped."""

    def __init__(self, asked: TrialRequest, follow: Progress, stop: threading.Event | None) -> None:
        self._asked, self._follow, self._stop = asked, follow, stop
        self._job = asked.job.model_dump(mode="json")
        self._limits = limits_of(asked.job)
        self.course = TrainingLog(asked.job)

    def in_sandbox(self) -> Mapping[str, Tensor]:
        """Trainer and kernel in one sandboxed child."""
        output = self._asked.sandbox.train(
            self._asked.variant, self._job, self._data(), on_progress=self._report, limits=self._limits, stop=self._stop
        )
        self.course.cpu_seconds += output.cpu_seconds
        return output.weights

    def split(self) -> Mapping[str, Tensor]:
        """The trainer in this process, the kernel alone in the child."""
        with self._asked.sandbox.kernel(self._asked.variant, self._limits) as kernel:
            try:
                weights = train(self._job, self._data(), kernel, self._report)
            except FloatingPointError as error:
                raise VariantFailed(Failure(kind="diverged", message=str(error))) from error
        self.course.cpu_seconds += kernel.cpu_seconds
        return weights

    def _data(self) -> dict[str, Tensor]:
        return self._asked.protocol.training_data(self._asked.spec)

    def _report(self, progress: Mapping[str, Any]) -> None:
        if self._stop is not None and self._stop.is_set():
            raise TrainingStopped
        self.course.hear(progress["step"], progress["loss"])
        self._follow(progress)


def spec_of(trial: Trial) -> TrialSpec:
    """The spec that a trial ran."""
    return TrialSpec.model_validate(trial.model_dump(include=set(TrialSpec.model_fields)))
