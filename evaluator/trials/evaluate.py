"""All trials of one variant under a protocol: inherited if they must be equal, else run, and stopped early."""

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
from evaluator.tasks.registry import longest_fed
from evaluator.tasks.task import Setting
from evaluator.trials.grouped import Group, RunGroup, groups, run_group
from evaluator.trials.run_trial import Isolation, spec_of
from evaluator.trials.trial_log import TrialLog
from variants.contract import Layer, Variant

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

    members: how many trials of one setting may train as one model, in one child. log: keeps the finished trials until
    they are archived; the next evaluation of the same code reuses them.
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
        reason_to_prune: Callable[[Sequence[Trial]], str] = lambda _: "",
        first: Callable[[Sequence[Trial]], Sequence[TrialSpec]] = lambda _: (),
        settled: Callable[[Sequence[Trial]], Mapping[TrialSpec, Trial]] = lambda _: {},
        order: Sequence[TrialSpec] = (),
        stop: threading.Event | None = None,
    ) -> Evaluation:
        """Run the trials of `specs`. The first failure that decides the outcome cancels the other trials.

        inherited: trials that need not be run. reason_to_prune: called with all scored trials after each trial, and
        before the first if the variant has trials of its own; if it returns a reason, the other trials are pruned.
        first: from the trials so far, the specs to run before all others; when they have ended, `settled` gets all
        trials and returns those that need not be run, and `first` is asked again. order: in which the rest is run.
        follow: called from several threads, also for inherited and resumed trials. stop: ends running trials when it is
        set; finished trials are kept. Returns trials in the order of `specs`.
        """
        run = _Run(self, variant, specs, follow, stop)
        run.take({spec: trial for spec, trial in (inherited or {}).items() if spec in specs})
        run.take(self._resumed(variant, run.missing(specs)))
        if any(trial.inherited_from is None for trial in run.trials):
            run.decide(reason_to_prune)
        try:
            while not run.cancel.is_set() and (ahead := run.missing(first(run.trials))):
                run.train(ahead, reason_to_prune)
                if not run.cancel.is_set():
                    run.take(settled(run.trials))
            run.train(run.missing(order or specs), reason_to_prune)
        finally:
            run.cancel.set()
        return _ended_as(run.found, specs, run.pruned)

    def archived(self, variant: Variant, specs: Sequence[TrialSpec]) -> None:
        """The variant's trials of `specs` are in an archive now: they need not be kept any longer. Raises OSError."""
        if self.log is not None:
            self.log.forget(variant, self.protocol, specs, self.isolation)

    def _resumed(self, variant: Variant, specs: Sequence[TrialSpec]) -> dict[TrialSpec, Trial]:
        return self.log.ended(variant, self.protocol, specs, self.isolation) if self.log is not None else {}


class _Run:
    """One evaluation under way. found: what has ended. pruned: why the rest is not run; empty if it is."""

    def __init__(
        self,
        evaluator: Evaluator,
        variant: Variant,
        specs: Sequence[TrialSpec],
        follow: Callable[[TrialProgress], None],
        stop: threading.Event | None,
    ) -> None:
        self._evaluator, self._variant, self._specs, self._follow, self._stop = evaluator, variant, specs, follow, stop
        self.found: dict[TrialSpec, Trial] = {}
        self.cancel = threading.Event()
        self.pruned = ""

    def take(self, trials: Mapping[TrialSpec, Trial]) -> None:
        """Add trials that have ended, or need not be run."""
        self.found.update(trials)
        for spec, trial in trials.items():
            self._follow(TrialProgress(spec, 1.0, trial))

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials that have ended."""
        return tuple(self.found.values())

    def missing(self, specs: Sequence[TrialSpec]) -> list[TrialSpec]:
        """The specs whose trial has not ended."""
        return [spec for spec in specs if spec not in self.found]

    def train(self, specs: Sequence[TrialSpec], reason_to_prune: Callable[[Sequence[Trial]], str]) -> None:
        """Run the trials of `specs`, until they have ended or decide the outcome."""
        if self.cancel.is_set():
            return
        evaluator = self._evaluator
        running = set()
        for group in groups(specs, evaluator.members):
            work = Group(self._variant, evaluator.protocol, group, evaluator.isolation)
            running.add(
                evaluator.executor.submit(evaluator.run_group, work, evaluator.sandbox, self._report, self.cancel)
            )
        for spec, trial in _ended(running, self.cancel, self._stop):
            self.take({spec: trial})
            if evaluator.log is not None:
                evaluator.log.add(trial)
            self.decide(reason_to_prune)

    def decide(self, reason_to_prune: Callable[[Sequence[Trial]], str]) -> None:
        """Let no further trial begin where those that have ended decide the outcome."""
        if not self.pruned and len(self.found) < len(self._specs) and not self.cancel.is_set():
            self.pruned = reason_to_prune([each for each in self.found.values() if each.status is Status.SCORED])
        if self.pruned or _failed(self.found, self._specs):
            self.cancel.set()

    def _report(self, spec: TrialSpec, progress: Mapping[str, Any]) -> None:
        self._follow(TrialProgress(spec, progress["step"] / progress["steps"]))


def _ended(
    running: set[Future[tuple[Trial, ...]]], cancel: threading.Event, stop: threading.Event | None
) -> Iterator[tuple[TrialSpec, Trial]]:
    """Yield trials when they end. After `cancel`, no further trial begins.

    An error of one cancels the others, and is raised once they have ended: what has ended is never lost by it.
    """
    error: BaseException | None = None
    while running:
        done, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
        if stop is not None and stop.is_set():
            cancel.set()
        if cancel.is_set():
            running -= {future for future in running if future.cancel()}
        for future in done & running:
            running.remove(future)
            if (raised := future.exception()) is not None:
                error = error or raised
                cancel.set()
                continue
            for trial in future.result():
                yield spec_of(trial), trial
    if error is not None:
        raise error


def _failed(found: Mapping[TrialSpec, Trial], specs: Sequence[TrialSpec]) -> str:
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
    if pruned and not _failed(found, specs):
        kept = tuple(trial for trial in ended if trial.status is not Status.INTERRUPTED)
        return Evaluation(Status.PRUNED, pruned, kept)
    return _outcome(ended, specs, found)


def _outcome(trials: tuple[Trial, ...], specs: Sequence[TrialSpec], found: Mapping[TrialSpec, Trial]) -> Evaluation:
    if reason := _failed(found, specs):
        return Evaluation(Status.FAILED, reason, trials)
    if len(trials) < len(specs) or any(trial.status is Status.INTERRUPTED for trial in trials):
        inherited = sum(trial.inherited_from is not None for trial in trials)
        ended = sum(trial.status is not Status.INTERRUPTED for trial in trials) - inherited
        reason = f"{ended} of {len(specs) - inherited} trials had ended"
        return Evaluation(Status.INTERRUPTED, reason, trials)
    return Evaluation(Status.SCORED, "", trials)


def inheritable(
    variant: Variant, wanted: Collection[TrialSpec], parent_trials: Sequence[Trial], protocol: Protocol
) -> dict[TrialSpec, Trial]:
    """The parent's trials at specs where the variant does not differ from it, as trials of the variant."""
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


def kernel_shapes(protocol: Protocol, layer: Layer) -> dict[TaskName, dict[str, TaskShape]]:
    """What a layer's kernel meets in each task at each setting, by the setting's id; two sequences stand for a batch.

    The length is the longest that is fed, in training or test: a kernel that passed the check of prefixes does at
    shorter ones what it does at the start of that.
    """
    mixer = protocol.mixer(layer)

    def shape(setting: Setting, chunk_size: int) -> TaskShape:
        return TaskShape((2, mixer.heads, longest_fed(setting), mixer.key_dim, mixer.value_dim), chunk_size)

    return {
        task: {setting.id: shape(setting, plan.chunk_size) for setting in plan.settings}
        for task, plan in protocol.tasks.items()
    }
