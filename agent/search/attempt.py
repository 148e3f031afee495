"""One proposal from ask to result, in its own thread. This thread writes no record: it returns records to the loop."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from rich.markup import escape

from agent.analysis.boards.board import best_board, measured_board
from agent.analysis.boards.challenge import Challenge
from agent.analysis.snapshot import ArchiveSnapshot
from agent.analysis.trial_work import weights
from agent.errors import UserError
from agent.listener import Listener, heard_by
from agent.proposer import Ask, AskFailed, Proposer, Repairer
from agent.search.engine import Engine
from agent.search.ensemble_size import members_of
from agent.search.pipeline import Evaluated, FindTwin, Pipeline
from agent.search.racing import Race, target_of
from agent.terminal.ideas import idea_line
from agent.terminal.progress import Progress
from archive.records.record import Cost, Exchange, Proposal, Record
from evaluator.outcomes import Status, Trial
from evaluator.protocols.protocol import Protocol, TrialSpec, trial_specs
from evaluator.sandbox import Sandbox
from evaluator.trials.evaluate import Evaluator, TrialProgress
from evaluator.trials.grouped import EngineLostError
from evaluator.trials.run_trial import spec_of
from evaluator.trials.trial_log import TrialLog


@dataclass(frozen=True)
class SearchResources:
    """What all attempts of a search share. `engine` runs the trials of all attempts."""

    proposer: Proposer
    sandbox: Sandbox
    protocol: Protocol
    engine: Engine
    repairs: int = 0
    race: bool = True
    """Whether a proposal without a chance to get ahead of its parent stops early."""
    ensemble: bool | None = None
    """Whether the trials of a setting train as one model; None: on a GPU only."""
    log: TrialLog | None = None
    """Keeps the finished trials of a proposal that was stopped or killed. A later run of the same code reuses them."""
    parents_here: dict[str, tuple[Trial, ...]] = field(default_factory=dict)
    """See `Pipeline`."""

    def evaluator(self, members: int = 1) -> Evaluator:
        """The evaluator that trains and scores. members: how many trials of a setting train as one model."""
        engine = self.engine
        return Evaluator(
            self.protocol, self.sandbox, engine.executor, members=members, log=self.log, run_group=engine.run_group
        )


@dataclass(frozen=True)
class FailedAsk:
    """An ask that gave no proposal."""

    reason: str
    exchanges: tuple[Exchange, ...]
    error: UserError | None = None
    """Set if the user has to correct something."""
    passing: bool = False
    """Whether a later ask may do without; else none can."""


@dataclass(frozen=True)
class AttemptInputs:
    """What an attempt gets from the search. The functions are safe to call from the attempt's thread."""

    snapshot: ArchiveSnapshot
    trials: Mapping[str, Sequence[Trial]]
    """By variant, under the search's protocol."""
    twin: FindTwin
    reserve: Callable[[str], str]
    """Claims a free variant name."""
    stop: threading.Event
    places: threading.Semaphore
    """As many as proposals may train at once: others are asked for and checked meanwhile."""
    predict: Callable[[Proposal], str | None]
    """Commits a proposal's predictions; returns the commit, None where there are no predictions."""
    engine_lost: Callable[[str], None]
    """Called with the reason where nothing can be trained any more, so that the search ends."""


class Attempt:
    """One ask, its proposal and the repairs of the proposal."""

    def __init__(
        self, resources: SearchResources, prepare: Callable[[], AttemptInputs], progress: Progress, index: int
    ) -> None:
        """prepare: called when the attempt starts, so that the attempt sees the archive as it is then."""
        self._resources = resources
        self._prepare = prepare
        self._progress = progress
        self.index = index

    def run(self) -> tuple[Record | FailedAsk, ...]:
        """The records of the proposal and of its repairs, in the order they were made; a failed ask is last."""
        records: list[Record | FailedAsk] = []
        with heard_by(Listener(self._hear, lambda said: self._progress.announce(escape(said)))):
            self._show(stage="asking")
            inputs, proposer = self._prepare(), self._resources.proposer
            try:
                ask = proposer.ask(inputs.snapshot)
                record = self._evaluate(_named(ask, inputs), inputs)
                records.append(record)
                while isinstance(proposer, Repairer) and len(records) <= self._resources.repairs and _mendable(record):
                    self._show(stage="repairing", detail="")
                    ask = proposer.repair(inputs.snapshot, ask, _problem(record))
                    record = self._evaluate(_named(ask, inputs), inputs)
                    records.append(record)
            except AskFailed as failed:
                error = failed if isinstance(failed, UserError) else None
                records.append(FailedAsk(str(failed), failed.exchanges, error, failed.passing))
        return tuple(records)

    def _evaluate(self, ask: Ask, inputs: AttemptInputs, known: Mapping[TrialSpec, Trial] | None = None) -> Record:
        """Check, train and score one proposal. known: trials of its own that need not be run."""
        began = time.monotonic()
        proposal, protocol = ask.proposal, self._resources.protocol
        variant, specs = proposal.variant, trial_specs(protocol)
        self._progress.announce(idea_line(proposal, best_board(inputs.snapshot)))
        self._show(stage="checking", name=variant.name, detail="")
        members = members_of(self._resources.ensemble, protocol, variant.layer, specs)
        pipeline = Pipeline(
            self._resources.evaluator(members),
            inputs.trials,
            self._following(specs),
            inputs.stop,
            self._resources.parents_here,
        )
        race = self._race(proposal.parent, inputs) if self._resources.race else None
        predicted: list[_Predicted] = []

        with ExitStack() as place:

            def before_training() -> None:
                predicted.append(_Predicted(inputs.predict(proposal), datetime.now(UTC), time.monotonic()))
                if self._has_place(inputs):
                    place.callback(inputs.places.release)
                self._show(stage="training", detail="", done=0.05)

            parent = inputs.snapshot.variants.get(proposal.parent)
            report = pipeline.check(variant, parent, inputs.twin, loop_only=True)
            try:
                evaluated = pipeline.evaluate(
                    variant, parent, specs, report, known=known, before_training=before_training, race=race
                )
            except EngineLostError as error:  # what ended is in the log
                inputs.engine_lost(str(error))
                evaluated = Evaluated(Status.INTERRUPTED, str(error), report)
        return self._record(ask, began, evaluated, predicted[0] if predicted else None)

    def _race(self, parent: str, inputs: AttemptInputs) -> Race | None:
        """Under a challenge if its reference was measured."""
        protocol = self._resources.protocol
        challenge = Challenge.of(measured_board(inputs.snapshot))
        return Race.against(parent, inputs.trials, protocol, target_of(challenge, tuple(protocol.tasks)))

    def _has_place(self, inputs: AttemptInputs) -> bool:
        """Wait for a place among those that train; False where the search stopped before there was one."""
        if inputs.places.acquire(blocking=False):
            return True
        self._show(stage="ready")
        while not inputs.stop.is_set():
            if inputs.places.acquire(timeout=0.2):
                return True
        return False

    def _following(self, specs: Sequence[TrialSpec]) -> Callable[[TrialProgress], None]:
        work = weights(self._resources.protocol, specs)
        done = dict.fromkeys(specs, 0.0)
        own, ended = set(specs), set[TrialSpec]()

        def follow(step: TrialProgress) -> None:
            detail = f"{step.spec.task}, seed {step.spec.seed}"
            if step.trial is not None:
                if step.trial.status is not Status.INTERRUPTED:
                    (own.discard if step.trial.inherited_from else ended.add)(step.spec)
                detail = f"{len(ended)} of {len(own)} trials ended"
                if not done[step.spec]:  # inherited, or ended before: no work of this run
                    work[step.spec] = 0.0
            done[step.spec] = step.done * work[step.spec]
            share = sum(done.values()) / (sum(work.values()) or 1.0)
            self._show(detail=detail, done=0.05 + 0.9 * share, worked=share)
            if step.trial is not None and step.trial.accuracy is not None:
                self._progress.score(self.index, step.spec.task, step.trial.accuracy)

        return follow

    def _record(self, ask: Ask, began: float, evaluated: Evaluated, predicted: "_Predicted | None") -> Record:
        cost = Cost(
            cpu_seconds=sum(trial.cpu_seconds for trial in (*evaluated.trials, *evaluated.parent_again)),
            wall_seconds=time.monotonic() - began + sum(exchange.seconds for exchange in ask.exchanges),
            prompt_tokens=sum(int(exchange.usage.get("prompt_tokens", 0)) for exchange in ask.exchanges),
            completion_tokens=sum(int(exchange.usage.get("completion_tokens", 0)) for exchange in ask.exchanges),
            usd=ask.usd,
        )
        return Record(
            number=0,
            created=(predicted.now() if predicted else datetime.now(UTC)).isoformat(timespec="seconds"),
            proposal=ask.proposal,
            status=evaluated.status,
            reason=evaluated.reason,
            no_effect=evaluated.no_effect,
            protocol=self._resources.protocol.name,
            protocol_hash=self._resources.protocol.hash,
            check=evaluated.report,
            trials=evaluated.trials,
            scorecard=evaluated.card,
            verdicts=evaluated.verdicts,
            exchanges=ask.exchanges,
            cost=cost,
            predicted=predicted.commit if predicted else None,
        )

    def _hear(self, said: str) -> None:
        self._show(detail=said)

    def _show(self, **changes: object) -> None:
        self._progress.update(self.index, **changes)


class _Predicted(NamedTuple):
    """Predictions that were committed, or were none, and when: by the clock, and in seconds of a clock nobody sets."""

    commit: str | None
    at: datetime
    monotonic: float

    def now(self) -> datetime:
        """The time, but never less after the predictions than has passed: a clock set back would date them too late."""
        return max(datetime.now(UTC), self.at + timedelta(seconds=time.monotonic() - self.monotonic))


class Resumption(Attempt):
    """A proposal that was interrupted, evaluated to its end under its own number.

    What had ended is not run again, be it in the record or in the log.
    """

    def __init__(
        self,
        resources: SearchResources,
        prepare: Callable[[], AttemptInputs],
        progress: Progress,
        index: int,
        interrupted: Record,
    ) -> None:
        """`interrupted`: its record."""
        super().__init__(resources, prepare, progress, index)
        self._interrupted = interrupted

    def run(self) -> tuple[Record | FailedAsk, ...]:
        """The record, with what became of it."""
        before, inputs = self._interrupted, self._prepare()
        self._progress.announce(f"going on with proposal {before.number}, which was interrupted")
        if before.predicted is not None:
            inputs = replace(inputs, predict=lambda _: before.predicted)
        own = [trial for trial in before.trials if trial.status is Status.SCORED and trial.inherited_from is None]
        known = {spec_of(trial): trial for trial in own if trial.protocol_hash == self._resources.protocol.hash}
        record = self._evaluate(Ask(before.proposal, before.exchanges, before.cost.usd), inputs, known)
        return (record.model_copy(update={"number": before.number}),)


def _named(ask: Ask, inputs: AttemptInputs) -> Ask:
    """The ask with its proposal under a name that is free."""
    proposal = ask.proposal
    variant = proposal.variant.model_copy(update={"name": inputs.reserve(proposal.variant.name)})
    return replace(ask, proposal=proposal.model_copy(update={"variant": variant}))


def _problem(record: Record) -> str:
    """Why a proposal was not accepted, for whoever mends it; what else the checks warn of goes along."""
    findings = record.check.findings if record.check else ()
    warnings = [f"- {finding.check}: {finding.message}" for finding in findings if finding.status == "warn"]
    return "\n".join([record.reason, *(["", "Beside that, the checks warn:"] if warnings else []), *warnings])


def _mendable(record: Record) -> bool:
    return record.status in (Status.REJECTED, Status.DUPLICATE)
