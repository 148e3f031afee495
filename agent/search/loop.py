"""The search loop: ask, check, train, score, tell. Each proposal has a thread; the main thread writes the archive."""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any

from rich.markup import escape

from agent.analysis.snapshot import Left, take_snapshot
from agent.errors import UserError
from agent.proposer import Repairer
from agent.reports.report import render_report
from agent.search.attempt import Attempt, AttemptInputs, FailedAsk, Resumption, SearchResources
from agent.search.beside import Beside, climb_beside, confirmation_beside
from agent.search.climb import Climb
from agent.search.confirm import LOOKS, WouldBeBest
from agent.search.fingerprint_index import FingerprintIndex
from agent.search.pipeline import Pipeline
from agent.terminal.progress import Progress
from archive.records.record import Record
from archive.store import Archive
from evaluator.outcomes import Status
from evaluator.protocols.protocol import Protocol, trial_specs
from evaluator.trials.grouped import EngineLostError

FAILURES_IN_A_ROW = 3
"""Of a proposer that may answer a later ask; after so many, a search ends."""

Outcome = tuple[Record | FailedAsk, ...]


@dataclass(frozen=True)
class SearchPlan:
    """The limits and choices of one `archer propose`. max_minutes: after this time no proposal is started."""

    n: int
    jobs: int
    seed: int
    parent: str | None = None
    max_minutes: float | None = None
    max_cpu_seconds: float | None = None
    """No proposal is started after the finished proposals have used this much CPU time."""
    confirm: bool = True
    """Whether a would-be new best is trained on fresh seeds."""
    rungs: tuple[Protocol, ...] = ()
    """Protocols above the search's own, under which a confirmed new best is trained with its rival."""
    resume: bool = True
    """Whether what an earlier search left INTERRUPTED is evaluated to its end first."""


class Search:
    """Runs a plan on an archive. Pairs results with proposals by identity, so their order does not matter."""

    def __init__(self, archive: Archive, resources: SearchResources, plan: SearchPlan, progress: Progress) -> None:
        """resources: what all attempts share, e.g. proposer, sandbox, protocol and engine."""
        self._archive = archive
        self._resources = resources
        self._plan = plan
        self._progress = progress
        self._stop = threading.Event()
        self._places = threading.Semaphore(plan.jobs)
        ahead = plan.jobs > 1 and isinstance(resources.proposer, Repairer)
        self._at_once = plan.jobs + ahead
        """Proposals under way: one more than train where a model is asked, since its answer takes minutes."""
        self._reserved: dict[int, list[str]] = {}
        """Names that each attempt has claimed, the newest last: its repairs have further ones."""
        self._taken_up: dict[int, str] = {}
        """Folder name of the interrupted proposal that each resumption ends."""
        self._look = True
        self._spent = 0.0
        self._beside: dict[Future[Any], Beside] = {}
        self._begun: set[str] = set()
        """Claims of what this search trained beside its proposals."""
        self._unconfirmed: set[str] = set()
        self._began = time.monotonic()
        self._failures = 0
        """Asks in a row, up to the newest, in which the proposer failed in a way that may pass."""
        self._passing: UserError | None = None
        """What the newest of them failed with."""
        self.made = 0
        """Proposals that came of this search's own asks."""
        self.error: UserError | None = None
        """Why the search stopped asking, if the user has to correct something; else None."""

    def run(self) -> Iterator[Record]:
        """Yield each record after it is archived. After `stop`, running proposals are archived as INTERRUPTED."""
        self._archive.recover()
        self._archive.require_sound()
        running: dict[Future[Outcome], int] = {}
        waiting = [*self._resumptions(), *self._attempts()]
        with ThreadPoolExecutor(self._at_once, thread_name_prefix="proposal") as pool:
            try:
                self._work_beside(pool)
                while running or self._beside or (waiting and not self._closed()):
                    while waiting and len(running) < self._at_once and not self._closed():
                        attempt = waiting.pop(0)
                        running[pool.submit(attempt.run)] = attempt.index
                    yield from self._collect(running)
                    self._collect_beside()
                    self._work_beside(pool)
            except BaseException as error:
                self.stop()  # else the pool would wait for whole trainings
                if isinstance(error, Exception):
                    self._rescue(running)
                raise
            finally:
                for index in (*self._reserved, *self._taken_up):
                    self._release(index)
                for beside in self._beside.values():
                    self._archive.release_name(beside.claim)
        if not self.made:
            self.error = self.error or self._passing

    def stop(self) -> None:
        """Ask the search to end; safe in a signal handler."""
        self._stop.set()
        if isinstance(self._resources.proposer, Repairer):
            self._resources.proposer.cancel()

    def _closed(self) -> bool:
        """Whether no further proposal may start."""
        limit = self._plan.max_minutes
        late = limit is not None and time.monotonic() - self._began > 60 * limit
        late = late or (self._plan.max_cpu_seconds is not None and self._spent >= self._plan.max_cpu_seconds)
        return late or self._stop.is_set() or self.error is not None

    def _attempts(self) -> list[Attempt]:
        indices = range(self._plan.n)
        return [Attempt(self._resources, partial(self._inputs, index), self._progress, index) for index in indices]

    def _resumptions(self) -> list[Attempt]:
        """What was interrupted under this very protocol, oldest first; without what another search ends now."""
        if not self._plan.resume:
            return []
        with self._archive.writing():  # until they are taken up, nobody else ends them
            waiting = interrupted_proposals(self._archive, self._resources.protocol)
            names = [name for name in waiting if self._archive.take_up(name)]
        self._taken_up = dict(enumerate(names, self._progress.extend(len(names))))
        return [
            Resumption(self._resources, partial(self._inputs, index), self._progress, index, self._archive.record(name))
            for index, name in self._taken_up.items()
        ]

    def _inputs(self, index: int) -> AttemptInputs:
        under_way, protocol = tuple(names[-1] for names in list(self._reserved.values())), self._resources.protocol
        snapshot = take_snapshot(
            self._archive,
            protocol.name,
            seed=self._plan.seed + index,
            under_way=under_way,
            forced_parent=self._plan.parent,
            left=self._left(index),
        )
        return AttemptInputs(
            snapshot=snapshot,
            trials=snapshot.trials,
            twin=FingerprintIndex(self._archive).find,
            reserve=lambda name: self._reserve(index, name),
            stop=self._stop,
            places=self._places,
            predict=lambda proposal: self._archive.tell_predictions(proposal, protocol.name, protocol.hash),
            engine_lost=self._engine_lost,
        )

    def _engine_lost(self, reason: str) -> None:
        self.error = self.error or UserError(f"--engine: {reason}")

    def _left(self, index: int) -> Left:
        """What may still be spent when proposal `index` of the plan is asked for."""
        plan = self._plan
        minutes = None if plan.max_minutes is None else plan.max_minutes - (time.monotonic() - self._began) / 60
        seconds = None if plan.max_cpu_seconds is None else plan.max_cpu_seconds - self._spent
        return Left(
            max(1, plan.n - index),
            None if minutes is None else max(0.0, minutes),
            None if seconds is None else max(0.0, seconds),
        )

    def _reserve(self, index: int, name: str) -> str:
        claimed = self._archive.claim_name(name)
        self._reserved[index] = [*self._reserved.get(index, ()), claimed]
        return claimed

    def _release(self, index: int) -> None:
        for name in (*self._reserved.pop(index, ()), self._taken_up.pop(index, "")):
            self._archive.release_name(name)

    def _collect(self, running: dict[Future[Outcome], int]) -> Iterator[Record]:
        """Archive the proposals that have ended. Short waits keep Ctrl-C responsive."""
        under_way: list[Future[Any]] = [*running, *self._beside]
        done, _ = wait(under_way, timeout=0.2, return_when=FIRST_COMPLETED)
        for future in [future for future in running if future in done]:
            index = running.pop(future)
            outcomes = future.result()
            for outcome in outcomes:
                if isinstance(outcome, FailedAsk):
                    self._tell_failed(index, outcome)
                else:
                    yield self._tell(outcome)
            self._release(index)
            told = any(isinstance(outcome, Record) for outcome in outcomes)
            self._progress.update(index, stage="archived" if told else "no proposal", done=1.0)
            self._look = True

    def _rescue(self, running: Iterable[Future[Outcome]]) -> None:
        """Archive what else was under way when an error ended the search, as far as that can be."""
        for future in running:
            with contextlib.suppress(Exception):
                for outcome in future.result():
                    if isinstance(outcome, Record):
                        self._tell(outcome)

    def _work_beside(self, pool: ThreadPoolExecutor) -> None:
        """Start what is to be trained beside the proposals: a confirmation, else a climb; one at a time.

        What another search on this archive trains now is left to it.
        """
        if not self._look or self._beside or self._closed():
            return
        self._look = False
        wanted = chain(self._confirmations(), self._climbs())
        found = next((each for each in wanted if self._archive.take_up(each.claim)), None)
        if found is not None:
            self._begun.add(found.claim)
            self._progress.announce(found.announcement)
            self._beside[pool.submit(found.run)] = found

    def _confirmations(self) -> Iterator[Beside]:
        """Of would-be new bests, from this search or from an earlier one."""
        if self._plan.confirm:
            pipeline = Pipeline(self._resources.evaluator(), stop=self._stop)
            for found in self._within_reach(WouldBeBest.all_of(self._archive, self._resources.protocol)):
                yield confirmation_beside(found, pipeline, self._archive, self._progress)

    def _climbs(self) -> Iterator[Beside]:
        """Of confirmed proposals to the next rung of the ladder; none that this search has seen end."""
        for found in Climb.all_of(self._archive, (self._resources.protocol, *self._plan.rungs)):
            resources = replace(self._resources, protocol=found.protocol)
            pipeline = Pipeline(resources.evaluator(), stop=self._stop)
            beside = climb_beside(found, pipeline, self._archive, self._progress)
            if beside.claim not in self._begun:
                yield beside

    def _within_reach(self, found: Iterable[WouldBeBest]) -> Iterator[WouldBeBest]:
        """Those that fresh seeds can decide on; of each other one it is said once why it is not tried."""
        for each in found:
            name = each.variant.name
            if not each.out_of_reach:
                yield each
            elif name not in self._unconfirmed:
                self._unconfirmed.add(name)
                self._progress.announce(
                    f"no new best: {escape(name)} leads {escape(each.rival.name)} by {each.first.mean:+.3f}, "
                    f"too little for {LOOKS * len(each.protocol.seeds)} fresh seeds to tell from noise"
                )

    def _collect_beside(self) -> None:
        for future in [future for future in self._beside if future.done()]:
            beside = self._beside.pop(future)
            self._progress.aside("")
            try:
                lines = beside.finish(future.result())
            except EngineLostError as error:  # what ended is in the log
                self._engine_lost(str(error))
                continue
            finally:
                self._archive.release_name(beside.claim)
            for line in lines:
                self._progress.announce(line)
            self._look = True

    def _tell_failed(self, index: int, failed: FailedAsk) -> None:
        if failed.exchanges:
            created = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._archive.tell_failed_ask(created, failed.reason, failed.exchanges)
        if failed.error is None or failed.passing or self.error is not None:
            self._progress.announce(f"[red]no proposal[/] {index + 1}: {escape(failed.reason)}")
        self._failures = 0 if failed.error is None else self._failures + 1
        if not failed.passing or self._failures >= FAILURES_IN_A_ROW:
            self.error = self.error or failed.error  # the command's own last line
        self._passing = failed.error or self._passing

    def _tell(self, record: Record) -> Record:
        self._failures, self.made = 0, self.made + (record.number == 0)
        self._spent += record.cost.cpu_seconds
        tell = self._archive.retell if record.number else self._archive.tell
        with self._archive.writing(), self._archive.at_one_moment():
            seed = record.proposal.provenance.seed
            snapshot = take_snapshot(self._archive, record.protocol, seed=seed, changes=False)
            told = tell(record, render_report(record, snapshot))
        if record.status is not Status.INTERRUPTED:
            self._resources.evaluator().archived(record.proposal.variant, trial_specs(self._resources.protocol))
        return told


def interrupted_proposals(archive: Archive, protocol: Protocol) -> list[str]:
    """Folder names of proposals that were interrupted under this version of a protocol, oldest first."""
    return [
        line.id for line in archive.lines() if line.status is Status.INTERRUPTED and line.protocol_hash == protocol.hash
    ]
