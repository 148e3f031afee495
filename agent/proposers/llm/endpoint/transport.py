"""One HTTP request to a chat-completions endpoint, with a total deadline, and what its failure means.

The client's own timeout is per read, so that a slow trickle never ends; asyncio cancels the whole request instead.
Nothing is retried here or in the client: the endpoint does that, in one place.
"""

import asyncio
import json
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal

import openai

from agent.proposers.llm.endpoint.completion import completion_of, error_in, has_answer
from agent.proposers.llm.endpoint.errors import EndpointError
from agent.proposers.llm.endpoint.scrub import Scrubber
from agent.proposers.llm.endpoint.settings import KEY_VARIABLE, LLMSettings

FaultKind = Literal[
    "busy", "server", "connection", "timeout", "garbled", "request", "refused", "not an API", "cancelled"
]

RETRYABLE: frozenset[FaultKind] = frozenset({"busy", "server", "connection", "timeout", "garbled"})
NOT_BILLED: frozenset[FaultKind] = frozenset({"busy", "request", "refused"})
"""Turned away before any token was generated. After the others the tokens may have been paid for."""


@dataclass(frozen=True)
class Fault:
    """Why a request gave no completion: a value, for the endpoint to act on."""

    kind: FaultKind
    message: str
    status: int | None = None
    retry_after: float | None = None
    sent: bool = True
    """False where no connection was made, so that nothing can have been generated."""

    @property
    def maybe_billed(self) -> bool:
        """Whether the endpoint may have charged for it."""
        return self.sent and self.kind not in NOT_BILLED


CANCEL_POLL_SECONDS = 0.2


class Transport:
    """Posts chat completions. Everything that comes back has the key scrubbed from it."""

    def __init__(self, settings: LLMSettings, scrubber: Scrubber) -> None:
        self._settings = settings
        self._scrub = scrubber
        self.cancelled = threading.Event()
        """Set from any thread, it ends every request under way."""

    def post(self, payload: dict[str, Any], seconds: float) -> dict[str, Any] | Fault:
        """The completion as parsed JSON, or the fault; returns within `seconds`."""
        return asyncio.run(self._until_cancelled(self._post(payload, seconds)))

    def models(self, seconds: float) -> tuple[str, ...]:
        """Names of the models that the endpoint offers. Raises EndpointError where it does not say."""
        return asyncio.run(self._models(seconds))

    def _client(self, seconds: float) -> openai.AsyncOpenAI:
        settings = self._settings
        http = openai.DefaultAsyncHttpxClient(trust_env=not settings.free)  # a proxy cannot reach this machine's server
        # The client insists on a key; servers without authentication ignore it.
        key = settings.key.get_secret_value() or "none"
        return openai.AsyncOpenAI(
            api_key=key, base_url=settings.base_url, max_retries=0, timeout=seconds, http_client=http
        )

    async def _until_cancelled(self, request: Coroutine[Any, Any, dict[str, Any] | Fault]) -> dict[str, Any] | Fault:
        task = asyncio.ensure_future(request)
        try:
            while not task.done() and not self.cancelled.is_set():
                await asyncio.wait({task}, timeout=CANCEL_POLL_SECONDS)
            return task.result() if task.done() else Fault("cancelled", "cancelled before the reply was complete")
        finally:
            task.cancel()  # asyncio.run then waits until the connection is closed

    async def _post(self, payload: dict[str, Any], seconds: float) -> dict[str, Any] | Fault:
        try:
            async with asyncio.timeout(seconds), self._client(seconds) as client:
                raw = await client.chat.completions.with_raw_response.create(**payload)
                return self._completion(raw.text)
        except TimeoutError:
            return Fault("timeout", f"no complete reply within {seconds:.3g} s")
        except openai.APIError as error:
            return self._fault(error, seconds)

    async def _models(self, seconds: float) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(seconds), self._client(seconds) as client:
                page = await client.models.list()
                return tuple(sorted(model.id for model in page.data))
        except (TimeoutError, openai.APIError, AttributeError, TypeError) as error:
            fault = self._fault(error, seconds) if isinstance(error, openai.APIError) else None
            reason = fault.message if fault else f"{self._settings.public_url} does not list its models"
        raise EndpointError(f"which model? {reason}; name one with --model") from None

    @staticmethod
    def text_of(body: dict[str, Any]) -> tuple[str, str, str]:
        """Text, finish reason and what withheld the text, of a completion that `post` returned."""
        said = completion_of(body)
        return said.text, said.finish, said.withheld

    def _completion(self, text: str) -> dict[str, Any] | Fault:
        text = self._scrub.text(text)
        if text.lstrip()[:1] == "<":
            url = self._settings.public_url
            return Fault("not an API", f"{url} answers with a web page; is the base URL right? It mostly ends in /v1")
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            return Fault("garbled", f"the reply is not JSON, or is cut off after {len(text)} characters")
        if not isinstance(body, dict):
            return Fault("garbled", f"the reply is a JSON {type(body).__name__}, not a chat completion")
        error = error_in(body)
        if error is not None:
            return Fault("server", f"the endpoint reports: {_summary(error)}")
        if not has_answer(body):
            return Fault("garbled", "the reply holds no message")
        return body

    def _fault(self, error: openai.APIError, seconds: float) -> Fault:
        url = self._settings.public_url
        if isinstance(error, openai.APITimeoutError):
            return Fault("timeout", f"no complete reply within {seconds:.3g} s")
        if isinstance(error, openai.APIStatusError):
            return self._status(error)
        cause = self._scrub.text(str(error.__cause__ or error)) or type(error.__cause__ or error).__name__
        sent = type(error.__cause__).__name__ not in {"ConnectError", "ConnectTimeout"}
        return Fault("connection", f"the connection to {url} failed ({cause})", sent=sent)

    def _status(self, error: openai.APIStatusError) -> Fault:
        status, url = error.status_code, self._settings.public_url
        said = self._scrub.text(_summary(error.body))
        after = _retry_after(error.response.headers.get("retry-after"))
        if status in (401, 403):
            message = f"{url} refuses the key ({status}: {said}); set {KEY_VARIABLE} to one that it accepts"
            return Fault("refused", message, status)
        if status == 404:
            return Fault(
                "refused", f"{url} knows no such model or address (404: {said}); check --model and --base-url", 404
            )
        if status == 429 and error.code == "insufficient_quota":
            return Fault(
                "refused", f"the quota at {url} is used up ({said}); top it up or use another endpoint", status
            )
        if status in (408, 409, 425, 429):
            return Fault("busy", f"{url} is busy or limits the rate ({status}: {said})", status, after)
        if status >= 500:
            return Fault("server", f"{url} failed ({status}: {said})", status, after)
        return Fault("request", f"{url} refuses the request ({status}: {said})", status)


def _summary(body: object) -> str:
    """What an error body says, in one line of bounded length."""
    if isinstance(body, dict):
        body = body.get("message") or body.get("error") or body
    if isinstance(body, dict):
        body = body.get("message") or json.dumps(body)
    line = " ".join(str(body or "no reason given").split())
    return line if len(line) <= 300 else line[:297] + "..."


def _retry_after(header: str | None) -> float | None:
    """Seconds that the endpoint asks to wait; a date is not worth parsing and counts as unknown."""
    try:
        seconds = float(header) if header is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None
