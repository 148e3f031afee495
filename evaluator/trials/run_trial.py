"""One trial: train in the sandbox, score outside the sandbox, and record how the trial ended."""

import hashlib
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from evaluator.device import best_device
from evaluator.machine import versions
from evaluator.outcomes import CurvePoint, Failure, Status, Trial
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.sandbox import Limits, Sandbox, TrainingStopped, VariantFailed
from evaluator.sandbox.client import PATIENCE
from evaluator.scoring.score import ScoredTrial, score
from evaluator.training.graphs import REASON_CAP
from evaluator.training.jobs import TrainingJob, curve_interval
from evaluator.training.train import train
from evaluator.trials.footprint import footprint
from variants.contract import Variant

Isolation = Literal["sandbox", "split"]
Progress = Callable[[Mapping[str, Any]], None]
Ending = Mapping[str, Tensor] | Failure | None
"""How a training ended: untrusted weights, a failure of the variant, or None if the training was stopped."""

_START_SECONDS, _SECONDS_A_STEP = 120.0, 3.0
"""CPU time that a training may take: several times that of the slowest seed variant on one slow core."""

_APART = "the kernel runs in another process"
_MEMORY_SLACK = 4
"""A variant may keep more tensors than the baseline: its limit is this factor times the baseline's estimate."""


@dataclass(frozen=True)
class TrialRequest:
    """One trial to run: variant, protocol, spec and sandbox."""

    variant: Variant
    protocol: Protocol
    spec: TrialSpec
    sandbox: Sandbox

    @cached_property
    def job(self) -> TrainingJob:
        """The training job, on the best device there is."""
        return self.protocol.job(self.spec, self.variant.layer, device=best_device())


@dataclass
class TrainingLog:
    """Untrusted progress messages of a training, and the CPU-seconds that the training took."""

    job: TrainingJob
    curve: list[CurvePoint] = field(default_factory=list)
    steps: int = 0
    cpu_seconds: float = 0.0
    eager: str = ""
    began: float = field(default_factory=time.monotonic)

    def hear(self, step: int, loss: float, eager: object = "") -> None:
        """Store the step, and its loss if the learning curve has a point at this step. eager: see outcomes.Trial."""
        self.steps = step
        if isinstance(eager, str):
            self.eager = eager[:REASON_CAP]
        # JSON has no infinity: a record that held one could not be read again
        if step % curve_interval(self.job.steps) == 0 and math.isfinite(loss):
            self.curve.append(CurvePoint(step=step, loss=loss))


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

    isolation: with "split", this process trains and only the kernel runs in the sandbox. A variant's failure gives a
    FAILED trial, and `stop` an INTERRUPTED trial. Raises only for failures of archer itself.
    """
    request = TrialRequest(variant, protocol, spec, sandbox)
    log = TrainingLog(request.job)

    def report(progress: Mapping[str, Any]) -> None:
        if stop is not None and stop.is_set():
            raise TrainingStopped
        log.hear(progress["step"], progress["loss"], progress.get("eager"))
        follow(progress)

    torch.set_num_threads(request.job.threads)  # sums are rounded by how many threads share them
    cpu_began = time.thread_time()
    ending: Ending
    try:
        if isolation == "split":
            ending = _train_split(request, log, report)
        else:
            job, data = request.job.model_dump(mode="json"), protocol.training_data(spec)
            output = sandbox.train(variant, job, data, on_progress=report, limits=limits_of(request.job), stop=stop)
            ending, log.cpu_seconds = output.weights, output.cpu_seconds
    except VariantFailed as failed:
        ending = failed.failure
    except TrainingStopped:
        ending = None
    log.cpu_seconds += time.thread_time() - cpu_began
    return ended_trial(request, log, ending, isolation=isolation)


def _train_split(request: TrialRequest, log: TrainingLog, report: Progress) -> Ending:
    """Train in this process, with only the kernel in the sandbox."""
    data = request.protocol.training_data(request.spec)
    limits = replace(limits_of(request.job), wall_seconds=Limits().wall_seconds)  # for each call
    with request.sandbox.kernel(request.variant, limits) as kernel:
        try:
            ending: Ending = train(request.job.model_dump(mode="json"), data, kernel, report, _APART)
        except FloatingPointError as error:
            ending = Failure(kind="diverged", message=str(error))
    log.cpu_seconds = kernel.cpu_seconds
    return ending


def ended_trial(
    request: TrialRequest, log: TrainingLog, ending: Ending, *, isolation: Isolation = "sandbox", members: int = 1
) -> Trial:
    """Make the trial of an ended training: score its weights with two fresh kernels, or record the failure or the stop.

    The CPU time of scoring in this thread is added to the CPU time of the log.
    """
    torch.set_num_threads(request.job.threads)
    cpu_began = time.thread_time()
    kernel_seconds = 0.0
    outcome: dict[str, Any]
    if isinstance(ending, Failure):
        outcome = {"status": Status.FAILED, "failure": ending}
    elif ending is None:
        outcome = {"status": Status.INTERRUPTED}
    else:
        scored, kernel_seconds = _scored(request, ending)
        outcome = {"status": Status.FAILED, "failure": scored}
        if isinstance(scored, ScoredTrial):
            outcome = {"status": Status.SCORED, **scored.model_dump()}
        outcome["weights_hash"] = weights_hash(ending)
    return Trial(
        variant=request.variant.name,
        source_hash=request.variant.source_hash,
        protocol=request.protocol.name,
        protocol_hash=request.protocol.hash,
        **request.spec.model_dump(),
        **outcome,
        curve=tuple(log.curve),
        steps=log.steps,
        cpu_seconds=log.cpu_seconds + kernel_seconds + time.thread_time() - cpu_began,
        wall_seconds=time.monotonic() - log.began,
        sandbox_grade=request.sandbox.grade,
        isolation=isolation,
        device=request.job.device,
        members=members,
        eager=log.eager,
        versions=versions(),
    )


def _scored(request: TrialRequest, weights: Mapping[str, Tensor]) -> tuple[ScoredTrial | Failure, float]:
    """The score, or the kernel's failure during scoring, and the CPU-seconds of the kernels' processes."""
    try:
        with request.sandbox.kernel(request.variant) as kernel, request.sandbox.kernel(request.variant) as witness:
            scored = score(weights, request.job, request.protocol, request.spec, kernel, witness)
    except VariantFailed as failed:
        return failed.failure, 0.0
    return scored, kernel.cpu_seconds + witness.cpu_seconds


def limits_of(job: TrainingJob, members: int = 1) -> Limits:
    """Resource limits for the training of one job, or of several equal jobs as one model."""
    seconds = _START_SECONDS + _SECONDS_A_STEP * job.steps * members * job.model.wider
    plain, needed = Limits(), _MEMORY_SLACK * footprint(job, members)
    return Limits(
        wall_seconds=PATIENCE * seconds,
        cpu_seconds=round(seconds * job.threads),
        memory_bytes=max(plain.memory_bytes, needed),
        gpu_bytes=max(plain.gpu_bytes, needed),
    )


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over names and bytes of the weights: equal if and only if two trainings ended in the same bits."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def spec_of(trial: Trial) -> TrialSpec:
    """The spec that a trial ran."""
    return TrialSpec.model_validate(trial.model_dump(include=set(TrialSpec.model_fields)))
