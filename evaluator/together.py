"""Several trials of one setting, trained as one model in one sandboxed child, scored one by one outside of it."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from evaluator.device import best_device
from evaluator.jobs import EnsembleJob, TrainingJob, curve_interval
from evaluator.outcomes import CurvePoint, Failure, Status, Trial
from evaluator.plan import Protocol, TrialSpec
from evaluator.sandbox import Sandbox, TrainingStopped, VariantFailed
from evaluator.trial import limits_of, scored_outcome, trial_of
from variants.contract import Task, Variant

Follow = Callable[[TrialSpec, Mapping[str, Any]], None]


def groups(specs: Sequence[TrialSpec], most: int) -> list[tuple[TrialSpec, ...]]:
    """Specs that may train as one: of one task and setting, at most `most`. In the given order if `most` is 1."""
    if most == 1:
        return [(spec,) for spec in specs]
    alike: dict[tuple[Task, str], list[TrialSpec]] = {}
    for spec in specs:
        alike.setdefault((spec.task, spec.setting), []).append(spec)
    return [tuple(each[i : i + most]) for each in alike.values() for i in range(0, len(each), most)]


def run_together(
    variant: Variant,
    protocol: Protocol,
    specs: Sequence[TrialSpec],
    sandbox: Sandbox,
    *,
    follow: Follow = lambda _, __: None,
    stop: threading.Event | None = None,
) -> tuple[Trial, ...]:
    """Train one variant at specs of one task and setting as one model, and score each: trials in the order of `specs`.

    Equal to `run_trial` up to rounding. What fails the child (a crash, a time-out) fails every trial of it; a member
    that diverges fails alone. A trial's CPU time of training is its share of the child's.
    """
    jobs = [protocol.job(spec, variant.layer, device=best_device()) for spec in specs]
    torch.set_num_threads(jobs[0].threads)
    began, cpu_began = time.monotonic(), time.thread_time()
    heard = _Heard(specs, jobs[0], follow, stop)
    failed: dict[str, Any] | None = None
    weights: Mapping[str, Tensor] = {}
    seconds = 0.0
    try:
        output = sandbox.train(
            variant,
            _job(jobs).model_dump(mode="json"),
            _data(protocol, specs),
            on_progress=heard,
            limits=limits_of(jobs[0], len(jobs)),
            stop=stop,
        )
        weights, seconds = output.weights, output.cpu_seconds
    except VariantFailed as error:
        failed = {"status": Status.FAILED, "failure": error.failure}
    except TrainingStopped:
        failed = {"status": Status.INTERRUPTED}
    share = (seconds + time.thread_time() - cpu_began) / len(specs)
    trials = []
    for number, (spec, job) in enumerate(zip(specs, jobs, strict=True)):
        cpu_began = time.thread_time()
        outcome, scoring = (
            (dict(failed), 0.0) if failed else _end(weights, number, heard, job, protocol, spec, variant, sandbox)
        )
        outcome |= {
            "curve": tuple(heard.curves[number]),
            "steps": heard.steps[number],
            "cpu_seconds": share + scoring + time.thread_time() - cpu_began,
            "wall_seconds": time.monotonic() - began,
            "members": len(specs),
        }
        trials.append(trial_of(variant, protocol, spec, sandbox, job, outcome))
    return tuple(trials)


def _end(
    weights: Mapping[str, Tensor],
    number: int,
    heard: "_Heard",
    job: TrainingJob,
    protocol: Protocol,
    spec: TrialSpec,
    variant: Variant,
    sandbox: Sandbox,
) -> tuple[dict[str, Any], float]:
    """How one member ended, and the CPU-seconds of the kernel that scored it."""
    own = {name.partition("/")[2]: tensor for name, tensor in weights.items() if name.startswith(f"{number}/")}
    if not own and number in heard.diverged:
        failure = Failure(kind="diverged", message=heard.diverged[number])
        return {"status": Status.FAILED, "failure": failure}, 0.0
    try:
        return scored_outcome(own, job, protocol, spec, variant, sandbox)
    except VariantFailed as failed:
        return {"status": Status.FAILED, "failure": failed.failure}, 0.0


def _job(jobs: Sequence[TrainingJob]) -> EnsembleJob:
    seeds = sorted({job.seed for job in jobs})
    return EnsembleJob(members=tuple(jobs), data=tuple(seeds.index(job.seed) for job in jobs))


def _data(protocol: Protocol, specs: Sequence[TrialSpec]) -> dict[str, Tensor]:
    """Each seed's training data once, led by the seed's place among the seeds."""
    by_seed = {spec.seed: spec for spec in specs}
    sets = [protocol.training_data(by_seed[seed]) for seed in sorted(by_seed)]
    return {f"{number}/{name}": tensor for number, each in enumerate(sets) for name, tensor in each.items()}


class _Heard:
    """What the child said on the way, which counts for nothing: curves, steps, and who diverged."""

    def __init__(
        self, specs: Sequence[TrialSpec], job: TrainingJob, follow: Follow, stop: threading.Event | None
    ) -> None:
        self._specs, self._job, self._follow, self._stop = specs, job, follow, stop
        self.curves: list[list[CurvePoint]] = [[] for _ in specs]
        self.steps = [0] * len(specs)
        self.diverged: dict[int, str] = {}

    def __call__(self, progress: Mapping[str, Any]) -> None:
        if self._stop is not None and self._stop.is_set():
            raise TrainingStopped
        step = progress["step"]
        for number, loss in self._by_member(progress.get("losses"), float):
            self.steps[number] = step
            if step % curve_interval(self._job.steps) == 0:
                self.curves[number].append(CurvePoint(step=step, loss=loss))
            self._follow(self._specs[number], {"step": step, "steps": self._job.steps, "loss": loss})
        self.diverged |= dict(self._by_member(progress.get("diverged"), str))

    def _by_member(self, told: Any, kind: type) -> Iterator[tuple[int, Any]]:
        for number in range(len(self._specs)):
            if isinstance(told, dict) and isinstance(told.get(str(number)), kind):
                yield number, told[str(number)]
