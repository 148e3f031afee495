"""One proposal from ask to result, in a thread of its own. It writes nothing: its records go back to the loop."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape

from agent.analysis.snapshot import ArchiveSnapshot
from agent.errors import UserError
from agent.proposers.base import Ask, AskFailed, Proposer, Repairer
from agent.proposers.listener import Listener, heard_by
from agent.search.engine import Engine
from agent.search.ensemble_size import members_of
from agent.search.racing import Race
from agent.terminal.progress import Progress
from archive.record import Cost, Exchange, Proposal, Record
from evaluator.checks import check
from evaluator.outcomes import CheckReport, Status, Trial
from evaluator.protocols.protocol import Protocol, trial_specs
from evaluator.sandbox import Sandbox
from evaluator.statistics.scorecards import scorecard, verdict
from evaluator.trials.evaluate import Evaluation, Evaluator, TrialProgress, inheritable, kernel_shapes
from evaluator.trials.trial_log import TrialLog
from variants.contract import BASELINE, REFERENCE, Variant


@dataclass(frozen=True)
class SearchResources:
    """What every attempt of a search works with. `engine` runs the trials of all attempts."""

    proposer: Proposer
    sandbox: Sandbox
    protocol: Protocol
    engine: Engine
    repairs: int = 0
    race: bool = True
    """Whether a proposal that is clearly worse than its parent stops early."""
    ensemble: bool | None = None
    """Whether the trials of a setting train as one model; None: on a GPU only."""
    log: TrialLog | None = None
    """Keeps the trials of what is stopped, or killed, for when it is asked for again."""

    def evaluator(self, members: int = 1) -> Evaluator:
        """What trains and scores; `members`: how many trials of a setting as one model."""
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
    """Set where it is for the user to mend."""
    passing: bool = False
    """Whether a later ask may do without; else none can."""


@dataclass(frozen=True)
class AttemptInputs:
    """What an attempt may ask of the search around it; safe to call from its thread."""

    snapshot: ArchiveSnapshot
    trials: Mapping[str, Sequence[Trial]]
    """By variant, under the search's protocol."""
    twin: Callable[[tuple[float, ...]], str | None]
    """Name of the variant with this fingerprint, if one is known."""
    reserve: Callable[[str], str]
    """Claims a free variant name."""
    stop: threading.Event
    predict: Callable[[Proposal], str | None]
    """Commits a proposal's predictions; returns the commit, None where there are no predictions."""


class Attempt:
    """One ask and what becomes of it, repairs included."""

    def __init__(self, workbench: SearchResources, surroundings: AttemptInputs, progress: Progress, index: int) -> None:
        self._workbench = workbench
        self._around = surroundings
        self._progress = progress
        self._index = index

    def run(self) -> tuple[Record | FailedAsk, ...]:
        """The record of every proposal that was made, rejected ones that were repaired first; a failed ask is last."""
        with heard_by(Listener(self._hear, lambda said: self._progress.announce(escape(said)))):
            return self._run()

    def _run(self) -> tuple[Record | FailedAsk, ...]:
        records: list[Record | FailedAsk] = []
        self._show(stage="asking")
        try:
            ask = self._workbench.proposer.ask(self._around.snapshot)
            record = self._judge(ask)
            records.append(record)
            proposer = self._workbench.proposer
            while isinstance(proposer, Repairer) and len(records) <= self._workbench.repairs and _mendable(record):
                self._show(stage="repairing", detail="")
                ask = proposer.repair(self._around.snapshot, ask, record.reason)
                record = self._judge(ask)
                records.append(record)
        except AskFailed as failed:
            error = failed if isinstance(failed, UserError) else None
            records.append(FailedAsk(str(failed), failed.exchanges, error, failed.passing))
        return tuple(records)

    def _judge(self, ask: Ask) -> Record:
        """Check, train and score one proposal."""
        began = time.monotonic()
        proposal = self._named(ask.proposal)
        variant = proposal.variant
        self._show(stage="checking", name=variant.name, detail="")
        parent = self._around.snapshot.variants.get(proposal.parent)
        report = check(
            variant,
            self._workbench.sandbox,
            parent=parent,
            shapes=kernel_shapes(self._workbench.protocol),
            known=self._around.twin,
        )
        if report.verdict == "fail":
            return self._record(ask, proposal, began, Status.REJECTED, failures(report), check=report)
        if report.duplicate_of is not None:
            told = f"; a no-op: its parent {proposal.parent} is the same at every setting" if report.no_op else ""
            reason = f"computes the same as {report.duplicate_of}{told}"
            return self._record(ask, proposal, began, Status.DUPLICATE, reason, check=report)
        predicted = self._around.predict(proposal)
        result = self._train(variant, proposal.parent, report)
        found = self._results(proposal, result) | {"predicted": predicted}
        return self._record(ask, proposal, began, result.status, result.reason, check=report, **found)

    def _named(self, proposal: Proposal) -> Proposal:
        name = self._around.reserve(proposal.variant.name)
        variant = proposal.variant.model_copy(update={"name": name})
        return proposal.model_copy(update={"variant": variant})

    def _train(self, variant: Variant, parent: str, report: CheckReport) -> Evaluation:
        bench = self._workbench
        specs = trial_specs(bench.protocol)
        parent_trials = self._around.trials.get(parent, ())
        inherited = inheritable(variant, specs, report.inert_settings, parent_trials, bench.protocol)
        self._show(stage="training", detail="", done=0.05)
        shares = dict.fromkeys(specs, 0.0)

        def follow(step: TrialProgress) -> None:
            shares[step.spec] = step.done
            done = sum(shares.values()) / len(shares)
            self._show(detail=f"{step.spec.task}, seed {step.spec.seed}", done=0.05 + 0.9 * done)
            if step.trial is not None and step.trial.accuracy is not None:
                self._progress.score(self._index, step.spec.task, step.trial.accuracy)

        members = members_of(bench.ensemble, bench.protocol, variant.layer, specs)
        race = Race.against(parent, self._around.trials, bench.protocol) if bench.race else None
        hopeless = race.lost if race is not None else lambda _: ""
        return bench.evaluator(members).evaluate(
            variant, specs, inherited=inherited, follow=follow, hopeless=hopeless, stop=self._around.stop
        )

    def _results(self, proposal: Proposal, result: Evaluation) -> dict[str, Any]:
        if result.status is not Status.SCORED:
            return {"trials": result.trials}
        known = self._around.trials
        rivals = dict.fromkeys((proposal.parent, BASELINE, REFERENCE))
        return {
            "trials": result.trials,
            "scorecard": scorecard(result.trials),
            "verdicts": tuple(verdict(result.trials, known[name], name) for name in rivals if name in known),
        }

    def _record(
        self, ask: Ask, proposal: Proposal, began: float, status: Status, reason: str = "", **found: Any
    ) -> Record:
        trials: Sequence[Trial] = found.get("trials", ())
        cost = Cost(
            cpu_seconds=sum(trial.cpu_seconds for trial in trials),
            wall_seconds=time.monotonic() - began + sum(exchange.seconds for exchange in ask.exchanges),
            prompt_tokens=sum(int(exchange.usage.get("prompt_tokens", 0)) for exchange in ask.exchanges),
            completion_tokens=sum(int(exchange.usage.get("completion_tokens", 0)) for exchange in ask.exchanges),
            usd=ask.usd,
        )
        return Record(
            number=0,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            proposal=proposal,
            status=status,
            reason=reason,
            protocol=self._workbench.protocol.name,
            protocol_hash=self._workbench.protocol.hash,
            exchanges=ask.exchanges,
            cost=cost,
            **found,
        )

    def _hear(self, said: str) -> None:
        self._show(detail=said)

    def _show(self, **changes: object) -> None:
        self._progress.update(self._index, **changes)


def failures(report: CheckReport) -> str:
    """Every failed check with its counterexample, as one line."""
    return "; ".join(f"{found.check}: {found.message}" for found in report.findings if found.status == "fail")


def _mendable(record: Record) -> bool:
    return record.status in (Status.REJECTED, Status.DUPLICATE)
