"""Several trials of one setting: trained as one model in one sandboxed child, scored one by one outside the child."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from evaluator.outcomes import Failure, Trial
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.sandbox import Sandbox, TrainingStopped, VariantFailed
from evaluator.tasks.names import TaskName
from evaluator.training.jobs import EnsembleJob, TrainingJob, own_part
from evaluator.trials.run_trial import Ending, Isolation, TrainingLog, TrialRequest, ended_trial, limits_of, run_trial
from variants.contract import Variant

Follow = Callable[[TrialSpec, Mapping[str, Any]], None]


def groups(specs: Sequence[TrialSpec], most: int) -> list[tuple[TrialSpec, ...]]:
    """Split specs into groups of one task and setting, with at most `most` specs. With 1, the order stays."""
    if most == 1:
        return [(spec,) for spec in specs]
    alike: dict[tuple[TaskName, str], list[TrialSpec]] = {}
    for spec in specs:
        alike.setdefault((spec.task, spec.setting), []).append(spec)
    return [tuple(each[i : i + most]) for each in alike.values() for i in range(0, len(each), most)]


@dataclass(frozen=True)
class Group:
    """Specs of one variant, task and setting that run in one place, as one model if there are several."""

    variant: Variant
    protocol: Protocol
    specs: tuple[TrialSpec, ...]
    isolation: Isolation = "sandbox"


class EngineLostError(RuntimeError):
    """What runs the trials cannot go on, such as a cluster that is gone. It says nothing about a variant."""


RunGroup = Callable[[Group, Sandbox, Follow, threading.Event], tuple[Trial, ...]]
"""Runs a group, here or on a cluster, and returns its trials in the order of its specs. Raises EngineLostError."""


def run_group(group: Group, sandbox: Sandbox, follow: Follow, stop: threading.Event) -> tuple[Trial, ...]:
    """Run a group in this process's sandbox."""
    if len(group.specs) > 1:
        return run_grouped(group.variant, group.protocol, group.specs, sandbox, follow=follow, stop=stop)
    (spec,) = group.specs
    one = partial(follow, spec)
    trial = run_trial(group.variant, group.protocol, spec, sandbox, isolation=group.isolation, follow=one, stop=stop)
    return (trial,)


def run_grouped(
    variant: Variant,
    protocol: Protocol,
    specs: Sequence[TrialSpec],
    sandbox: Sandbox,
    *,
    follow: Follow = lambda _, __: None,
    stop: threading.Event | None = None,
) -> tuple[Trial, ...]:
    """Train one variant at specs of one task and setting as one model, and score each. Returns trials as in `specs`.

    Equal to `run_trial` up to rounding. A member that diverges fails alone. If the child fails as a whole (a crash, a
    time-out, memory), the specs run one by one, up to the first that fails in the same way alone. The training's CPU
    time of a trial is its share of the child's CPU time.
    """
    requests = [TrialRequest(variant, protocol, spec, sandbox) for spec in specs]
    jobs = [request.job for request in requests]
    heard = _Heard(requests, follow, stop)
    cpu_began = time.thread_time()
    weights: Mapping[str, Tensor] | None = None
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
    except VariantFailed:
        return tuple(_one_by_one(requests, follow, stop))
    except TrainingStopped:
        seconds = 0.0
    share = (seconds + time.thread_time() - cpu_began) / len(requests)
    trials = []
    for number, (request, log) in enumerate(zip(requests, heard.logs, strict=True)):
        log.cpu_seconds = share
        trials.append(ended_trial(request, log, _ending(weights, number, heard), members=len(requests)))
    return tuple(trials)


def _one_by_one(requests: Sequence[TrialRequest], follow: Follow, stop: threading.Event | None) -> Iterator[Trial]:
    """Run the trials one by one. Stop after a trial that leaves nothing to score."""
    for request in requests:
        variant, protocol, spec = request.variant, request.protocol, request.spec
        trial = run_trial(variant, protocol, spec, request.sandbox, follow=partial(follow, spec), stop=stop)
        yield trial
        if trial.failure is not None and trial.failure.kind != "diverged":
            return


def _ending(weights: Mapping[str, Tensor] | None, number: int, heard: "_Heard") -> Ending:
    """The weights of one member; a failure if the member diverged; None if the training was stopped."""
    if weights is None:
        return None
    own = own_part(weights, number)
    if not own and number in heard.diverged:
        return Failure(kind="diverged", message=heard.diverged[number])
    return own


def _job(jobs: Sequence[TrainingJob]) -> EnsembleJob:
    seeds = sorted({job.seed for job in jobs})
    return EnsembleJob(members=tuple(jobs), data=tuple(seeds.index(job.seed) for job in jobs))


def _data(protocol: Protocol, specs: Sequence[TrialSpec]) -> dict[str, Tensor]:
    """The training data of each seed, once. Names begin with the index of the seed."""
    by_seed = {spec.seed: spec for spec in specs}
    sets = [protocol.training_data(by_seed[seed]) for seed in sorted(by_seed)]
    return {f"{number}/{name}": tensor for number, each in enumerate(sets) for name, tensor in each.items()}


class _Heard:
    """Untrusted progress messages of the child: each member's training log, and the members that diverged."""

    def __init__(self, requests: Sequence[TrialRequest], follow: Follow, stop: threading.Event | None) -> None:
        self._requests, self._follow, self._stop = requests, follow, stop
        self.logs = [TrainingLog(request.job) for request in requests]
        self.diverged: dict[int, str] = {}

    def __call__(self, progress: Mapping[str, Any]) -> None:
        if self._stop is not None and self._stop.is_set():
            raise TrainingStopped
        step = progress["step"]
        for number, loss in self._by_member(progress.get("losses"), float):
            self.logs[number].hear(step, loss, progress.get("eager"))
            told = {"step": step, "steps": self._requests[number].job.steps, "loss": loss}
            self._follow(self._requests[number].spec, told)
        self.diverged |= dict(self._by_member(progress.get("diverged"), str))

    def _by_member(self, told: Any, kind: type) -> Iterator[tuple[int, Any]]:
        for number in range(len(self._requests)):
            if isinstance(told, dict) and isinstance(told.get(str(number)), kind):
                yield number, told[str(number)]
