"""What an endpoint accepts, learnt from what it refuses, and remembered for as long as it is used."""

import threading
from typing import Any

RESPONSE_FORMATS = ("json_schema", "json_object", "plain")

_MESSAGE_WORDS = {
    "response_format": ("response_format", "json_schema", "schema", "json_object", "grammar", "structured output"),
    "max_tokens": ("max_tokens", "max_completion_tokens"),
    "temperature": ("temperature",),
    "seed": ("seed",),
}


class Capabilities:
    """Builds request bodies in the fullest form not yet refused; shared by all threads that use one endpoint."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._format = 0
        self._token_names = ["max_tokens", "max_completion_tokens"]
        self._left_out: set[str] = set()

    def payload(self, body: dict[str, Any], schema: dict[str, Any], reply_tokens: int) -> dict[str, Any]:
        """The request body, with the schema and the limit on tokens in the form that the endpoint takes."""
        with self._lock:
            form, tokens, left_out = RESPONSE_FORMATS[self._format], self._token_names[0], set(self._left_out)
        payload = {name: value for name, value in body.items() if name not in left_out and value is not None}
        payload[tokens] = reply_tokens
        if form == "json_schema":
            payload["response_format"] = {
                "type": form,
                "json_schema": {"name": "proposal", "strict": True, "schema": schema},
            }
        elif form == "json_object":
            payload["response_format"] = {"type": form}
        return payload

    def adapt(self, payload: dict[str, Any], complaint: str) -> str | None:
        """Step down after a 400 to `payload`; returns what will be different, None where nothing more can be.

        The parameter that the complaint names is changed first; a complaint that names none costs the schema first,
        because that is what endpoints differ in most.
        """
        text = complaint.lower()
        named = [name for name, words in _MESSAGE_WORDS.items() if any(word in text for word in words)]
        with self._lock:
            for name in named or ["response_format"]:
                change = self._step(name, payload)
                if change:
                    return change
        return None

    def _step(self, name: str, payload: dict[str, Any]) -> str | None:
        if name == "response_format":
            # Another thread may have stepped down since this payload was built: then only try again.
            sent = payload.get("response_format", {}).get("type", "plain")
            rung = RESPONSE_FORMATS.index(sent)
            if rung + 1 == len(RESPONSE_FORMATS):
                return None
            self._format = max(self._format, rung + 1)
            return f"asking for {RESPONSE_FORMATS[self._format]} in place of {sent}"
        if name == "max_tokens":
            if len(self._token_names) == 1 and self._token_names[0] in payload:
                return None
            self._token_names = [other for other in self._token_names if other not in payload] or self._token_names[:1]
            return f"limiting the reply by {self._token_names[0]}"
        if name in payload:
            self._left_out.add(name)
            return f"leaving out {name}"
        return None
