"""A file of every request and its raw reply, so that an interrupted run takes up replies that are already paid for.

One JSON line per HTTP request: the request's hash, endpoint, payload, raw reply, usage, cost and times; never a key.
"""

import contextlib
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from agent.proposers.llm.errors import EndpointError
from agent.proposers.llm.json_values import parsed
from archive.files import open_given


class Paid(BaseModel):
    """An entry with a reply, as far as it is used again."""

    hash: str
    payload: dict[str, Any]
    reply: dict[str, Any]
    usage: dict[str, Any]
    usd: float | None
    seconds: float


class Journal:
    """Append-only; safe for several threads and, as each line is one write, for several processes.

    Raises EndpointError for a file that cannot be read.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._replies: dict[str, Paid] = {}
        if path is not None and path.exists():
            try:
                with open_given(path) as lines:
                    for line in lines:  # not `splitlines`: a reply may hold what Python takes for the end of a line
                        self._remember(line)
            except OSError as error:
                raise EndpointError(f"the journal {path} cannot be read: {error.strerror}; move it away") from None

    def _remember(self, line: bytes) -> None:
        # The last line of an interrupted run may be cut off: that reply is lost, the ones before it are not.
        with contextlib.suppress(ValueError):
            entry = Paid.model_validate(parsed(line.decode("utf-8", "replace")))
            self._replies[entry.hash] = entry

    def recall(self, request_hash: str) -> Paid | None:
        """The entry of an *earlier* run with the same request, once; None where there is none."""
        with self._lock:
            return self._replies.pop(request_hash, None)

    def append(self, entry: dict[str, Any]) -> None:
        """Write one entry. Raises EndpointError where the file cannot be written."""
        if self._path is None:
            return
        line = json.dumps({"time": datetime.now(UTC).isoformat(), **entry}, ensure_ascii=False) + "\n"
        with self._lock:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                with os.fdopen(descriptor, "ab", buffering=0) as file:
                    file.write(line.encode("utf-8", "surrogatepass"))
            except OSError as error:
                raise EndpointError(f"cannot write the journal {self._path}: {error.strerror}") from None
