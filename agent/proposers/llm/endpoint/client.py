"""A chat-completions endpoint: one place for waits, retries, step-downs, budget, cost and journal."""

import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.listener import tell
from agent.proposers.llm.bookkeeping.journal import Journal
from agent.proposers.llm.bookkeeping.prices import Price, PriceTable, cost_of
from agent.proposers.llm.bookkeeping.spending import SpendingLimit
from agent.proposers.llm.configuration.scrub import Scrubber, secrets_in_url, secrets_of
from agent.proposers.llm.configuration.settings import KEY_VARIABLE, LLMSettings, form_for
from agent.proposers.llm.endpoint.capabilities import TOKEN_NAMES, Capabilities
from agent.proposers.llm.endpoint.command import CommandTransport
from agent.proposers.llm.endpoint.faults import RETRYABLE, Fault
from agent.proposers.llm.endpoint.gate import LONGEST_WAIT, Gate, StillShutError
from agent.proposers.llm.endpoint.stated_limits import read_model_card
from agent.proposers.llm.endpoint.token_limits import LEAST_REPLY, TokenLimits
from agent.proposers.llm.endpoint.transport import Transport
from agent.proposers.llm.errors import (
    BusyError,
    ContextOverflowError,
    EndpointError,
    PassingError,
    UnnamedModelError,
)
from agent.proposers.llm.tokens import estimate_tokens

Message = dict[str, str]
LEAST_SECONDS = 0.1
"""Time that an attempt is begun with; in less no reply comes, and the fault would be archer's."""
FIRST_WAIT = 0.5
STEP_DOWNS = 12
NO_CREDIT = 402
NO_LIST = frozenset({400, 404, 405, 501})
"""Of an endpoint that does not list its models, and may answer all the same."""
CARD_SECONDS, CARD_TRIES = 10.0, 2
"""How long, and how often, the endpoint is asked what it tells of its model; it need not tell anything."""


class Backend(Protocol):
    """What carries requests: HTTP, or a command."""

    cancelled: threading.Event

    def post(self, payload: dict[str, Any], seconds: float) -> dict[str, Any] | Fault:
        """The completion or the fault, within `seconds`."""
        ...

    def models(self, seconds: float) -> tuple[dict[str, Any], ...] | Fault:
        """What is told of each model."""
        ...


@dataclass(frozen=True)
class Request:
    """What to ask, independent of how the endpoint wants it said."""

    messages: tuple[Message, ...]
    schema: dict[str, Any]
    """Empty: any text will do."""
    seed: int
    reply_tokens: int | None = None
    """A limit below that of the settings."""

    @property
    def tokens(self) -> int:
        """Of the messages, as estimated."""
        return estimate_tokens("\n".join(message["content"] for message in self.messages))

    def digest(self, url: str, model: str) -> str:
        """SHA-256 that identifies the request in the journal."""
        text = json.dumps([url, model, self.messages, self.schema, self.seed], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class HttpAttempt:
    """One HTTP request and what came of it: `text` or `error`."""

    payload: dict[str, Any]
    text: str | None
    error: str | None
    usage: dict[str, Any]
    seconds: float
    finish: str = ""
    refusal: str = ""


@dataclass
class _Tried:
    """What was done for one reply so far."""

    began: float = field(default_factory=time.monotonic)
    requests: int = 0
    failures: int = 0
    last: Fault | None = None
    """Why the last request got no reply."""
    waited_for: str = ""
    """What the endpoint said, to this ask or to another one, if that was waited for since."""
    changes: list[str] = field(default_factory=list)

    @property
    def told(self) -> str:
        """For the end of an error."""
        return (f", after {self.requests} requests" if self.requests > 1 else "") + self.told_changes

    @property
    def told_changes(self) -> str:
        """The part that says in which ways it was asked."""
        return f"; tried {', '.join(dict.fromkeys(self.changes))}" if self.changes else ""


class Endpoint:
    """Thread-safe: capabilities, limits, budget and journal are shared, every request has a client of its own."""

    def __init__(self, settings: LLMSettings, budget: SpendingLimit | None = None) -> None:
        """`budget`: that of the run, where several endpoints share one. Raises EndpointError where this cannot work."""
        self.settings = settings
        self.scrubber, self.transport = _carrier(settings)
        self.budget = budget or SpendingLimit(settings.max_usd)
        self.journal = Journal(settings.journal)
        self.capabilities = Capabilities(limited=self.budget.max_usd is not None)
        self.gate = Gate(self.transport.cancelled)
        self._answered = False
        self._card_tries = CARD_TRIES
        self._card_lock = threading.Lock()
        self.model = settings.model or settings.deployment or self._only_model()
        least = LEAST_REPLY[form_for(settings, self.model)]
        self.limits = TokenLimits(settings.context_tokens, settings.reply_tokens, min(least, settings.reply_tokens))
        table = PriceTable.read(settings.prices)
        self.price = Price(input=0, output=0) if settings.free else table.models.get(self.model)
        self.budget.require(self.price, self.model)

    def cancel(self) -> None:
        """End every request and wait under way, in whatever thread, with an EndpointError there."""
        self.transport.cancelled.set()

    def read_card(self) -> None:
        """Take the lengths that the endpoint states of its model, where it does; asked until it has answered once."""
        with self._card_lock:
            if self._card_tries == 0 or self.settings.free or self.settings.command is not None:
                return
            self._card_tries -= 1
            cards = self.transport.models(min(CARD_SECONDS, self.settings.attempt_seconds))
            if isinstance(cards, Fault):
                return
            self._card_tries = 0
            own = [card for card in cards if card["id"] == self.model] or (cards if len(cards) == 1 else [])
            for card in own:
                self.limits.state(read_model_card(card))

    def _only_model(self) -> str:
        tried, deadline = _Tried(), time.monotonic() + self.settings.deadline_seconds
        while True:
            ticket = self._enter(deadline, tried)
            cards = self.transport.models(min(30.0, self.settings.attempt_seconds))
            if not isinstance(cards, Fault) or cards.kind != "busy":
                break
            tried.requests += 1
            self.gate.shut(ticket, FIRST_WAIT, cards.retry_after, _asking(cards))
        if isinstance(cards, Fault):
            if cards.status in NO_LIST or cards.kind == "garbled":
                raise UnnamedModelError(f"which model? {cards.message}; name one with --model")
            raise EndpointError(cards.message)
        names = tuple(str(card["id"]) for card in cards)
        if len(names) == 1:
            return names[0]
        url = self.settings.public_url
        offered = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        told = f"{url} offers: {offered}" if names else f"{url} does not list its models"
        raise UnnamedModelError(f"which model? name one with --model; {told}", names)

    def complete(
        self,
        request: Request,
        deadline: float,
        keep: Callable[[HttpAttempt], None],
        patience: float | None = None,
    ) -> HttpAttempt:
        """The first complete reply before `deadline` (on `time.monotonic`). `keep` is given every attempt.

        A busy endpoint is waited for until the deadline, or for `patience` seconds. Raises EndpointError where no reply
        can be had: ContextOverflowError, BudgetExceededError, and PassingError in particular.
        """
        recalled = self._recall(request)
        if recalled:
            keep(recalled)
            return recalled
        tried, form = _Tried(), self.capabilities.form
        patient = deadline if patience is None else min(deadline, tried.began + patience)
        while True:
            ticket = self._enter(patient, tried, impatient=patient < deadline)
            self._require_time(deadline, tried)
            attempt, fault = self._try(request, deadline)
            if fault is None:
                self._answered = True
                self.gate.passed(ticket)
                self.capabilities.worked()
                keep(attempt)
                return attempt
            tried.requests, tried.last, tried.waited_for = tried.requests + 1, fault, ""
            lesson = self._lesson(request, attempt.payload, fault) if len(tried.changes) < STEP_DOWNS else None
            if lesson is not None and request.tokens > self.limits.prompt_budget:
                keep(attempt)
                raise ContextOverflowError(fault.message)
            change = lesson or self._less(attempt.payload, fault, tried)
            if change:
                tried.changes.append(change)
                keep(_noting(attempt, f"{fault.message}; {change}"))
                continue
            keep(attempt)
            if fault.kind == "busy" or (self._answered and not fault.sent):  # it is there again once it has restarted
                self.gate.shut(ticket, FIRST_WAIT, fault.retry_after, _asking(fault))
                continue
            if fault.kind == "request":
                self.capabilities.restore(form)  # what was given up did not help
            self._pause(fault, attempt.payload, tried, deadline)

    def _enter(self, until: float, tried: _Tried, impatient: bool = False) -> int:
        """A ticket, once the endpoint is not known to be busy. Raises BusyError where that takes too long."""

        def waits(seconds: float, reason: str) -> None:
            tried.waited_for = reason
            tell(f"waits {seconds:.0f} s: {reason}")

        try:
            ticket = self.gate.enter(until, waits)
        except StillShutError as shut:
            why = "another model is asked meanwhile" if impatient else self._deadline
            raise BusyError(f"{shut.reason}; {why}{tried.told}") from None
        if ticket is None:
            raise EndpointError("cancelled while waiting to try again")
        return ticket

    def _require_time(self, deadline: float, tried: _Tried) -> None:
        """Raises PassingError, with what the endpoint said last, where too little time is left for a reply."""
        if deadline - time.monotonic() >= LEAST_SECONDS:
            return
        why = tried.waited_for or (_asking(tried.last) if tried.last else "no time was left to ask")
        raise (BusyError if tried.waited_for else PassingError)(f"{why}; {self._deadline}{tried.told}")

    @property
    def _deadline(self) -> str:
        return f"the deadline of {self.settings.deadline_seconds:g} s allows no other attempt"

    def _lesson(self, request: Request, payload: dict[str, Any], fault: Fault) -> str | None:
        """What the fault teaches of how long prompt and reply may be; None where it is about something else."""
        if fault.kind not in ("request", "server") and fault.status != NO_CREDIT:
            return None
        reply = next((payload[name] for name in TOKEN_NAMES if name in payload), None)
        lesson = self.limits.learn(fault.said, request.tokens, reply or self.limits.reply_tokens(request.tokens))
        if fault.status == NO_CREDIT and not self.limits.enough(request.tokens):
            return None  # what credit is left buys no reply
        return lesson

    def _less(self, payload: dict[str, Any], fault: Fault, tried: _Tried) -> str | None:
        """What will be left out of the next request, so that it is not refused again; None if nothing can be."""
        if len(tried.changes) >= STEP_DOWNS or self.settings.command is not None:
            return None
        if fault.status in (400, 422) and fault.kind == "request":
            return self.capabilities.adapt(payload, fault.said)
        if fault.status in (None, 404, 405, 415, 500, 501):
            return self.capabilities.adapt(payload, fault.said, named_only=True)
        return None

    def _recall(self, request: Request) -> HttpAttempt | None:
        entry = self.journal.recall(request.digest(self.settings.public_url, self.model))
        if entry is None:
            return None
        text, finish, refusal = Transport.text_of(entry.reply)
        usage = {**entry.usage, "usd": entry.usd, "from_journal": True}
        return HttpAttempt(entry.payload, text, None, usage, entry.seconds, finish, refusal)

    def _try(self, request: Request, deadline: float) -> tuple[HttpAttempt, Fault | None]:
        settings = self.settings
        body = {
            "model": self.model,
            "messages": list(request.messages),
            "seed": request.seed % 2**31,
            "temperature": settings.temperature,
        }
        reply_tokens = min(self.limits.reply_tokens(request.tokens), request.reply_tokens or settings.reply_tokens)
        if settings.command is None:
            payload = self.capabilities.payload(body, request.schema, reply_tokens)
        else:
            payload = {"command": self.model, "messages": body["messages"]}
        prompt_tokens = estimate_tokens(json.dumps(payload, ensure_ascii=False))
        reserved = self.budget.reserve(self.price, self.model, prompt_tokens, reply_tokens)
        seconds = min(settings.attempt_seconds, deadline - time.monotonic())
        started, usd = time.monotonic(), None
        fault: Fault | None = None
        try:
            result = self.transport.post(payload, max(seconds, LEAST_SECONDS))
            fault = result if isinstance(result, Fault) else None
            usage = {} if isinstance(result, Fault) else _usage(result)
            usd = cost_of(usage, self.price) if fault is None else _cost_of_fault(fault, settings.free)
        finally:
            self.budget.settle(reserved, usd)  # an interrupt leaves the cost unknown
        attempt = self._attempt(request, payload, result, usage, usd, time.monotonic() - started)
        return attempt, fault

    def _attempt(
        self,
        request: Request,
        payload: dict[str, Any],
        result: dict[str, Any] | Fault,
        usage: dict[str, Any],
        usd: float | None,
        seconds: float,
    ) -> HttpAttempt:
        error = result.message if isinstance(result, Fault) else None
        entry = {
            "hash": request.digest(self.settings.public_url, self.model),
            "url": self.settings.public_url,
            "payload": payload,
            "reply": None if isinstance(result, Fault) else result,
            "error": error,
            "usage": usage,
            "usd": usd,
            "seconds": round(seconds, 3),
        }
        self.journal.append(self.scrubber.value(entry))
        usage = {**usage, "usd": usd}
        if isinstance(result, Fault):
            return HttpAttempt(payload, None, error, usage, seconds)
        text, finish, refusal = Transport.text_of(result)
        return HttpAttempt(payload, text, None, usage, seconds, finish, refusal)

    def _pause(self, fault: Fault, payload: dict[str, Any], tried: _Tried, deadline: float) -> None:
        """Sleep before the next try. Raises EndpointError where there is to be none."""
        passing = fault.kind in RETRYABLE or (self._answered and fault.kind == "not an API")
        if not passing:
            known = fault.kind == "filtered" or (self._answered and fault.kind == "request")
            raise (PassingError if known else EndpointError)(f"{fault.message}{tried.told_changes}")
        if fault.kind in ("garbled", "stream") and (change := self.capabilities.broke(payload)):
            tried.changes.append(change)
        tried.failures += 1
        if tried.failures >= self.settings.attempts:
            raise PassingError(f"{fault.message}; gave up after {tried.failures} attempts{tried.told_changes}")
        grown = min(FIRST_WAIT * 2 ** (tried.failures - 1), LONGEST_WAIT) * random.uniform(1, 1.5)
        wait = max(grown, fault.retry_after or 0.0)
        if wait >= deadline - time.monotonic():
            raise PassingError(f"{_asking(fault)}; {self._deadline}{tried.told}")
        tell(f"tries again in {wait:.0f} s: {fault.message}")
        if self.transport.cancelled.wait(wait):
            raise EndpointError("cancelled while waiting to try again")


def _carrier(settings: LLMSettings) -> tuple[Scrubber, Backend]:
    """What carries requests, and what scrubs secrets from all that comes back."""
    key = settings.key.get_secret_value()
    if settings.command is None:
        scrubber = Scrubber(key, *secrets_in_url(settings.base_url))
        return scrubber, Transport(settings, scrubber)
    environment = {**os.environ, **({KEY_VARIABLE: key} if key else {})}
    scrubber = Scrubber(key, *secrets_of(environment))
    return scrubber, CommandTransport(settings, scrubber, environment)


def _asking(fault: Fault) -> str:
    asked = f", which asks to wait {fault.retry_after:.0f} s" if fault.retry_after is not None else ""
    return f"{fault.message}{asked}"


def _noting(attempt: HttpAttempt, error: str) -> HttpAttempt:
    return HttpAttempt(attempt.payload, None, error, attempt.usage, attempt.seconds)


def _usage(reply: dict[str, Any]) -> dict[str, Any]:
    """Usage as reported, without counts that are no numbers: whoever adds tokens up relies on it."""
    usage = reply.get("usage")
    counts = ("prompt_tokens", "completion_tokens", "total_tokens")
    reported = usage if isinstance(usage, dict) else {}
    return {name: value for name, value in reported.items() if name not in counts or isinstance(value, int)}


def _cost_of_fault(fault: Fault, free: bool) -> float | None:
    return None if fault.maybe_billed and not free else 0.0
