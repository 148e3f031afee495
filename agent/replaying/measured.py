"""Steps that run the variant again: checks and fingerprint, each training run, and the scores that follow from them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from agent.replaying.machine import reasons
from agent.replaying.noise import ReplayNoise
from agent.replaying.original import Original
from agent.replaying.steps import ReplayStep
from evaluator.checks.fingerprint import same
from evaluator.outcomes import CheckReport, Finding, Grade, Status, Trial
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.statistics.scorecards import seed_accuracies
from evaluator.tasks.names import TaskName
from evaluator.trials.run_trial import spec_of


def protocol_step(original: Original, protocol: Protocol) -> ReplayStep:
    """Whether the protocol is still the one that the record was made under."""
    if protocol.hash == original.protocol_hash:
        return ReplayStep("protocol", f"{protocol.name} {protocol.hash}", "identical")
    detail = f"{original.protocol} was {original.protocol_hash}, is {protocol.hash}; nothing is trained again"
    return ReplayStep(
        "protocol", protocol.name, "differs", detail, ("another version of archer trains by other settings",)
    )


def check_steps(original: Original, again: CheckReport) -> Iterator[ReplayStep]:
    """Each finding, the inert tasks and the fingerprint.

    A check that there was not yet when the record passed all others is not compared, unless it fails.
    """
    recorded = original.check
    if recorded is not None:
        because = _why_other_check(recorded.sandbox_grade, again.sandbox_grade)
        before, now = _by_check(recorded.findings), _by_check(again.findings)
        for name in before | now:
            was, found = before.get(name), now.get(name)
            if was is None and recorded.verdict == "pass" and found is not None and found.status != "fail":
                continue
            if was is not None and found is not None and was.status == found.status:
                yield ReplayStep("check", name, "identical")
            else:
                detail = f"was {was.status if was else 'absent'}, is {_said(found)}"
                yield ReplayStep("check", name, "differs", detail, because)
        if recorded.inert_tasks == again.inert_tasks:
            yield ReplayStep("check", "tasks it cannot change", "identical")
        else:
            detail = f"was {_listed(recorded.inert_tasks)}, is {_listed(again.inert_tasks)}"
            yield ReplayStep("check", "tasks it cannot change", "differs", detail, because)
    comparable = recorded is None or recorded.probes == again.probes  # prints of other probes do not compare
    if original.fingerprint and comparable:
        yield _fingerprint(original.fingerprint, again.fingerprint)


def _fingerprint(before: Sequence[float], now: Sequence[float]) -> ReplayStep:
    if tuple(before) == tuple(now):
        return ReplayStep("check", "fingerprint", "identical")
    if same(before, now):
        most = max(abs(a - b) for a, b in zip(before, now, strict=True))
        return ReplayStep("check", "fingerprint", "within noise", f"equal up to rounding, by {most:.1g} at most")
    return ReplayStep("check", "fingerprint", "differs", "the kernel gives other outputs on the probe inputs")


def _why_other_check(before: Grade, now: Grade) -> tuple[str, ...]:
    grade = (f"sandbox grade was {before}, is {now}",) if before != now else ()
    return (*grade, "the checks of this version of archer, or the file, are others")


def _by_check(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def _said(finding: Finding | None) -> str:
    return f"{finding.status}: {finding.message}" if finding is not None else "absent"


def _listed(tasks: Sequence[TaskName]) -> str:
    return ", ".join(tasks) or "none"


@dataclass(frozen=True)
class Training:
    """The trials to run again, those that were inherited, and what counts as noise."""

    trained: Mapping[TrialSpec, Trial]
    inherited: Mapping[TrialSpec, Trial]
    noise: ReplayNoise

    @classmethod
    def of(cls, original: Original, tasks: Sequence[TaskName], noise: ReplayNoise) -> "Training":
        """An interrupted trial has no result to compare with, and is left out."""
        ended = [t for t in original.trials if t.status is not Status.INTERRUPTED and t.task in tasks]
        known = {spec_of(t): t for t in ended if t.protocol_hash == original.protocol_hash}
        own = {spec: t for spec, t in known.items() if t.inherited_from is None}
        return cls(own, {spec: t for spec, t in known.items() if t.inherited_from is not None}, noise)

    def steps(self, again: Sequence[Trial], parents: Mapping[str, Sequence[Trial]]) -> Iterator[ReplayStep]:
        """Each trial, then each task's score."""
        now = {spec_of(trial): trial for trial in again}
        for spec, trial in self.trained.items():
            yield self._trial(trial, now.get(spec))
        for spec, trial in self.inherited.items():
            yield _inherited(spec, trial, parents)
        yield from self._scores([*again, *self.inherited.values()])

    def _trial(self, before: Trial, now: Trial | None) -> ReplayStep:
        what = _what(before)
        if now is None or now.status is Status.INTERRUPTED:
            return ReplayStep(
                "training", what, "differs", "was not run to its end", ("an earlier trial failed, or Ctrl-C",)
            )
        if before.accuracy is None or now.accuracy is None:
            return _failed(what, before, now)
        if before.weights_hash == now.weights_hash and before.accuracy == now.accuracy:
            return ReplayStep(
                "training", what, "identical", f"the same bits of all weights, accuracy {now.accuracy:.3f}"
            )
        low, high = self.noise.interval(before)
        answer = "within noise" if low <= now.accuracy <= high else "differs"
        if before.accuracy == now.accuracy:
            detail = f"accuracy {now.accuracy:.3f} as before, from weights with other bits"
        else:
            detail = f"accuracy {before.accuracy:.3f} is {now.accuracy:.3f}, noise {low:.3f} to {high:.3f}"
        return ReplayStep("training", what, answer, detail, reasons(before, now), (low, high))  # type: ignore[arg-type]

    def _scores(self, again: Sequence[Trial]) -> Iterator[ReplayStep]:
        before = seed_accuracies([*self.trained.values(), *self.inherited.values()])
        now = seed_accuracies(again)
        for task, seeds in before.items():
            if now.get(task) == seeds:
                yield ReplayStep("score", task, "identical", f"{fmean(seeds.values()):.3f}")
            elif task in now:
                yield self._score(task, fmean(seeds.values()), fmean(now[task].values()), len(seeds))
            else:
                yield ReplayStep("score", task, "differs", f"{fmean(seeds.values()):.3f} has no score now")

    def _score(self, task: TaskName, was: float, found: float, n: int) -> ReplayStep:
        one = next(trial for spec, trial in self.trained.items() if spec.task == task)
        low, high = self.noise.interval(one.model_copy(update={"accuracy": was}), runs=n)
        detail = f"mean of {n} {was:.3f} is {found:.3f}, noise {low:.3f} to {high:.3f}"
        answer = "within noise" if low <= found <= high else "differs"
        return ReplayStep("score", task, answer, detail, interval=(low, high))  # type: ignore[arg-type]


def _what(trial: Trial) -> str:
    return f"{trial.task} {trial.setting}, lr {trial.lr:g}, decay {trial.weight_decay:g}, seed {trial.seed}"


def _failed(what: str, before: Trial, now: Trial) -> ReplayStep:
    was, found = (trial.failure.kind if trial.failure else str(trial.status) for trial in (before, now))
    if was == found:
        return ReplayStep("training", what, "identical", f"{was} as before")
    return ReplayStep("training", what, "differs", f"was {was}, is {found}", reasons(before, now))


def _inherited(spec: TrialSpec, trial: Trial, parents: Mapping[str, Sequence[Trial]]) -> ReplayStep:
    """An inherited trial is its parent's: the archive holds that, and it must say the same."""
    what = f"{_what(trial)}, inherited"
    own = [t for t in parents.get(trial.inherited_from or "", ()) if spec_of(t) == spec]
    if any(t.accuracy == trial.accuracy for t in own if t.protocol_hash == trial.protocol_hash):
        return ReplayStep("training", what, "identical", f"{trial.inherited_from} has {trial.accuracy:.3f}")
    detail = f"{trial.inherited_from} has no such trial with accuracy {trial.accuracy}"
    return ReplayStep("training", what, "differs", detail, ("the trials of the parent were edited, or are missing",))
