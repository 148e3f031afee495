"""A chat-completions endpoint: one place for retries, step-downs, budget, cost and journal."""

import hashlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.proposers.llm.endpoint.capabilities import Capabilities
from agent.proposers.llm.endpoint.errors import ContextOverflowError, EndpointError
from agent.proposers.llm.endpoint.journal import Journal
from agent.proposers.llm.endpoint.prices import Price, PriceTable, cost_of
from agent.proposers.llm.endpoint.scrub import Scrubber
from agent.proposers.llm.endpoint.settings import LLMSettings
from agent.proposers.llm.endpoint.spending import SpendingLimit
from agent.proposers.llm.endpoint.tokens import estimate_tokens
from agent.proposers.llm.endpoint.transport import RETRYABLE, Fault, Transport

Message = dict[str, str]
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
STEP_DOWNS = 5
_OVERFLOW = ("context_length", "context length", "context size", "exceed_context", "maximum context", "too many tokens")


@dataclass(frozen=True)
class Request:
    """What to ask, independent of how the endpoint wants it said."""

    messages: tuple[Message, ...]
    schema: dict[str, Any]
    seed: int

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


class Endpoint:
    """Thread-safe: capabilities, budget and journal are shared, every request has a client of its own."""

    def __init__(self, settings: LLMSettings) -> None:
        self.settings = settings
        self.scrubber = Scrubber(settings.key.get_secret_value())
        self.transport = Transport(settings, self.scrubber)
        self.budget = SpendingLimit(settings.max_usd)
        self.journal = Journal(settings.journal)
        self.capabilities = Capabilities()
        self.model = settings.model or self._only_model()
        table = PriceTable.read(settings.prices)
        self.price = Price(input=0, output=0) if settings.free else table.models.get(self.model)
        self.budget.require(self.price, self.model)

    def cancel(self) -> None:
        """End every request and wait under way, in whatever thread, with an EndpointError there."""
        self.transport.cancelled.set()

    def _only_model(self) -> str:
        models = self.transport.models(min(30.0, self.settings.attempt_seconds))
        if len(models) != 1:
            offered = ", ".join(models[:8]) + (", ..." if len(models) > 8 else "")
            raise EndpointError(f"which model? name one with --model; {self.settings.public_url} offers: {offered}")
        return models[0]

    def complete(self, request: Request, deadline: float, keep: Callable[[HttpAttempt], None]) -> HttpAttempt:
        """The first complete reply before `deadline` (on `time.monotonic`). `keep` is given every attempt.

        Raises EndpointError where no reply can be had, ContextOverflowError and BudgetExceededError in particular.
        """
        recalled = self._recall(request)
        if recalled:
            keep(recalled)
            return recalled
        tries = steps = 0
        while True:
            attempt, fault = self._try(request, deadline)
            if fault is None:
                keep(attempt)
                return attempt
            change = None
            if fault.status in (400, 422) and not _overflows(fault) and steps < STEP_DOWNS:
                change = self.capabilities.adapt(attempt.payload, fault.message)
            if change:
                steps += 1
                keep(_noting(attempt, f"{fault.message}; {change}"))
                continue
            tries += 1
            keep(attempt)
            self._wait(fault, tries, deadline)

    def _recall(self, request: Request) -> HttpAttempt | None:
        entry = self.journal.recall(request.digest(self.settings.public_url, self.model))
        if entry is None:
            return None
        text, finish, refusal = self.transport.text_of(entry["reply"])
        usage = {**entry["usage"], "usd": entry["usd"], "from_journal": True}
        return HttpAttempt(entry["payload"], text, None, usage, entry["seconds"], finish, refusal)

    def _try(self, request: Request, deadline: float) -> tuple[HttpAttempt, Fault | None]:
        settings = self.settings
        body = {
            "model": self.model,
            "messages": list(request.messages),
            "seed": request.seed % 2**31,
            "temperature": settings.temperature,
        }
        payload = self.capabilities.payload(body, request.schema, settings.reply_tokens)
        prompt_tokens = estimate_tokens(json.dumps(payload, ensure_ascii=False))
        reserved = self.budget.reserve(self.price, self.model, prompt_tokens, settings.reply_tokens)
        seconds = min(settings.attempt_seconds, deadline - time.monotonic())
        started, usd = time.monotonic(), None
        fault: Fault | None = None
        try:
            result = self.transport.post(payload, max(seconds, 0.01))
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
        text, finish, refusal = self.transport.text_of(result)
        return HttpAttempt(payload, text, None, usage, seconds, finish, refusal)

    def _wait(self, fault: Fault, tries: int, deadline: float) -> None:
        """Sleep before the next try. Raises EndpointError where there is to be none."""
        if _overflows(fault):
            raise ContextOverflowError(fault.message)
        if fault.kind not in RETRYABLE:
            raise EndpointError(fault.message)
        if tries >= self.settings.attempts:
            raise EndpointError(f"{fault.message}; gave up after {tries} attempts")
        backoff = min(FIRST_WAIT * 2 ** (tries - 1), LONGEST_WAIT) * random.uniform(1, 1.5)
        wait = backoff if fault.retry_after is None else max(fault.retry_after, 0.05)
        left = deadline - time.monotonic()
        if wait >= left:
            asked = f", which asks to wait {wait:.0f} s" if fault.retry_after is not None else ""
            limit = self.settings.deadline_seconds
            raise EndpointError(f"{fault.message}{asked}; the deadline of {limit:g} s allows no other attempt")
        if self.transport.cancelled.wait(wait):
            raise EndpointError("cancelled while waiting to try again")


def _noting(attempt: HttpAttempt, error: str) -> HttpAttempt:
    return HttpAttempt(attempt.payload, None, error, attempt.usage, attempt.seconds)


def _overflows(fault: Fault) -> bool:
    return fault.kind == "request" and any(word in fault.message.lower() for word in _OVERFLOW)


def _usage(reply: dict[str, Any]) -> dict[str, Any]:
    """Usage as reported, without counts that are no numbers: whoever adds tokens up relies on it."""
    usage = reply.get("usage")
    counts = ("prompt_tokens", "completion_tokens", "total_tokens")
    reported = usage if isinstance(usage, dict) else {}
    return {name: value for name, value in reported.items() if name not in counts or isinstance(value, int)}


def _cost_of_fault(fault: Fault, free: bool) -> float | None:
    return None if fault.maybe_billed and not free else 0.0
