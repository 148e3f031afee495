"""All trials of one variant under a protocol: inherited if they must be equal, else run, and stopped if hopeless."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import Any

from evaluator.checks.inputs import TaskShape
from evaluator.outcomes import Status, Trial
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.sandbox import Sandbox
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import fed_length
from evaluator.trials.grouped import Group, RunGroup, groups, run_group
from evaluator.trials.run_trial import Isolation, spec_of
from evaluator.trials.trial_log import TrialLog
from variants.contract import Variant

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class TrialProgress:
    """Progress of one trial. done: share of its steps, 0 to 1. trial: the trial, after it ended."""

    spec: TrialSpec
    done: float
    trial: Trial | None = None


@dataclass(frozen=True)
class Evaluation:
    """The trials of a variant and how they ended. They give a score if and only if `status` is SCORED."""

    status: Status
    reason: str
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Evaluator:
    """Runs trials of a protocol by `run_group`, in this process or on a cluster; threads of `executor` wait for it.

    members: how many trials of one setting may train as one model, in one child. log: keeps the finished trials of an
    evaluation that was stopped; the next evaluation of the same code reuses them.
    """

    protocol: Protocol
    sandbox: Sandbox
    executor: Executor
    isolation: Isolation = "sandbox"
    members: int = 1
    log: TrialLog | None = None
    run_group: RunGroup = run_group

    def evaluate(
        self,
        variant: Variant,
        specs: Sequence[TrialSpec],
        *,
        inherited: Mapping[TrialSpec, Trial] | None = None,
        follow: Callable[[TrialProgress], None] = lambda _: None,
        hopeless: Callable[[Sequence[Trial]], str] = lambda _: "",
        stop: threading.Event | None = None,
    ) -> Evaluation:
        """Run the trials of `specs`. The first failure that decides the outcome cancels the other trials.

        inherited: trials that need not be run. hopeless: called after each trial with all scored trials; if it returns
        a reason, the other trials are pruned. follow: called from several threads, also for inherited and resumed
        trials. stop: ends running trials when it is set; finished trials are kept. Returns trials in the order of
        `specs`.
        """
        cancel = threading.Event()
        pruned = ""

        def report(spec: TrialSpec, progress: Mapping[str, Any]) -> None:
            follow(TrialProgress(spec, progress["step"] / progress["steps"]))

        found = {spec: trial for spec, trial in (inherited or {}).items() if spec in specs}
        found |= self._resumed(variant, [spec for spec in specs if spec not in found])
        for spec, trial in found.items():
            follow(TrialProgress(spec, 1.0, trial))
        running: set[Future[tuple[Trial, ...]]] = set()
        for group in groups([spec for spec in specs if spec not in found], self.members):
            work = Group(variant, self.protocol, group, self.isolation)
            running.add(self.executor.submit(self.run_group, work, self.sandbox, report, cancel))
        try:
            for spec, trial in _ended(running, cancel, stop):
                found[spec] = trial
                if self.log is not None:
                    self.log.add(trial)
                follow(TrialProgress(spec, 1.0, trial))
                if not pruned and len(found) < len(specs) and not cancel.is_set():
                    pruned = hopeless([each for each in found.values() if each.status is Status.SCORED])
                if pruned or _lost(found, specs):
                    cancel.set()
        finally:
            cancel.set()
        result = _ended_as(found, specs, pruned)
        if self.log is not None and result.status is not Status.INTERRUPTED:
            self.log.forget(variant, self.protocol)
        return result

    def _resumed(self, variant: Variant, specs: Sequence[TrialSpec]) -> dict[TrialSpec, Trial]:
        return self.log.ended(variant, self.protocol, specs, self.isolation) if self.log is not None else {}


def _ended(
    running: set[Future[tuple[Trial, ...]]], cancel: threading.Event, stop: threading.Event | None
) -> Iterator[tuple[TrialSpec, Trial]]:
    """Yield trials when they end. After `cancel`, no further trial begins."""
    while running:
        done, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
        if stop is not None and stop.is_set():
            cancel.set()
        if cancel.is_set():
            running -= {future for future in running if future.cancel()}
        for future in done & running:
            running.remove(future)
            for trial in future.result():
                yield spec_of(trial), trial


def _lost(found: Mapping[TrialSpec, Trial], specs: Sequence[TrialSpec]) -> str:
    """Why these trials can no longer give a score; empty if they still can.

    A grid forgives a trial that diverges, if another point of the grid may still succeed. It forgives no other failure.
    """
    cells: dict[tuple[TaskName, str, int], list[Trial | None]] = {}
    for spec in specs:
        cells.setdefault((spec.task, spec.setting, spec.seed), []).append(found.get(spec))
    for (task, _, seed), trials in cells.items():
        failures = [trial.failure for trial in trials if trial is not None and trial.failure is not None]
        fatal = [failure for failure in failures if failure.kind != "diverged"]
        if fatal or len(failures) == len(trials):
            failure = (fatal or failures)[0]
            return f"{task}, seed {seed}: {failure.kind}: {failure.message}"
    return ""


def _ended_as(found: Mapping[TrialSpec, Trial], specs: Sequence[TrialSpec], pruned: str) -> Evaluation:
    ended = tuple(found[spec] for spec in specs if spec in found)
    if pruned and not _lost(found, specs):
        kept = tuple(trial for trial in ended if trial.status is not Status.INTERRUPTED)
        return Evaluation(Status.PRUNED, pruned, kept)
    return _outcome(ended, specs, found)


def _outcome(trials: tuple[Trial, ...], specs: Sequence[TrialSpec], found: Mapping[TrialSpec, Trial]) -> Evaluation:
    if reason := _lost(found, specs):
        return Evaluation(Status.FAILED, reason, trials)
    if len(trials) < len(specs) or any(trial.status is Status.INTERRUPTED for trial in trials):
        ended = sum(trial.status is not Status.INTERRUPTED for trial in trials)
        return Evaluation(Status.INTERRUPTED, f"{ended} of {len(specs)} trials had ended", trials)
    return Evaluation(Status.SCORED, "", trials)


def inheritable(
    variant: Variant,
    specs: Sequence[TrialSpec],
    inert: Mapping[TaskName, Collection[str]],
    parent_trials: Sequence[Trial],
    protocol: Protocol,
) -> dict[TrialSpec, Trial]:
    """The parent's trials at the settings where the variant cannot differ from it, as trials of the variant."""
    wanted = {spec for spec in specs if spec.setting in inert.get(spec.task, ())}
    found = {}
    for trial in parent_trials:
        spec = spec_of(trial)
        if spec in wanted and trial.status is Status.SCORED and trial.protocol_hash == protocol.hash:
            changes = {
                "variant": variant.name,
                "source_hash": variant.source_hash,
                "inherited_from": trial.inherited_from or trial.variant,
                "cpu_seconds": 0.0,
                "wall_seconds": 0.0,
            }
            found[spec] = trial.model_copy(update=changes)
    return found


def kernel_shapes(protocol: Protocol) -> dict[TaskName, dict[str, TaskShape]]:
    """The kernel's input shapes in each task, by the setting's id; two sequences stand for a batch."""
    head = protocol.width // protocol.heads
    return {
        task: {s.id: TaskShape((2, protocol.heads, fed_length(s), head, head), plan.chunk_size) for s in plan.settings}
        for task, plan in protocol.tasks.items()
    }
