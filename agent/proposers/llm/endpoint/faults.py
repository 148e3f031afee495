"""Why a request gave no completion: a value for the endpoint to act on, read from a status, headers and words."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from agent.proposers.llm.configuration.settings import KEY_VARIABLE

FaultKind = Literal[
    "busy",
    "server",
    "connection",
    "timeout",
    "garbled",
    "stream",
    "request",
    "filtered",
    "refused",
    "not an API",
    "cancelled",
]

RETRYABLE: frozenset[FaultKind] = frozenset({"server", "connection", "timeout", "garbled", "stream"})
"""Worth a few further requests. A busy endpoint is waited for instead."""
NOT_BILLED: frozenset[FaultKind] = frozenset({"busy", "request", "filtered", "refused"})
"""Turned away before any token was generated. After the others the tokens may have been paid for."""

LONGEST_LINE, LONGEST_SAID = 300, 8_000

_BUSY_STATUS = frozenset({408, 409, 425, 429, 503, 529})
_LOADING = re.compile(
    r"(?<!error )(?<!failed )(?<!while )\bloading (the |your )?model"
    r"|\b(is|still|currently) (still |currently |being )*loading|\bis being loaded"
    r"|\bnot (yet )?loaded yet|\bnot yet loaded|\bwarming up|\bcold start|\bstarting up"
    r"|\bmodel (is )?not (yet )?ready",
    re.IGNORECASE,
)
_OVERLOADED = re.compile(
    r"rate.?limit|too many (concurrent )?requests|\boverloaded|\b(over|at) capacity|no capacity"
    r"|try again (later|shortly)|temporarily unavailable"
    r"|server (is )?busy|queue is full|resource.?exhausted|throttl|\b(429|503|529)\b",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient.?(quota|credit|balance|funds)|exceeded your current quota|credit balance", re.IGNORECASE
)
_FILTERED = re.compile(
    r"content[ _]?(filter|management policy|policy violation)|responsible.?ai|was flagged"
    r"|\bmoderation\b|prohibited_content",
    re.IGNORECASE,
)
_TOO_LARGE = re.compile(r"limit:? (\d+),? requested:? (\d+)", re.IGNORECASE)
_AGAIN_IN = re.compile(
    r"(?:again|retry|wait)\w* (?:in|after|for) ((?:\d+(?:\.\d+)? ?(?:ms|h|m|s)[a-z]* ?)+)", re.IGNORECASE
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|mil|h|m|s)", re.IGNORECASE)
_UNITS = {"ms": 0.001, "mil": 0.001, "h": 3600.0, "m": 60.0, "s": 1.0}
_DELAY = re.compile(r"(?:retry_?delay|estimated_time|retry_?after(?:_seconds)?)\W{1,4}(\d+(?:\.\d+)?)", re.IGNORECASE)


@dataclass(frozen=True)
class Fault:
    """Why a request gave no completion."""

    kind: FaultKind
    message: str
    """One line for people."""
    status: int | None = None
    retry_after: float | None = None
    """Seconds that the endpoint asks to wait."""
    sent: bool = True
    """False where no connection was made, so that nothing can have been generated."""
    begun: bool = False
    """Whether part of the reply had come."""
    said: str = ""
    """All that the endpoint said, to learn from what it accepts."""

    @property
    def maybe_billed(self) -> bool:
        """Whether the endpoint may have charged for it."""
        return self.begun or (self.sent and self.kind not in NOT_BILLED)


def fault_of(url: str, status: int, body: object, headers: Mapping[str, str]) -> Fault:
    """What an error means that came with an HTTP status, or with the code of one in its body.

    `body`: the parsed JSON, or the text where it is none; free of keys. `url`: as it may be printed.
    """
    said, line = full_text(body), "a web page" if _is_page(body) else summary(body)
    after = pause_asked(headers, said)

    def fault(kind: FaultKind, message: str) -> Fault:
        return Fault(kind, message, status, after, said=said)

    if _FILTERED.search(said) and 400 <= status < 500:
        return fault("filtered", f"a content filter of {url} stopped the prompt ({status}: {line})")
    if status in (401, 403) and not (status == 403 and _OVERLOADED.search(said)):
        return fault("refused", f"{url} refuses the key ({status}: {line}); set {KEY_VARIABLE} to one that it accepts")
    if status == 402 or (status == 429 and _is_used_up(said, after)):
        return fault("refused", f"the quota at {url} is used up ({line}); top it up or use another endpoint")
    if status == 413 or (status == 429 and _is_larger_than_the_limit(said)):
        return fault("request", f"the request is too large for {url} ({status}: {line})")
    overloaded = (status == 403 or status >= 500) and _OVERLOADED.search(said)
    if status in _BUSY_STATUS or overloaded or _LOADING.search(said):
        return fault("busy", f"{url} is busy, loads a model or limits the rate ({status}: {line})")
    if status == 404:
        return fault("refused", f"{url} knows no such model or address (404: {line}); check --model and --base-url")
    if status >= 500:
        return fault("server", f"{url} failed ({status}: {line})")
    return fault("request", f"{url} refuses the request ({status}: {line})")


def reported_fault(url: str, body: object, headers: Mapping[str, str]) -> Fault:
    """What an error means that a gateway wrapped into a reply with status 200; it may state the status in its body."""
    status = _status_inside(body)
    if status is not None:
        return fault_of(url, status, body, headers)
    said, line = full_text(body), summary(body)
    kind: FaultKind = "busy" if is_busy(said) else "server"
    return Fault(kind, f"the endpoint reports: {line}", retry_after=pause_asked(headers, said), said=said)


def is_busy(said: str) -> bool:
    """Whether these words are those of an endpoint that can be used later."""
    busy = _LOADING.search(said) or _OVERLOADED.search(said)
    return busy is not None and not _is_used_up(said, _pause_in_words(said))


def summary(body: object) -> str:
    """What an error body says, in one line of bounded length."""
    line = " ".join(_message_in(body).split()) or "no reason given"
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 3] + "..."


def full_text(body: object) -> str:
    """All of an error body as text, with the JSON inside of its strings unescaped."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return " ".join(text.replace('\\"', '"').replace("\\n", " ").split())[:LONGEST_SAID]


def pause_asked(headers: Mapping[str, str], said: str = "") -> float | None:
    """Seconds to wait: by `retry-after-ms`, `Retry-After` (seconds or an HTTP date), else by what is said.

    None where nothing says it. A date counts from the endpoint's own `Date` where it gives one, as clocks differ.
    """
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    stated = headers.get("retry-after")
    if (seconds := _seconds(stated)) is not None:
        return seconds
    if stated and (moment := _date(stated)) is not None:
        now = _date(headers.get("date") or "") or datetime.now(UTC)
        return max(0.0, (moment - now).total_seconds())
    return _pause_in_words(said)


def _seconds(header: str | None) -> float | None:
    try:
        seconds = float(header) if header is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < math.inf else None


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _pause_in_words(said: str) -> float | None:
    seconds = None
    if found := _AGAIN_IN.search(said):
        seconds = sum(float(number) * _UNITS[unit.lower()] for number, unit in _DURATION.findall(found[1]))
    elif stated := _DELAY.search(said):
        seconds = float(stated[1])
    return seconds if seconds is not None and seconds < math.inf else None


def _is_used_up(said: str, after: float | None) -> bool:
    """Whether a quota is used up for good: one that comes back by itself is told with the time that it takes."""
    return "insufficient_quota" in said or (after is None and _QUOTA.search(said) is not None)


def _is_page(body: object) -> bool:
    return isinstance(body, str) and body.lstrip()[:1] == "<"


def _is_larger_than_the_limit(said: str) -> bool:
    """One request that asks for more than a whole minute's allowance: no wait helps, a shorter request does."""
    found = _TOO_LARGE.search(said)
    return found is not None and float(found[2]) > float(found[1])


def _status_inside(body: object) -> int | None:
    if not isinstance(body, dict):
        return None
    for name in ("code", "status", "status_code", "statusCode"):
        value = body.get(name)
        if isinstance(value, int | str) and re.fullmatch("[45][0-9]{2}", str(value)):
            return int(value)
    return None


def _message_in(body: Any) -> str:
    """The words for people: gateways put them in different places, or wrap what their upstream said."""
    if isinstance(body, list):
        return "; ".join(_message_in(part) for part in body[:3])
    if not isinstance(body, dict):
        return str(body or "")
    for name in ("error", "message", "detail", "msg", "errors"):
        if found := body.get(name):
            inner = _message_in(found)
            metadata = body.get("metadata")
            upstream = metadata.get("raw") if isinstance(metadata, dict) else None
            return f"{inner}: {full_text(upstream)}" if upstream else inner
    return json.dumps(body, ensure_ascii=False) if body else ""
