"""Whether an endpoint answers: one token of one model, for `archer doctor`."""

import time
from dataclasses import dataclass

from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.endpoint.capabilities import Capabilities
from agent.proposers.llm.endpoint.client import Endpoint, HttpAttempt, Request
from agent.proposers.llm.errors import EndpointError, UnnamedModelError

SECONDS = 60.0
MORE_TOKENS = 16
"""For endpoints that refuse a limit of 1."""
_QUESTION = ({"role": "user", "content": "Say OK."},)


@dataclass(frozen=True)
class Answered:
    """What a model answered with."""

    model: str
    seconds: float
    prompt_tokens: int | None
    reply_tokens: int | None
    usd: float | None
    """What the endpoint says it cost, or the price table; None: unknown."""
    window: int | None
    """Tokens of prompt and reply together, where the endpoint states it."""


def probe(settings: LLMSettings) -> Answered:
    """Ask for one token. Raises EndpointError, BusyError in particular, where none comes.

    Where no model is named, any that is offered is asked. Raises UnnamedModelError where that one does not answer.
    """
    try:
        return _probed(_in_short(settings))
    except UnnamedModelError as unnamed:
        try:
            return _probed(_in_short(settings.model_copy(update={"model": (*unnamed.offered, "default")[0]})))
        except EndpointError as error:
            if unnamed.offered and not error.passing:
                raise unnamed from None
            raise


def _probed(settings: LLMSettings) -> Answered:
    endpoint = Endpoint(settings)
    endpoint.capabilities = Capabilities(limited=True)  # a reply without a limit is more than a token
    endpoint.read_card()
    try:
        attempt = _ask(endpoint, 1)
    except EndpointError as error:
        if error.passing or "token" not in error.message:
            raise
        attempt = _ask(endpoint, MORE_TOKENS)
    usage = attempt.usage
    return Answered(
        endpoint.model,
        attempt.seconds,
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        usage["usd"],
        endpoint.limits.window,
    )


def _in_short(settings: LLMSettings) -> LLMSettings:
    short = {"deadline_seconds": min(settings.deadline_seconds, SECONDS), "attempts": min(settings.attempts, 2)}
    return settings.model_copy(update={**short, "journal": None, "max_usd": None})


def _ask(endpoint: Endpoint, tokens: int) -> HttpAttempt:
    request = Request(_QUESTION, {}, seed=0, reply_tokens=tokens)
    return endpoint.complete(request, time.monotonic() + endpoint.settings.deadline_seconds, lambda _: None)
