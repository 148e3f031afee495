"""A busy endpoint: all asks wait together, as long as it asks, and go on as soon as they may."""

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest

from agent.listener import Listener, heard_by
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.endpoint.client import Endpoint, HttpAttempt, Request
from agent.proposers.llm.endpoint.faults import fault_of, pause_asked, reported_fault
from agent.proposers.llm.endpoint.gate import LONGEST_WAIT, Gate, StillShutError
from agent.proposers.llm.errors import BusyError, EndpointError, PassingError
from tests.fake_time import FakeTime
from tests.waiting import PATIENCE

Settings = Callable[..., LLMSettings]
OnFakeTime = Callable[[Endpoint], FakeTime]
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def ask(endpoint: Endpoint, number: int = 0, seconds: float = PATIENCE) -> HttpAttempt:
    request = Request(({"role": "user", "content": "hello"},), {"type": "object"}, seed=number)
    return endpoint.complete(request, time.monotonic() + seconds, lambda _: None)


def unheard(*_: object) -> None:
    """Nobody is told."""


def refusal(endpoint: Endpoint, number: int, seconds: float, on_fake_time: OnFakeTime) -> BusyError:
    """Why such an ask ended as busy, by a clock on which only waits take time."""
    time_ = on_fake_time(endpoint)
    request = Request(({"role": "user", "content": "hello"},), {"type": "object"}, seed=number)
    with pytest.raises(BusyError) as refused:
        endpoint.complete(request, time_.now + seconds, lambda _: None)
    return refused.value


@pytest.mark.parametrize(
    ("headers", "said", "seconds"),
    [
        ({"retry-after": "17"}, "", 17),
        ({"retry-after": "0.5"}, "", 0.5),
        ({"retry-after-ms": "250", "retry-after": "17"}, "", 0.25),
        ({"retry-after": "Thu, 01 Jan 2026 12:01:30 GMT", "date": "Thu, 01 Jan 2026 12:00:00 GMT"}, "", 90),
        ({"retry-after": "Thursday, 01-Jan-26 12:01:30 GMT", "date": "Thu, 01 Jan 2026 12:00:00 GMT"}, "", 90),
        ({"retry-after": format_datetime(NOW, usegmt=True)}, "", 0),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "-3"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({}, "Rate limit reached. Please try again in 6m0s.", 360),
        ({}, "Please try again in 1.2s.", 1.2),
        ({}, "Please retry in 120ms", 0.12),
        ({}, '{"@type": "RetryInfo", "retryDelay": "34s"}', 34),
        ({}, '{"error": "Model is currently loading", "estimated_time": 20.0}', 20),
        ({"retry-after": "5"}, "try again in 60s", 5),
        ({}, "", None),
    ],
)  # fmt: skip
def test_how_long_to_wait_is_read_in_every_form(headers: dict[str, str], said: str, seconds: float | None) -> None:
    assert pause_asked(headers, said) == (pytest.approx(seconds) if seconds is not None else None)


def test_a_date_counts_from_now_where_the_endpoint_has_no_clock_of_its_own() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3590 < (pause_asked({"retry-after": later}) or 0) <= 3600


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"message": "Rate limit reached for requests"}, "busy"),
        (503, {"message": "Loading model", "type": "unavailable_error"}, "busy"),
        (503, "<html><h1>503 Service Temporarily Unavailable</h1></html>", "busy"),
        (529, {"type": "overloaded_error", "message": "Overloaded"}, "busy"),
        (500, {"message": "The server is currently overloaded"}, "busy"),
        (500, "Model mistral-7b is currently loading", "busy"),
        (404, {"message": "the model is still loading"}, "busy"),
        (500, {"message": "error loading model: out of memory"}, "server"),
        (502, {"message": "bad gateway"}, "server"),
        (403, {"message": "You have exceeded a secondary rate limit"}, "busy"),
        (403, {"message": "not allowed"}, "refused"),
        (429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}, "refused"),
        (429, [{"error": {"message": "You exceeded your current quota. Please retry in 34.07s."}}], "busy"),
        (402, {"message": "Insufficient Balance"}, "refused"),
        (429, {"message": "Request too large on tokens per min (TPM): Limit 6000, Requested 20000."}, "request"),
        (429, {"message": "Rate limit reached on TPM: Limit 30000, Used 29000, Requested 8000."}, "busy"),
        (400, {"code": "content_filter", "message": "The prompt triggered the content management policy"}, "filtered"),
        (404, {"message": "model 'x' not found, try pulling it first"}, "refused"),
    ],
)  # fmt: skip
def test_what_passes_is_told_from_what_does_not(status: int, body: object, kind: str) -> None:
    assert fault_of("http://host/v1", status, body, {}).kind == kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"code": 429, "message": "slow down"}, "busy"),
        ({"code": "503", "message": "upstream"}, "busy"),
        ({"message": "Provider returned error", "code": 400, "metadata": {"raw": "max_tokens too large"}}, "request"),
        ({"type": "overloaded_error", "message": "Overloaded"}, "busy"),
        ("CUDA error", "server"),
    ],
)
def test_an_error_inside_a_reply_means_what_it_would_mean_with_a_status(body: object, kind: str) -> None:
    fault = reported_fault("http://host/v1", body, {})
    assert fault.kind == kind
    assert "max_tokens" in fault.message or "metadata" not in str(body)


@pytest.mark.slow
def test_a_model_that_loads_is_waited_for_however_often_it_says_so(faults: Any, settings: Settings) -> None:
    loading = faults.status(503, "Loading model")
    faults.script = [loading] * 6 + [faults.says("fine")]
    assert ask(Endpoint(settings(attempts=1))).text == "fine"
    assert len(faults.requests) == 7


def test_the_list_of_models_is_waited_for_too(faults: Any, settings: Settings) -> None:
    faults.listings = [faults.status(503, "Loading model")] * 2
    assert Endpoint(settings(model=None)).model == "scripted"


def test_an_endpoint_that_stays_busy_ends_the_ask_at_its_deadline_and_says_what_was_tried(
    faults: Any, settings: Settings, on_fake_time: OnFakeTime
) -> None:
    faults.script = [faults.status(503, "overloaded")]
    told = refusal(Endpoint(settings(attempts=1)), 0, 400, on_fake_time).message
    assert re.search(r"overloaded.*deadline of 900 s allows no other attempt, after \d+ requests", told)
    assert len(faults.requests) > 1


def test_pauses_grow_to_a_limit_and_are_short_again_after_a_reply() -> None:
    time_ = FakeTime()
    gate = Gate(threading.Event(), time_.clock, time_.wait)
    for _ in range(12):
        gate.shut(gate.enter(10**9, unheard) or 0, 0.5, None, "busy")
    gate.enter(10**9, unheard)
    pauses = time_.waits
    assert pauses[0] < 1
    assert all(later > earlier for earlier, later in pairwise(pauses[:6]))
    assert LONGEST_WAIT <= pauses[-1] <= LONGEST_WAIT * 1.5 * 1.1
    ticket = gate.enter(10**9, unheard)
    gate.passed(ticket or 0)
    gate.shut(ticket or 0, 0.5, None, "busy")
    assert gate.opens_in() < 1


def test_a_stated_pause_is_never_cut_short_and_ten_answers_to_one_look_are_one() -> None:
    time_ = FakeTime()
    gate = Gate(threading.Event(), time_.clock, time_.wait)
    tickets = [gate.enter(10**9, unheard) for _ in range(10)]
    for ticket in tickets:
        gate.shut(ticket or 0, 0.5, 20, "busy")
    assert 20 <= gate.opens_in() < 21
    heard: list[str] = []
    gate.enter(10**9, lambda _, reason: heard.append(reason))
    assert heard == ["busy"]
    assert 20 <= time_.waits[0] <= 22.1
    gate.shut(gate.enter(10**9, lambda _, reason: heard.append(reason)) or 0, 0.5, None, "busy")
    assert gate.opens_in() <= 1.5, "the second look, not the eleventh"


def test_a_gate_that_opens_too_late_is_not_waited_for() -> None:
    time_ = FakeTime()
    gate = Gate(threading.Event(), time_.clock, time_.wait)
    gate.shut(gate.enter(10**9, unheard) or 0, 0.5, 3600, "come back tomorrow")
    with pytest.raises(StillShutError, match="come back tomorrow"):
        gate.enter(time_.now + 60, unheard)
    assert time_.waits == []


@pytest.mark.slow
def test_asks_under_way_wait_together_and_then_all_get_their_reply(faults: Any, settings: Settings) -> None:
    """Four requests meet; each is told to wait. None comes before the time, and none is lost."""
    met = threading.Barrier(4)

    def busy(handler: Any) -> None:
        met.wait(PATIENCE)
        faults.status(429, retry_after_ms="1500")(handler)

    faults.script = [busy] * 4 + [faults.says("fine")]
    endpoint = Endpoint(settings())
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda number: ask(endpoint, number), range(4)))
    assert [reply.text for reply in replies] == ["fine"] * 4
    assert len(faults.requests) == 8
    assert min(faults.times[4:]) - max(faults.times[:4]) >= 1.5


@pytest.mark.slow
def test_an_ask_that_comes_later_waits_with_the_others(faults: Any, settings: Settings) -> None:
    """The endpoint told the first ask how long to stay away: the second does not even try."""
    faults.script = [faults.status(429, Retry_After="1"), faults.says("fine")]
    endpoint, shut = Endpoint(settings()), threading.Event()

    def first() -> HttpAttempt:
        with heard_by(Listener(detail=lambda said: shut.set() if said.startswith("waits") else None)):
            return ask(endpoint, 1)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first)
        assert shut.wait(PATIENCE)
        assert ask(endpoint, 2).text == "fine"
        assert running.result().text == "fine"
    assert len(faults.requests) == 3
    assert min(faults.times[1:]) - faults.times[0] >= 1


def test_a_wait_is_cancelled(faults: Any, settings: Settings) -> None:
    faults.script = [faults.status(429, Retry_After="60")]
    endpoint = Endpoint(settings())
    cancel = Listener(detail=lambda said: endpoint.cancel() if said.startswith("waits") else None)
    with heard_by(cancel), pytest.raises(EndpointError, match="cancelled while waiting"):
        ask(endpoint)


def test_an_endpoint_that_has_answered_is_waited_for_while_it_restarts(
    faults: Any, settings: Settings, on_fake_time: OnFakeTime
) -> None:
    faults.script = [faults.says("fine")]
    endpoint = Endpoint(settings(attempts=1))
    ask(endpoint, 1)
    faults.shutdown()
    faults.server_close()
    assert "allows no other attempt" in refusal(endpoint, 2, 200, on_fake_time).message


def test_a_broken_endpoint_is_given_up_for_one_ask_and_not_for_all(faults: Any, settings: Settings) -> None:
    faults.script = [faults.status(500)]
    with pytest.raises(PassingError, match="gave up after 3 attempts") as caught:
        ask(Endpoint(settings()))
    assert not isinstance(caught.value, BusyError)
    faults.script = [faults.status(401, "bad key")]
    with pytest.raises(EndpointError) as caught:
        ask(Endpoint(settings()))
    assert not caught.value.passing


def test_a_maintenance_page_passes_where_an_api_was_before(faults: Any, settings: Settings) -> None:
    faults.script = [faults.says("fine"), faults.html, faults.says("fine again")]
    endpoint = Endpoint(settings())
    assert [ask(endpoint, number).text for number in range(2)] == ["fine", "fine again"]


def test_a_request_that_is_refused_in_every_form_says_which_were_tried(faults: Any, settings: Settings) -> None:
    faults.script = [faults.status(400, "Bad Request")]
    endpoint = Endpoint(settings())
    before = endpoint.capabilities.form
    with pytest.raises(
        EndpointError, match=r"Bad Request.*tried asking for json_object.*asking without a stream"
    ) as caught:
        ask(endpoint)
    assert not caught.value.passing
    assert endpoint.capabilities.form == before, "nothing of it helped, so nothing of it is kept"
    last = faults.requests[-1]
    assert set(last) == {"model", "messages", "max_tokens"}
