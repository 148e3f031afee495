"""One HTTP request to a chat-completions endpoint, with a total deadline, and what its failure means.

The client's own timeout is per read, so that a slow trickle never ends; asyncio cancels the whole request instead.
Nothing is retried here or in the client: the endpoint does that, in one place.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import httpx2
import openai

from agent.listener import tell
from agent.proposers.llm.configuration.scrub import Scrubber
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.endpoint.completion import completion_of, error_in, has_answer
from agent.proposers.llm.endpoint.faults import Fault, fault_of, reported_fault
from agent.proposers.llm.endpoint.stream import CompletionStream
from agent.proposers.llm.json_values import parsed, tamed

CANCEL_POLL_SECONDS = 0.2
CONNECT_SECONDS = 30.0
LONGEST_REPLY = 32_000_000
"""Bytes; what is longer is no reply."""
WEB_PAGE = "{} answers with a web page; is the base URL right? It mostly ends in /v1"

Answer = TypeVar("Answer")


class Transport:
    """Posts chat completions. Everything that comes back has the key scrubbed from it."""

    def __init__(self, settings: LLMSettings, scrubber: Scrubber) -> None:
        self._settings = settings
        self._scrub = scrubber
        self.cancelled = threading.Event()
        """Set from any thread, it ends every request under way."""

    def post(self, payload: dict[str, Any], seconds: float) -> dict[str, Any] | Fault:
        """The completion as parsed JSON, or the fault; returns within `seconds`. A stream comes back as a whole."""
        return asyncio.run(self._until_cancelled(self._post(payload, seconds)))

    def models(self, seconds: float) -> tuple[dict[str, Any], ...] | Fault:
        """What the endpoint tells of each of its models, by id; `id` is in each."""
        return asyncio.run(self._until_cancelled(self._models(seconds)))

    def _client(self, seconds: float) -> openai.AsyncOpenAI:
        settings = self._settings
        http = openai.DefaultAsyncHttpxClient(trust_env=not settings.free)  # a proxy cannot reach this machine's server
        # The client insists on a key; servers without authentication ignore it.
        key = settings.key.get_secret_value() or "none"
        return openai.AsyncOpenAI(
            api_key=key,
            base_url=settings.address,
            default_query=settings.query,
            default_headers={"api-key": key} if settings.azure else None,
            max_retries=0,
            timeout=httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
            http_client=http,
        )

    async def _until_cancelled(self, request: Coroutine[Any, Any, Answer | Fault]) -> Answer | Fault:
        task = asyncio.ensure_future(request)
        try:
            while not task.done() and not self.cancelled.is_set():
                await asyncio.wait({task}, timeout=CANCEL_POLL_SECONDS)
            return task.result() if task.done() else Fault("cancelled", "cancelled before the reply was complete")
        finally:
            task.cancel()  # asyncio.run then waits until the connection is closed

    async def _post(self, payload: dict[str, Any], seconds: float) -> dict[str, Any] | Fault:
        async def ask(client: openai.AsyncOpenAI) -> dict[str, Any] | Fault:
            async with client.chat.completions.with_streaming_response.create(**payload) as response:
                return await self._read(response.iter_bytes(), response.headers)

        return await self._guarded(ask, seconds)

    async def _models(self, seconds: float) -> tuple[dict[str, Any], ...] | Fault:
        async def ask(client: openai.AsyncOpenAI) -> tuple[dict[str, Any], ...] | Fault:
            raw = await client.models.with_raw_response.list()
            return self._listed(raw.text)

        return await self._guarded(ask, seconds)

    async def _guarded(
        self, ask: Callable[[openai.AsyncOpenAI], Coroutine[Any, Any, Answer | Fault]], seconds: float
    ) -> Answer | Fault:
        """What `ask` gives, with all that can go wrong on the way as a fault."""
        try:
            async with asyncio.timeout(seconds), self._client(seconds) as client:
                return await ask(client)
        except TimeoutError:
            return Fault("timeout", f"no complete reply within {seconds:.3g} s")
        except openai.APIError as error:
            return self._fault(error, seconds)
        except httpx2.TimeoutException:
            return Fault("timeout", f"no complete reply within {seconds:.3g} s")
        except httpx2.HTTPError as error:  # while the body is read, the client does not wrap them
            return self._lost(error)

    async def _read(self, pieces: AsyncIterator[bytes], headers: Mapping[str, str]) -> dict[str, Any] | Fault:
        """The completion, streamed or whole: which it is, the body says better than its headers."""
        whole, stream = bytearray(), CompletionStream()
        try:
            async for piece in self._not_stalled(pieces, stream):
                whole += piece
                if len(whole) > LONGEST_REPLY:
                    return Fault("garbled", f"the reply is longer than {LONGEST_REPLY:,} bytes")
                if _is_stream(whole):
                    stream.feed(piece if stream.begun else bytes(whole))
                    tell(f"{stream.tokens:,} tokens of the reply")
        except TimeoutError:
            if not stream.complete:
                silence = self._settings.stall_seconds
                return Fault("stream", f"the stream stalled: nothing for {silence:g} s after {stream.tokens} tokens")
        except httpx2.HTTPError as error:
            if not stream.begun:
                raise
            if not stream.complete:
                return Fault("stream", f"{self._lost(error).message} after {stream.tokens} tokens of the reply")
        if stream.begun:
            return self._streamed(stream, headers)
        return self._completion(whole.decode("utf-8", "replace"), headers)

    async def _not_stalled(self, pieces: AsyncIterator[bytes], stream: CompletionStream) -> AsyncIterator[bytes]:
        """The pieces until the stream says that it has ended. Raises TimeoutError where they stay away.

        A model may think, or wait in a queue, before its first token; only after that is silence a stall.
        """
        while not stream.over:
            async with asyncio.timeout(self._settings.stall_seconds if stream.tokens else None):
                try:
                    piece = await anext(pieces)
                except StopAsyncIteration:
                    return
            yield piece

    def _streamed(self, stream: CompletionStream, headers: Mapping[str, str]) -> dict[str, Any] | Fault:
        stream.close()
        if stream.error:
            fault = reported_fault(self._settings.public_url, self._scrub.value(stream.error), headers)
            return replace(fault, begun=stream.tokens > 0)
        if not stream.complete:
            return Fault("stream", f"the stream was cut off after {stream.tokens} tokens, before the reply's end")
        return self._completion(json.dumps(stream.body), headers)

    @staticmethod
    def text_of(body: dict[str, Any]) -> tuple[str, str, str]:
        """Text, finish reason and what withheld the text, of a completion that `post` returned."""
        said = completion_of(body)
        return said.text, said.finish, said.withheld

    def _completion(self, text: str, headers: Mapping[str, str]) -> dict[str, Any] | Fault:
        text = self._scrub.text(text)
        url = self._settings.public_url
        if text.lstrip()[:1] == "<":
            return Fault("not an API", WEB_PAGE.format(url))
        try:
            body = parsed(text)
        except ValueError:
            return Fault("garbled", f"the reply is not JSON, or is cut off after {len(text)} characters")
        if not isinstance(body, dict):
            return Fault("garbled", f"the reply is a JSON {type(body).__name__}, not a chat completion")
        error = error_in(body)
        if error is not None:
            return reported_fault(url, error, headers)
        if not has_answer(body):
            return Fault("garbled", "the reply holds no message")
        return body

    def _listed(self, text: str) -> tuple[dict[str, Any], ...] | Fault:
        if text.lstrip()[:1] == "<":
            return Fault("not an API", WEB_PAGE.format(self._settings.public_url))
        try:
            body = parsed(self._scrub.text(text))
        except ValueError:
            return Fault("garbled", "the list of models is not JSON")
        listed = (body.get("data") or body.get("models")) if isinstance(body, dict) else body
        cards = [card for card in listed if isinstance(card, dict)] if isinstance(listed, list) else []
        named = [{"id": card.get("id") or card.get("name") or card.get("model"), **card} for card in cards]
        return tuple(sorted((card for card in named if isinstance(card["id"], str)), key=lambda card: card["id"]))

    def _fault(self, error: openai.APIError, seconds: float) -> Fault:
        cause = error.__cause__ or error
        if isinstance(error, openai.APITimeoutError) and not isinstance(cause, httpx2.ConnectTimeout):
            return Fault("timeout", f"no complete reply within {seconds:.3g} s")
        if isinstance(error, openai.APIStatusError):
            body = self._scrub.value(_body_of(error))
            return fault_of(self._settings.public_url, error.status_code, body, error.response.headers)
        return self._lost(cause)

    def _lost(self, error: BaseException) -> Fault:
        cause = self._scrub.text(str(error)) or type(error).__name__
        sent = type(error).__name__ not in {"ConnectError", "ConnectTimeout"}
        return Fault("connection", f"the connection to {self._settings.public_url} failed ({cause})", sent=sent)


def _body_of(error: openai.APIStatusError) -> object:
    """The body of an error as the client has read it; its text where that is no JSON that can be walked."""
    try:
        return tamed(error.body)
    except ValueError:
        return error.response.text


def _is_stream(start: bytearray) -> bool:
    """Whether a body is one of server-sent events; a whole reply begins with a brace, a web page with its tag."""
    return start[:64].removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"data:", b"event:", b"id:", b"retry:", b":"))
