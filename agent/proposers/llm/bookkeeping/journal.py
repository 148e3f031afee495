"""A file of every request and its raw reply, so that an interrupted run takes up replies that are already paid for.

One JSON line per HTTP request: the request's hash, endpoint, payload, raw reply, usage, cost and times; never a key.
"""

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.proposers.llm.errors import EndpointError


class Journal:
    """Append-only; safe for several threads and, each line being one write, for several processes."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._replies: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                self._remember(line)

    def _remember(self, line: str) -> None:
        # The last line of an interrupted run may be cut off: that reply is lost, the ones before it are not.
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            return
        if isinstance(entry, dict) and isinstance(entry.get("reply"), dict) and isinstance(entry.get("hash"), str):
            self._replies[entry["hash"]] = entry

    def recall(self, request_hash: str) -> dict[str, Any] | None:
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
