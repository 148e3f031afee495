"""Several models in one search: each ask goes to one of them, and to the next where that one fails."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from agent.analysis.snapshot import ArchiveSnapshot
from agent.listener import announce
from agent.proposer import Ask, AskFailed
from agent.proposers.llm.errors import BudgetExceededError, EndpointError, PassingError
from agent.proposers.llm.exchanges import joined, usd_of
from agent.proposers.llm.model_choice import Try, choose, tries_of
from agent.proposers.llm.proposer import OpenAIProposer
from archive.records.record import Exchange

FIRST_REST, LONGEST_REST = 60.0, 3600.0
"""Seconds that a model is not asked after it failed; twice as long each time that it fails again."""
PATIENCE = 30.0
"""Seconds to wait for a busy model while another one can be asked."""


@dataclass
class _Rest:
    """Since when, and for how long, a model is left alone."""

    until: float = 0.0
    failures: int = 0
    error: EndpointError | None = None


class SeveralModels:
    """A proposer that chooses among models. Thread-safe.

    A model whose endpoint fails is rested: for a while where the fault may pass, else until the search ends.
    """

    name = "openai"

    def __init__(
        self, arms: Sequence[OpenAIProposer], failed: Iterable[Try] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`failed`: asks without a proposal of earlier searches in this archive."""
        self._arms = {arm.model: arm for arm in arms}
        self._failed = list(failed)
        self._asked: Counter[str] | None = None
        self._rests = {model: _Rest() for model in self._arms}
        self._clock = clock
        self._lock = threading.Lock()
        self._cancelled = threading.Event()

    @property
    def models(self) -> tuple[str, ...]:
        """Their names, in the order in which they were given."""
        return tuple(self._arms)

    def ask(self, snapshot: ArchiveSnapshot) -> Ask:
        """One proposal by one model. Raises AskFailed where no reply was usable, EndpointError where none answers."""
        exchanges: tuple[Exchange, ...] = ()
        errors: dict[str, EndpointError] = {}
        while True:
            model = self._choose(snapshot, errors)
            if model is None:
                raise _together({**self._resting(), **errors}, exchanges)
            others = [other for other in self._usable() if other not in errors and other != model]
            began = time.monotonic()
            try:
                ask = self._arms[model].ask(snapshot, PATIENCE if others else None)
            except AskFailed as error:
                own = error.exchanges
                error.exchanges = exchanges = joined(exchanges, own)
                if self._cancelled.is_set():
                    raise
                if not isinstance(error, EndpointError):
                    self._note_failure(model, time.monotonic() - began, usd_of(own))
                    raise
                errors[model] = error
                self._rest(model, error)
                continue
            self._rests[model] = _Rest()
            if not exchanges:
                return ask
            exchanges = joined(exchanges, ask.exchanges)
            return replace(ask, exchanges=exchanges, usd=usd_of(exchanges))

    def repair(self, snapshot: ArchiveSnapshot, ask: Ask, problem: str) -> Ask:
        """The proposal again, by the model that made it. Raises AskFailed where it fails and others can go on."""
        model = ask.proposal.provenance.model or ""
        try:
            return self._arms[model].repair(snapshot, ask, problem)
        except EndpointError as error:
            if self._cancelled.is_set():
                raise
            self._rest(model, error)
            if not self._usable():
                raise
            raise AskFailed(f"{model} does not repair its proposal: {error}", error.exchanges) from None

    def cancel(self) -> None:
        """End all asks under way, from any thread; they raise EndpointError."""
        self._cancelled.set()
        for arm in self._arms.values():
            arm.cancel()

    def _choose(self, snapshot: ArchiveSnapshot, failed: Iterable[str]) -> str | None:
        """A model for this ask that has not failed in it; None where there is none left."""
        tries = tries_of(snapshot.proposals(lambda line: line.model is not None), snapshot.protocol)
        left = [model for model in self._arms if model not in failed and self._rests[model].until < math.inf]
        if not left:
            return None
        usable = [model for model in self._usable() if model in left]
        with self._lock:
            asked = self._asked if self._asked is not None else Counter(made.model for made in [*tries, *self._failed])
            self._asked = asked
            # Where all of them rest, it is the one whose rest ends first: nothing is won by waiting for it idly.
            model = (
                choose(usable, [*tries, *self._failed], asked, snapshot.seed)
                if usable
                else min(left, key=lambda model: self._rests[model].until)
            )
            asked[model] += 1
            return model

    def _usable(self) -> list[str]:
        """The models that neither rest nor are known to be busy."""
        now = self._clock()
        awake = [model for model in self._arms if self._rests[model].until <= now]
        return [model for model in awake if self._arms[model].endpoint.gate.opens_in() == 0]

    def _resting(self) -> dict[str, EndpointError]:
        return {model: rest.error for model, rest in self._rests.items() if rest.error is not None}

    def _rest(self, model: str, error: EndpointError) -> None:
        with self._lock:
            failures = self._rests[model].failures + 1
            seconds = min(FIRST_REST * 2.0 ** (failures - 1), LONGEST_REST) if error.passing else math.inf
            seconds = max(seconds, self._arms[model].endpoint.gate.opens_in())
            self._rests[model] = _Rest(self._clock() + seconds, failures, error)
        told = f"rests for {seconds:.0f} s" if error.passing else "is not asked any more in this search"
        announce(f"{model} {told}: {error}")

    def _note_failure(self, model: str, seconds: float, usd: float | None) -> None:
        with self._lock:
            self._failed.append(Try(model, seconds=seconds, usd=usd))


def _together(errors: dict[str, EndpointError], exchanges: tuple[Exchange, ...]) -> EndpointError:
    """What all models failed with, as one error: passing where one of them may pass."""
    message = "no model can be asked: " + "; ".join(f"{model}: {error}" for model, error in errors.items())
    kind: type[EndpointError] = EndpointError
    if any(error.passing for error in errors.values()):
        kind = PassingError
    elif all(isinstance(error, BudgetExceededError) for error in errors.values()):
        kind = BudgetExceededError
    together = kind(message)
    together.exchanges = exchanges
    return together
