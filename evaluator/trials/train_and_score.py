"""What becomes of a training run: its course as it is reported, and the trial that it ends as."""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from evaluator.device import best_device
from evaluator.machine import versions
from evaluator.outcomes import CurvePoint, Failure, Status, Trial
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.sandbox import Limits, Sandbox, TrainingStopped, VariantFailed
from evaluator.scoring.score import score
from evaluator.training.jobs import TrainingJob, curve_interval
from evaluator.trials.footprint import footprint
from variants.contract import Variant

Isolation = Literal["sandbox", "split"]

_START_SECONDS, _SECONDS_A_STEP = 120.0, 3.0
"""Wall-clock limit of a trial: several times what the slowest honest seed takes on one slow core."""

_MEMORY_SLACK = 4
"""A variant may keep more than the baseline does: this many times the estimate for the baseline."""


@dataclass(frozen=True)
class TrialRequest:
    """One trial that is to be run: which variant at which spec of which protocol, and in which sandbox."""

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
    """What training said on the way, which counts for nothing, and the CPU-seconds that it took until it ended."""

    job: TrainingJob
    curve: list[CurvePoint] = field(default_factory=list)
    steps: int = 0
    cpu_seconds: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def hear(self, step: int, loss: float) -> None:
        """Note a step, and its loss where the learning curve has a point."""
        self.steps = step
        # JSON has no infinity: a record that held one could not be read again
        if step % curve_interval(self.job.steps) == 0 and math.isfinite(loss):
            self.curve.append(CurvePoint(step=step, loss=loss))


def train_and_score(
    asked: TrialRequest,
    course: TrainingLog,
    train: Callable[[], Mapping[str, Tensor]],
    *,
    isolation: Isolation = "sandbox",
    members: int = 1,
) -> Trial:
    """The trial that a training ends as: its weights scored by two fresh kernels, or how it failed or was stopped.

    train: returns the weights, untrusted, or raises VariantFailed or TrainingStopped. What it takes of this thread's
    CPU time is added to the course's.
    """
    torch.set_num_threads(asked.job.threads)  # sums are rounded by how many threads share them
    cpu_began = time.thread_time()
    kernel_seconds = 0.0
    outcome: dict[str, Any]
    try:
        weights = train()
        with asked.sandbox.kernel(asked.variant) as kernel, asked.sandbox.kernel(asked.variant) as witness:
            scored = score(weights, asked.job, asked.protocol, asked.spec, kernel, witness)
        kernel_seconds = kernel.cpu_seconds + witness.cpu_seconds
        outcome = {"weights_hash": weights_hash(weights)}
        if isinstance(scored, Failure):
            outcome |= {"status": Status.FAILED, "failure": scored}
        else:
            outcome |= {"status": Status.SCORED, **scored.model_dump()}
    except VariantFailed as failed:
        outcome = {"status": Status.FAILED, "failure": failed.failure}
    except TrainingStopped:
        outcome = {"status": Status.INTERRUPTED}
    return Trial(
        variant=asked.variant.name,
        source_hash=asked.variant.source_hash,
        protocol=asked.protocol.name,
        protocol_hash=asked.protocol.hash,
        **asked.spec.model_dump(),
        **outcome,
        curve=tuple(course.curve),
        steps=course.steps,
        cpu_seconds=course.cpu_seconds + kernel_seconds + time.thread_time() - cpu_began,
        wall_seconds=time.monotonic() - course.began,
        sandbox_grade=asked.sandbox.grade,
        isolation=isolation,
        device=asked.job.device,
        members=members,
        versions=versions(),
    )


def limits_of(job: TrainingJob, members: int = 1) -> Limits:
    """Bounds on the training of one job, or of several like it as one."""
    seconds = _START_SECONDS + _SECONDS_A_STEP * job.steps * members
    memory = max(Limits().memory_bytes, _MEMORY_SLACK * footprint(job, members))
    return Limits(wall_seconds=seconds, cpu_seconds=round(seconds * job.threads), memory_bytes=memory)


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over names and bytes of the weights: equal if and only if two trainings ended in the same bits."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
