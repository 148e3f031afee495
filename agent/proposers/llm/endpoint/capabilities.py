"""What an endpoint accepts, learnt from what it refuses, and remembered for as long as it is used."""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

RESPONSE_FORMATS = ("json_schema", "json_object", "plain")
TOKEN_NAMES = ("max_tokens", "max_completion_tokens")
BROKEN_STREAMS = 2
"""In a row; then the whole reply is asked for at once, until that fails as often."""

_NAMED = {
    "stream_options": r"stream_options|include_usage",
    "stream": r"\bstream(s|ed|ing)?\b|event-stream",
    "system": r"\bsystem[ _'\"]*(role|message|prompt|instruction)|\broles?\b.{0,60}\bsystem\b|\bsystem\b.{0,60}\brole"
    r"|['\"]system['\"]|developer instruction|roles? must alternate|should be ['\"]?user['\"]? or ['\"]?assistant",
    "response_format": r"response_format|json.?schema|\bschema\b|json_object|json.?mode|\bgrammar|structured output"
    r"|guided|requested parameters",
    "max_tokens": r"max_tokens|max_completion_tokens",
    "temperature": r"\btemperature\b",
    "seed": r"\bseed\b",
}
_PATTERNS = {name: re.compile(pattern, re.IGNORECASE | re.DOTALL) for name, pattern in _NAMED.items()}
_UNNAMED = ("response_format", "system", "stream_options", "stream", "seed", "temperature")
"""What goes first where the complaint names nothing: endpoints differ most in the schema."""


@dataclass(frozen=True)
class Form:
    """How requests are put."""

    response_format: int = 0
    tokens: int = 0
    """Index of the name that limits the reply; beyond the last one, nothing limits it."""
    system: bool = True
    stream: bool = True
    stream_refused: bool = False
    left_out: frozenset[str] = frozenset()


class Capabilities:
    """Builds request bodies in the fullest form not yet refused; shared by all threads that use one endpoint."""

    def __init__(self, limited: bool = True) -> None:
        """`limited`: a reply must have a limit, as what it can cost is kept to one."""
        self._limited = limited
        self._lock = threading.Lock()
        self._form = Form()
        self._broken = 0

    @property
    def form(self) -> Form:
        """The form in force."""
        return self._form

    def restore(self, form: Form) -> None:
        """Go back to an earlier form: what was given up since did not help."""
        with self._lock:
            self._form = form

    def payload(self, body: dict[str, Any], schema: dict[str, Any], reply_tokens: int) -> dict[str, Any]:
        """The request body, with schema, roles and the limit on tokens in the form that the endpoint takes."""
        form = self._form
        payload = {name: value for name, value in body.items() if name not in form.left_out and value is not None}
        if not form.system:
            payload["messages"] = folded(payload["messages"])
        if form.tokens < len(TOKEN_NAMES):
            payload[TOKEN_NAMES[form.tokens]] = reply_tokens
        kind = RESPONSE_FORMATS[form.response_format]
        if schema and kind == "json_schema":
            payload["response_format"] = {
                "type": kind,
                "json_schema": {"name": "proposal", "strict": True, "schema": schema},
            }
        elif schema and kind == "json_object":
            payload["response_format"] = {"type": kind}
        if form.stream and not form.stream_refused:
            payload["stream"] = True
            if "stream_options" not in form.left_out:
                payload["stream_options"] = {"include_usage": True}
        return payload

    def adapt(self, payload: dict[str, Any], complaint: str, named_only: bool = False) -> str | None:
        """Step down after `payload` was refused; returns what will be different, None where nothing more can be.

        What the complaint names first is changed first. A complaint that names nothing costs one thing after the
        other, unless `named_only`.
        """
        found = {name: pattern.search(complaint) for name, pattern in _PATTERNS.items()}
        places = {name: match.start() for name, match in found.items() if match}
        named = sorted(places, key=lambda name: places[name])
        with self._lock:
            for name in named or ([] if named_only else _UNNAMED):
                change = self._step(name, payload)
                if change:
                    return change
        return None

    def broke(self, payload: dict[str, Any]) -> str | None:
        """A reply was lost on its way: after some in a row, change between streams and whole replies."""
        with self._lock:
            self._broken += 1
            if self._broken < BROKEN_STREAMS or self._form.stream_refused:
                return None
            self._broken = 0
            self._form = replace(self._form, stream=not payload.get("stream", False))
            return "asking for a stream" if self._form.stream else "asking without a stream"

    def worked(self) -> None:
        """A reply came through."""
        with self._lock:
            self._broken = 0

    def _step(self, name: str, payload: dict[str, Any]) -> str | None:
        # Another thread may have stepped down since this payload was built: what counts is what was sent.
        if name == "response_format":
            return self._less_format(payload)
        if name == "max_tokens":
            return self._other_token_name(payload)
        if name == "system":
            if all(message["role"] != "system" for message in payload["messages"]):
                return None
            self._form = replace(self._form, system=False)
            return "putting the system's text before the user's"
        if name not in payload:
            return None
        if name == "stream":
            self._form = replace(self._form, stream_refused=True)
            return "asking without a stream"
        self._form = replace(self._form, left_out=self._form.left_out | {name})
        return f"leaving out {name}"

    def _less_format(self, payload: dict[str, Any]) -> str | None:
        sent = payload.get("response_format", {}).get("type", "plain")
        rung = RESPONSE_FORMATS.index(sent) + 1
        if rung == len(RESPONSE_FORMATS):
            return None
        self._form = replace(self._form, response_format=max(self._form.response_format, rung))
        return f"asking for {RESPONSE_FORMATS[self._form.response_format]} in place of {sent}"

    def _other_token_name(self, payload: dict[str, Any]) -> str | None:
        sent = next((place for place, name in enumerate(TOKEN_NAMES) if name in payload), len(TOKEN_NAMES))
        if sent + self._limited >= len(TOKEN_NAMES):
            return None
        self._form = replace(self._form, tokens=max(self._form.tokens, sent + 1))
        if self._form.tokens == len(TOKEN_NAMES):
            return "leaving out the limit on the reply"
        return f"limiting the reply by {TOKEN_NAMES[self._form.tokens]}"


def folded(messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The messages without a system's: its text begins the first of the user's."""
    system = "\n\n".join(message["content"].strip() for message in messages if message["role"] == "system")
    rest = [dict(message) for message in messages if message["role"] != "system"]
    if system:
        first = next(message for message in rest if message["role"] == "user")
        first["content"] = f"{system}\n\n{first['content']}"
    return rest
