"""A streamed completion, put together to the whole that it would have been without a stream.

Server-sent events: lines of `data: JSON`, each with a piece of the first choice, then `data: [DONE]`. What differs
between servers is let pass: comments, empty choices, whole messages instead of pieces, usage in any chunk, no [DONE].
"""

import re
from typing import Any

from agent.proposers.llm.json_values import parsed

CHARACTERS_PER_TOKEN = 4
_REPLACED = frozenset({"role", "type", "id", "index", "name"})
"""What servers repeat in every piece, and never split."""
MOST_LINES = 1_000
"""Of one event; what is longer is none that can be read."""
_LINE_END = re.compile(rb"\r\n|\n|\r")


class CompletionStream:
    """Fed with bytes as they arrive; `body` is the completion so far."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        """The begun line, in the pieces in which it came."""
        self._held = b""
        """A carriage return, of which the next byte says whether it is a line end by itself."""
        self._data: list[str] = []
        self._event = ""
        self._choice: dict[str, Any] = {}
        self._message: dict[str, Any] = {"role": "assistant"}
        self._about: dict[str, Any] = {}
        self.error: object = None
        """What the server reported in the middle of the stream."""
        self.tokens = 0
        """Of text so far, counted by its pieces and their length."""
        self.begun = False
        self._ended = False

    @property
    def over(self) -> bool:
        """Whether nothing more can come."""
        return self._ended or bool(self.error)

    @property
    def complete(self) -> bool:
        """Whether the server said that the reply has ended; a connection that closes before has cut it."""
        return self._ended or self._choice.get("finish_reason") is not None

    @property
    def body(self) -> dict[str, Any]:
        """A chat completion, with the usage that was stated last."""
        choices = [{"index": 0, **self._choice, "message": self._message}] if self._choice or self.tokens else []
        return {**self._about, "object": "chat.completion", "choices": choices}

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.begun = True
        piece, self._held = self._held + piece, b""
        if piece.endswith(b"\r"):
            piece, self._held = piece[:-1], b"\r"
        first, *others = _LINE_END.split(piece)
        self._rest.append(first)
        for line in others:
            self._take(b"".join(self._rest))
            self._rest = [line]

    def close(self) -> None:
        """The connection has ended: what is left is the last line."""
        self._take(b"".join(self._rest))
        self._take(b"")
        self._rest = []

    def _take(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace").strip("\r\n")
        name, _, value = line.partition(":")
        if not line.strip():
            self._data, self._event = [], ""
        elif name == "event":
            self._event = value.strip()
        elif name == "data" and len(self._data) < MOST_LINES:
            self._data.append(value.removeprefix(" "))
            self._read("\n".join(self._data))

    def _read(self, data: str) -> None:
        if data.strip() == "[DONE]":
            self._ended = True
            return
        try:
            chunk = parsed(data)
        except ValueError:
            return  # the event goes on in the next line, or is no JSON
        self._data = []
        if not isinstance(chunk, dict):
            return
        if chunk.get("error") or self._event == "error":
            self.error = chunk.get("error") or chunk
            return
        self._add(chunk)

    def _add(self, chunk: dict[str, Any]) -> None:
        choices = chunk.pop("choices", None)
        first = choices[0] if isinstance(choices, list) and choices else None
        usage = _usage(chunk, first)
        self._about |= {name: value for name, value in chunk.items() if value is not None and name != "usage"}
        if usage:
            self._about["usage"] = usage
        if not isinstance(first, dict) or first.get("index", 0) not in (0, None):
            return
        delta, message = first.pop("delta", None), first.pop("message", None)
        self._choice |= {name: value for name, value in first.items() if value is not None}
        piece = delta or (message if self.tokens == 0 else None)  # some servers repeat the whole at the end
        if isinstance(piece, dict):
            self.tokens += _length(piece)
            merge(self._message, piece)


def merge(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Add a piece of a message: texts are joined, lists grow (by `index` where their parts have one)."""
    for name, value in piece.items():
        old = whole.get(name)
        if value is None:
            whole.setdefault(name, None)
        elif old is None or name in _REPLACED or type(old) is not type(value):
            whole[name] = value
        elif isinstance(value, str):
            whole[name] = old + value
        elif isinstance(value, dict):
            merge(old, value)
        elif isinstance(value, list):
            _merge_lists(old, value)
        else:
            whole[name] = value


def _merge_lists(whole: list[Any], pieces: list[Any]) -> None:
    for piece in pieces:
        index = piece.get("index") if isinstance(piece, dict) else None
        same = [part for part in whole if isinstance(part, dict) and part.get("index") == index]
        if index is not None and same:
            merge(same[0], piece)
        else:
            whole.append(piece)


def _usage(chunk: dict[str, Any], choice: object) -> dict[str, Any] | None:
    """Usage, in the places where servers put it."""
    places = (chunk, chunk.get("x_groq"), choice)
    found = (place.get("usage") for place in places if isinstance(place, dict))
    return next((usage for usage in found if isinstance(usage, dict) and usage), None)


def _length(piece: dict[str, Any]) -> int:
    """Tokens in a piece: at least one where there is any text, as most servers send them one by one."""
    characters = _characters(piece)
    return max(1, characters // CHARACTERS_PER_TOKEN) if characters else 0


def _characters(value: object) -> int:
    """Of all texts in it: the answer, reasoning under whatever name, the arguments of calls."""
    if isinstance(value, dict):
        return sum(_characters(part) for name, part in value.items() if name not in _REPLACED)
    if isinstance(value, list):
        return sum(map(_characters, value))
    return len(value) if isinstance(value, str) else 0
