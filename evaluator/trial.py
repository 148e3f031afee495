"""One trial: train in the sandbox, score outside of it, and say how it ended."""

import hashlib
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from evaluator.device import best_device
from evaluator.footprint import footprint
from evaluator.jobs import TrainingJob, curve_interval
from evaluator.machine import versions
from evaluator.outcomes import CurvePoint, Failure, Status, Trial
from evaluator.plan import Protocol, TrialSpec
from evaluator.sandbox import Limits, Sandbox, TrainingStopped, VariantFailed
from evaluator.scoring import ScoredTrial, score
from evaluator.training import train
from variants.contract import Variant

Isolation = Literal["sandbox", "split"]
Progress = Callable[[Mapping[str, Any]], None]

_START_SECONDS, _SECONDS_A_STEP = 120.0, 3.0
"""Wall-clock limit of a trial: several times what the slowest honest seed takes on one slow core."""

_MEMORY_SLACK = 4
"""A variant may keep more than the baseline does: this many times the estimate for the baseline."""


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
    job = protocol.job(spec, variant.layer, device=best_device())
    torch.set_num_threads(job.threads)  # sums are rounded by how many threads share them
    run = _Run(variant, sandbox, job, isolation, follow, stop)
    began, cpu_began = time.monotonic(), time.thread_time()
    outcome: dict[str, Any]
    try:
        weights = run.train(protocol.training_data(spec))
        outcome, cpu_seconds = scored_outcome(weights, job, protocol, spec, variant, sandbox)
        run.cpu_seconds += cpu_seconds
    except VariantFailed as failed:
        outcome = {"status": Status.FAILED, "failure": failed.failure}
    except TrainingStopped:
        outcome = {"status": Status.INTERRUPTED}
    outcome |= {
        "curve": tuple(run.curve),
        "steps": run.steps,
        "cpu_seconds": run.cpu_seconds + time.thread_time() - cpu_began,
        "wall_seconds": time.monotonic() - began,
        "isolation": isolation,
    }
    return trial_of(variant, protocol, spec, sandbox, job, outcome)


def scored_outcome(
    weights: Mapping[str, Tensor],
    job: TrainingJob,
    protocol: Protocol,
    spec: TrialSpec,
    variant: Variant,
    sandbox: Sandbox,
) -> tuple[dict[str, Any], float]:
    """Status, score or failure, and hash of trained weights, by two fresh kernels; and their CPU-seconds.

    Raises VariantFailed.
    """
    with sandbox.kernel(variant) as kernel, sandbox.kernel(variant) as witness:
        scored = score(weights, job, protocol, spec, kernel, witness)
    return _scored(scored) | {"weights_hash": weights_hash(weights)}, kernel.cpu_seconds + witness.cpu_seconds


def trial_of(
    variant: Variant,
    protocol: Protocol,
    spec: TrialSpec,
    sandbox: Sandbox,
    job: TrainingJob,
    outcome: Mapping[str, Any],
) -> Trial:
    """A trial with what is known of it before it runs filled in."""
    return Trial(
        variant=variant.name,
        source_hash=variant.source_hash,
        protocol=protocol.name,
        protocol_hash=protocol.hash,
        **spec.model_dump(),
        **outcome,
        sandbox_grade=sandbox.grade,
        device=job.device,
        versions=versions(),
    )


def limits_of(job: TrainingJob, members: int = 1) -> Limits:
    """Bounds on the training of one job, or of several like it as one."""
    seconds = _START_SECONDS + _SECONDS_A_STEP * job.steps * members
    memory = max(Limits().memory_bytes, _MEMORY_SLACK * footprint(job, members))
    return Limits(wall_seconds=seconds, cpu_seconds=round(seconds * job.threads), memory_bytes=memory)


class _Run:
    """The training half of a trial, with what is learnt on the way."""

    def __init__(
        self,
        variant: Variant,
        sandbox: Sandbox,
        job: TrainingJob,
        isolation: Isolation,
        follow: Progress,
        stop: threading.Event | None,
    ) -> None:
        self._variant, self._sandbox, self._job, self._isolation = variant, sandbox, job, isolation
        self._follow, self._stop = follow, stop
        self.limits = limits_of(job)
        self.curve: list[CurvePoint] = []
        self.steps = 0
        self.cpu_seconds = 0.0

    def train(self, data: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The trained weights, untrusted. Raises VariantFailed, TrainingStopped."""
        job = self._job.model_dump(mode="json")
        if self._isolation == "split":
            return self._train_split(job, data)
        output = self._sandbox.train(
            self._variant, job, data, on_progress=self._report, limits=self.limits, stop=self._stop
        )
        self.cpu_seconds += output.cpu_seconds
        return output.weights

    def _train_split(self, job: Mapping[str, Any], data: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        with self._sandbox.kernel(self._variant, self.limits) as kernel:
            try:
                weights = train(job, data, kernel, self._report)
            except FloatingPointError as error:
                raise VariantFailed(Failure(kind="diverged", message=str(error))) from error
        self.cpu_seconds += kernel.cpu_seconds
        return weights

    def _report(self, progress: Mapping[str, Any]) -> None:
        if self._stop is not None and self._stop.is_set():
            raise TrainingStopped
        self.steps = progress["step"]
        # JSON has no infinity: a record that held one could not be read again
        if progress["step"] % curve_interval(self._job.steps) == 0 and math.isfinite(progress["loss"]):
            self.curve.append(CurvePoint(step=progress["step"], loss=progress["loss"]))
        self._follow(progress)


def _scored(scored: ScoredTrial | Failure) -> dict[str, Any]:
    if isinstance(scored, Failure):
        return {"status": Status.FAILED, "failure": scored}
    return {"status": Status.SCORED, **scored.model_dump()}


def spec_of(trial: Trial) -> TrialSpec:
    """The spec that a trial ran."""
    return TrialSpec.model_validate(trial.model_dump(include=set(TrialSpec.model_fields)))


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over names and bytes of the weights: equal if and only if two trainings ended in the same bits."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
