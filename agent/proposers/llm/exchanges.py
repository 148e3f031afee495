"""Attempts as the archive keeps them: `Exchange.prompt` is JSON of the conversation and of the rest of the request."""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from agent.proposers.llm.configuration.scrub import Scrubber
from agent.proposers.llm.endpoint.client import HttpAttempt
from agent.proposers.llm.json_values import parsed
from agent.proposers.llm.prompt.conversation import Conversation
from archive.records.record import Exchange


class Log:
    """The exchanges of one ask, in order. The key is scrubbed from all of them."""

    def __init__(self, scrubber: Scrubber, url: str, templates: dict[str, str]) -> None:
        self._scrub = scrubber
        self._about = {"url": url, "templates": templates}
        self._exchanges: list[Exchange] = []
        self._written: dict[str, int] = {}

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All attempts so far."""
        return tuple(self._exchanges)

    def add(self, conversation: Conversation, attempt: HttpAttempt) -> None:
        """Keep an attempt. A conversation that an earlier attempt of this ask sent too is referred to."""
        number = len(self._exchanges) + 1
        request = {name: value for name, value in attempt.payload.items() if name != "messages"}
        prompt: dict[str, Any] = {**self._about, "request": request}
        earlier = self._written.setdefault(conversation.digest, number)
        if earlier != number:
            prompt["as_in_attempt"] = earlier
        else:
            prompt["conversation"] = conversation.model_dump(mode="json")
        self._exchanges.append(
            Exchange(
                attempt=number,
                prompt=json.dumps(self._scrub.value(prompt), ensure_ascii=False),
                reply=None if attempt.text is None else self._scrub.text(attempt.text),
                error=None if attempt.error is None else self._scrub.text(attempt.error),
                usage=self._scrub.value(
                    {**attempt.usage, "finish_reason": attempt.finish} if attempt.finish else attempt.usage
                ),
                seconds=round(attempt.seconds, 3),
            )
        )

    def reject(self, problem: str) -> None:
        """Note why the last reply cannot be used."""
        self._exchanges[-1] = self._exchanges[-1].model_copy(update={"error": self._scrub.text(problem)})


def last_conversation(exchanges: Sequence[Exchange]) -> tuple[Conversation, Exchange] | None:
    """The last exchange with a reply, and the prompt that it answers; None where there is none that can be read."""
    answered = [exchange for exchange in exchanges if exchange.reply is not None]
    if not answered:
        return None
    try:
        prompt = parsed(answered[-1].prompt)
        if "as_in_attempt" in prompt:
            written = next(exchange for exchange in exchanges if exchange.attempt == prompt["as_in_attempt"])
            prompt = parsed(written.prompt)
        return Conversation.model_validate(prompt["conversation"]), answered[-1]
    except (ValueError, TypeError, KeyError, StopIteration, ValidationError):
        return None


def joined(first: tuple[Exchange, ...], second: tuple[Exchange, ...]) -> tuple[Exchange, ...]:
    """The exchanges of two asks as those of one: the second's are renumbered."""
    return first + tuple(_renumbered(exchange, len(first)) for exchange in second) if first else second


def _renumbered(exchange: Exchange, by: int) -> Exchange:
    prompt = json.loads(exchange.prompt)
    if "as_in_attempt" in prompt:
        prompt["as_in_attempt"] += by
    update = {"attempt": exchange.attempt + by, "prompt": json.dumps(prompt, ensure_ascii=False)}
    return exchange.model_copy(update=update)


def model_of(exchange: Exchange) -> str | None:
    """Name of the model that was asked; None where it is not recorded."""
    try:
        request = parsed(exchange.prompt)["request"]
        return str(request.get("model") or request["command"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def templates_of(exchange: Exchange) -> dict[str, str]:
    """Digests of the templates that a prompt was made with, by name; none where they are not recorded."""
    try:
        return {str(name): str(digest) for name, digest in parsed(exchange.prompt)["templates"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def usd_of(exchanges: Sequence[Exchange]) -> float | None:
    """US dollars of all attempts together; None, that is unknown, as soon as one of them is unknown."""
    costs = [exchange.usage.get("usd") for exchange in exchanges]
    return None if not costs or None in costs else float(sum(cost for cost in costs if cost is not None))
