"""The endpoint against a server that misbehaves: a reply or a clear error, in bounded time, every attempt kept."""

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.proposers.llm.bookkeeping.prices import Price
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.endpoint.client import Endpoint, HttpAttempt, Request
from agent.proposers.llm.errors import BudgetExceededError, BusyError, ContextOverflowError, EndpointError, PassingError
from tests.fake_time import FakeTime
from tests.waiting import PATIENCE, wait_until

Settings = Callable[..., LLMSettings]
OnFakeTime = Callable[[Endpoint], FakeTime]
REQUEST = Request(({"role": "user", "content": "hello"},), {"type": "object"}, seed=7)


def ask(
    settings: LLMSettings, endpoint: Endpoint | None = None
) -> tuple[HttpAttempt | EndpointError, list[HttpAttempt]]:
    kept: list[HttpAttempt] = []
    endpoint = endpoint or Endpoint(settings)
    try:
        return endpoint.complete(REQUEST, time.monotonic() + settings.deadline_seconds, kept.append), kept
    except EndpointError as error:
        return error, kept


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda s: s.status(429, Retry_After="0.1"), "limits the rate"),
        (lambda s: s.status(429), "limits the rate"),
        (lambda s: s.status(500), "failed (500"),
        (lambda s: s.drop, "connection to"),
        (lambda s: s.cut("x" * 100), "cut off"),
        (lambda s: s.status(200, "upstream is gone"), "upstream is gone"),
    ],
    ids=["429 with Retry-After", "429", "500", "drop", "cut", "error in a 200"],
)
def test_a_passing_fault_is_tried_again(faults: Any, settings: Settings, fault: Any, reason: str) -> None:
    faults.script = [fault(faults), faults.says("fine")]
    reply, kept = ask(settings())
    assert isinstance(reply, HttpAttempt)
    assert reply.text == "fine"
    assert [attempt.text for attempt in kept] == [None, "fine"]
    assert reason in str(kept[0].error)


@pytest.mark.parametrize("fault", ["hang", "trickle"])
@pytest.mark.slow
def test_a_reply_without_end_is_given_up_and_asked_for_again(faults: Any, settings: Settings, fault: str) -> None:
    faults.script = [getattr(faults, fault), faults.says("fine")]
    reply, kept = ask(settings(attempt_seconds=1, attempts=100))
    assert isinstance(reply, HttpAttempt)
    assert reply.text == "fine"
    assert "no complete reply within 1 s" in str(kept[0].error)


@pytest.mark.parametrize(
    ("fault", "reason", "requests"),
    [
        (lambda s: s.status(500, "broken"), "broken); gave up after 3 attempts", 3),
        (lambda s: s.status(429, Retry_After="3600"), "asks to wait 3600 s; the deadline of 900 s", 1),
        (lambda s: s.html, "answers with a web page; is the base URL right", 1),
        (lambda s: s.status(401, "bad key"), "refuses the key (401: bad key); set OPENAI_API_KEY", 1),
        (lambda s: s.status(404, "no model"), "check --model and --base-url", 1),
        (lambda s: s.status(418, "teapot"), "refuses the request (418: teapot)", 1),
    ],
    ids=["500", "long Retry-After", "html", "401", "404", "418"],
)
def test_a_lasting_fault_is_a_clear_error(
    faults: Any, settings: Settings, fault: Any, reason: str, requests: int
) -> None:
    faults.script = [fault(faults)]
    error, kept = ask(settings())
    assert isinstance(error, EndpointError)
    assert reason in error.message
    assert "\n" not in error.message
    assert len(kept) == len(faults.requests) == requests


def test_nothing_is_asked_with_no_time_left(faults: Any, settings: Settings) -> None:
    """An attempt of milliseconds would end as "no complete reply within 0.01 s", which blames the endpoint."""
    faults.script = [faults.says("fine")]
    with pytest.raises(PassingError, match="no time was left to ask; the deadline of 900 s allows no other attempt"):
        Endpoint(settings()).complete(REQUEST, time.monotonic() + 0.05, lambda _: None)
    assert not faults.requests


@pytest.mark.parametrize("asked_by", ["itself", "another ask"])
def test_the_end_of_an_ask_names_what_the_endpoint_said_last(
    faults: Any, settings: Settings, on_fake_time: OnFakeTime, monkeypatch: pytest.MonkeyPatch, asked_by: str
) -> None:
    """The pause before an attempt may leave it milliseconds."""
    faults.script = [faults.status(503, "loading", Retry_After="100")]
    endpoint = Endpoint(settings())
    time_ = on_fake_time(endpoint)
    if asked_by == "another ask":
        with pytest.raises(BusyError):
            endpoint.complete(REQUEST, time_.now + 50, lambda _: None)
        assert time_.waits == []
    monkeypatch.setattr("agent.proposers.llm.endpoint.gate.SPREAD", 0)
    with pytest.raises(BusyError) as caught:
        endpoint.complete(REQUEST, time_.now + 100.08, lambda _: None)
    assert time_.waits == [100]
    assert "loading" in caught.value.message
    assert "no complete reply" not in caught.value.message
    assert len(faults.requests) == 1


@pytest.mark.parametrize("fault", ["hang", "trickle"])
@pytest.mark.slow
def test_replies_without_end_are_a_clear_error_in_bounded_time(faults: Any, settings: Settings, fault: str) -> None:
    faults.script = [getattr(faults, fault)]
    began = time.monotonic()
    error, kept = ask(settings(attempt_seconds=0.5))
    assert isinstance(error, EndpointError)
    assert "no complete reply within 0.5 s; gave up after 3 attempts" in error.message
    assert len(kept) == 3
    assert time.monotonic() - began < PATIENCE, "without limits, the faults last for ever"


@pytest.mark.slow
def test_the_deadline_ends_all_attempts_together(faults: Any, settings: Settings) -> None:
    faults.script = [faults.hang]
    began = time.monotonic()
    error, _ = ask(settings(deadline_seconds=1.5, attempts=50))
    assert isinstance(error, EndpointError)
    assert time.monotonic() - began < PATIENCE, "without limits, the faults last for ever"


def test_nobody_there(settings: Settings) -> None:
    error, kept = ask(settings(base_url="http://127.0.0.1:9/v1"))
    assert isinstance(error, EndpointError)
    assert "connection to http://127.0.0.1:9/v1 failed" in error.message
    assert kept[0].usage == {"usd": 0.0}, "nothing was sent, so nothing was paid"


def test_a_schema_that_is_refused_is_stepped_down_and_remembered(faults: Any, settings: Settings) -> None:
    refusals = [
        faults.status(400, "response_format.json_schema is unavailable"),
        faults.status(400, "Unknown: json_object"),
    ]
    faults.script = [*refusals, faults.says("{}")]
    endpoint = Endpoint(settings())
    for _ in range(2):
        reply, _kept = ask(settings(), endpoint)
        assert isinstance(reply, HttpAttempt)
    formats = [request.get("response_format", {}).get("type") for request in faults.requests]
    assert formats == ["json_schema", "json_object", None, None]


def test_parameters_that_are_refused_are_changed(faults: Any, settings: Settings) -> None:
    faults.script = [
        faults.status(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        faults.status(400, "Unsupported value: 'temperature' does not support 0.5"),
        faults.status(400, "seed is not supported"),
        faults.says("{}"),
    ]
    reply, _ = ask(settings(temperature=0.5, reply_tokens=300))
    assert isinstance(reply, HttpAttempt)
    assert faults.requests[-1]["max_completion_tokens"] == 300
    assert not {"max_tokens", "temperature", "seed"} & set(faults.requests[-1])
    assert faults.requests[-1]["response_format"]["type"] == "json_schema"


def test_an_overlong_prompt_is_told_apart(faults: Any, settings: Settings) -> None:
    faults.script = [faults.status(400, "request (5000 tokens) exceeds the available context size (4096 tokens)")]
    error, _ = ask(settings())
    assert isinstance(error, ContextOverflowError)
    assert len(faults.requests) == 1


def test_cost_is_the_endpoints_else_the_tables_else_unknown(faults: Any, settings: Settings, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[models.scripted]\ninput = 2.0\noutput = 10.0\n")
    faults.script = [faults.says("a", cost=0.25, prompt_tokens=1), faults.says("b")]
    assert [ask(settings(prices=prices))[1][0].usage["usd"] for _ in range(2)] == [0.25, 0.004]
    assert ask(settings())[1][0].usage["usd"] is None


def test_the_limit_on_spending_is_hard(faults: Any, settings: Settings, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[models.scripted]\ninput = 2.0\noutput = 10.0\n")
    limited = settings(prices=prices, max_usd=0.012, reply_tokens=1000)
    endpoint = Endpoint(limited)
    faults.script = [faults.says("a")]
    ask(limited, endpoint)
    error, _ = ask(limited, endpoint)
    assert isinstance(error, BudgetExceededError)
    assert "could cost $0.010" in error.message
    assert len(faults.requests) == 1
    assert len(faults.requests) == 1


def test_a_limit_without_a_price_is_refused_before_anything_is_asked(
    faults: Any, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(BudgetExceededError, match="without the price of scripted") as caught:
        Endpoint(settings(max_usd=1.0))
    assert not faults.requests
    # What the message tells to write is a price table that works.
    header, *lines = re.findall(r"`([^`]+)`", str(caught.value))
    (tmp_path / "prices.toml").write_text("\n".join([header, *lines]))
    assert Endpoint(settings(max_usd=1.0, prices=tmp_path / "prices.toml")).price == Price(input=2.5, output=10.0)
    Endpoint(settings(max_usd=1.0, free=True))


def test_a_lost_reply_counts_as_paid_in_full(faults: Any, settings: Settings, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[models.scripted]\ninput = 2.0\noutput = 10.0\n")
    limited = settings(prices=prices, max_usd=0.015, reply_tokens=1000, attempts=5)
    faults.script = [faults.drop]
    error, kept = ask(limited)
    assert isinstance(error, BudgetExceededError)
    assert [attempt.usage["usd"] for attempt in kept] == [None]


def test_an_interrupted_run_takes_up_the_replies_it_paid_for(faults: Any, settings: Settings, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    faults.script = [faults.says("paid for")]
    ask(settings(journal=journal))
    with journal.open("a") as file:
        file.write('{"hash": "cut off in the mid')
    reply, _ = ask(settings(journal=journal))
    assert isinstance(reply, HttpAttempt)
    assert reply.text == "paid for"
    assert reply.usage["from_journal"] is True
    assert len(faults.requests) == 1
    entry = json.loads(journal.read_text().splitlines()[0])
    assert entry["payload"]["messages"] == [{"role": "user", "content": "hello"}]
    assert entry["reply"]["choices"][0]["message"]["content"] == "paid for"


def test_asks_are_cancelled_from_another_thread(faults: Any, settings: Settings) -> None:
    faults.script = [faults.hang]
    endpoint = Endpoint(settings())

    def cancel_when_asked() -> None:
        wait_until(lambda: faults.requests, "the request")
        endpoint.cancel()

    canceller = threading.Thread(target=cancel_when_asked)
    canceller.start()
    error, _ = ask(endpoint.settings, endpoint)
    canceller.join()
    assert isinstance(error, EndpointError)
    assert "cancelled before the reply was complete" in error.message


def test_the_only_model_is_found_and_several_are_listed(faults: Any, settings: Settings) -> None:
    assert Endpoint(settings(model=None)).model == "scripted"
    faults.models = ["b", "a"]
    with pytest.raises(EndpointError, match="offers: a, b"):
        Endpoint(settings(model=None))


def test_a_limit_on_the_reply_that_has_no_name_is_left_out_unless_money_is_limited(
    faults: Any, settings: Settings, tmp_path: Path
) -> None:
    def knows_none(handler: Any) -> None:
        name = next((name for name in handler.asked if name.startswith("max_")), None)
        (faults.status(400, f"Unknown parameter: '{name}'") if name else faults.says("fine"))(handler)

    faults.script = [knows_none]
    reply, _ = ask(settings())
    assert isinstance(reply, HttpAttempt)
    (tmp_path / "prices.toml").write_text("[models.scripted]\ninput = 2.0\noutput = 10.0\n")
    error, _ = ask(settings(max_usd=5.0, prices=tmp_path / "prices.toml"))
    assert isinstance(error, EndpointError)
    assert "tried limiting the reply by max_completion_tokens" in error.message


def test_a_feature_that_is_refused_in_a_200_is_left_out(faults: Any, settings: Settings) -> None:
    faults.script = [faults.status(200, "streaming is not supported for this model"), faults.says("fine")]
    reply, _ = ask(settings())
    assert isinstance(reply, HttpAttempt)
    assert ["stream" in request for request in faults.requests] == [True, False]
