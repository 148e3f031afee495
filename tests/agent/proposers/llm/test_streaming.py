"""Streams: whole where they are whole, seen where they are not, and never more expensive than --max-usd."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.listener import Listener, heard_by
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.endpoint.client import Endpoint, HttpAttempt, Request
from agent.proposers.llm.endpoint.stream import CompletionStream
from agent.proposers.llm.errors import BudgetExceededError, EndpointError
from tests.waiting import PATIENCE

Settings = Callable[..., LLMSettings]
MESSAGES = ({"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"})


def ask(endpoint: Endpoint) -> tuple[HttpAttempt, list[HttpAttempt]]:
    kept: list[HttpAttempt] = []
    deadline = time.monotonic() + endpoint.settings.deadline_seconds
    return endpoint.complete(Request(MESSAGES, {"type": "object"}, seed=7), deadline, kept.append), kept


def read(*parts: str | bytes) -> CompletionStream:
    stream = CompletionStream()
    for part in parts:
        stream.feed(part.encode() if isinstance(part, str) else part)
    stream.close()
    return stream


def data(*chunks: dict[str, Any]) -> str:
    return "".join(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks)


def choice(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def test_a_stream_is_the_reply_that_it_would_have_been_without(faults: Any, settings: Settings, tmp_path: Path) -> None:
    text = json.dumps({"code": "β = q @ k  # ünïcode\n" * 40}, ensure_ascii=False)
    faults.script = [faults.says(text)]
    streamed, _ = ask(Endpoint(settings(journal=tmp_path / "streamed")))
    faults.streaming = False
    whole, _ = ask(Endpoint(settings(journal=tmp_path / "whole")))
    assert streamed.text == whole.text == text
    assert (streamed.finish, streamed.usage) == (whole.finish, whole.usage)
    assert faults.requests[0]["stream"] is True
    assert faults.requests[0]["stream_options"] == {"include_usage": True}
    replies = [json.loads((tmp_path / name).read_text())["reply"] for name in ("streamed", "whole")]
    assert replies[0]["choices"] == replies[1]["choices"], "a journal is read alike, however the reply came"
    again, _ = ask(Endpoint(settings(journal=tmp_path / "streamed")))
    assert again.text == text
    assert len(faults.requests) == 2


def test_progress_is_told_in_tokens(faults: Any, settings: Settings) -> None:
    faults.script = [faults.says("word " * 50)]
    heard: list[str] = []
    with heard_by(Listener(detail=heard.append)):
        ask(Endpoint(settings()))
    counts = [int(said.split()[0]) for said in heard if said.endswith("tokens of the reply")]
    assert counts == sorted(counts)
    assert 30 <= counts[-1] <= 60


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda s: s.streams(s.piece(content="ha"), s.piece(content="lf"), then="cut"), "after 2 tokens"),
        (lambda s: s.streams(s.piece(content="half")), "cut off after 1 tokens, before the reply's end"),
        (lambda s: s.streams(s.piece(content="half"), 'data: {"choices": [{"ind', then="cut"), "after 1 tokens"),
        (lambda s: s.streams(s.piece(content="half"), then="hang"), "stalled: nothing for 1.5 s after 1 tokens"),
        (lambda s: s.streams(s.piece(content="half"), ": ping\n\n", then="hang"), "stalled: nothing for 1.5 s"),
        (lambda s: s.streams(": hello\n\n"), "cut off after 0 tokens"),
        (lambda s: s.streams(s.piece(content="half"), {"error": {"message": "it died", "code": 502}}), "it died"),
        (lambda s: s.streams(s.piece(content="half"), 'event: error\ndata: {"message": "boom"}\n\n'), "boom"),
    ],
    ids=["cut", "ended", "cut in an event", "stalls", "stalls after a comment", "nothing", "error", "error event"],
)  # fmt: skip
@pytest.mark.slow
def test_half_a_stream_is_never_a_reply(faults: Any, settings: Settings, broken: Any, reason: str) -> None:
    faults.streaming = False  # the second reply comes at once, so that a busy machine does not make it stall as well
    faults.script = [broken(faults), faults.says("whole")]
    reply, kept = ask(Endpoint(settings(stall_seconds=1.5 if "stalled" in reason else PATIENCE)))
    assert reply.text == "whole"
    assert [attempt.text for attempt in kept] == [None, "whole"]
    assert reason in str(kept[0].error)
    assert kept[0].usage["usd"] is None, "it may have been paid for"


@pytest.mark.parametrize(
    "events",
    [
        lambda s: (s.piece(content="whole", finish="stop"),),
        lambda s: (s.piece(content="whole"), s.DONE),
        lambda s: (s.piece(content="who"), ": keep-alive\n\n", s.piece(content="le"), s.piece("stop"), s.DONE),
        lambda s: ({"choices": [], "prompt_filter_results": []}, s.piece(content="whole"), s.piece("stop"), s.DONE),
        lambda s: ({"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}, s.DONE),
    ],
    ids=["no [DONE]", "no finish_reason", "comments", "empty choices", "a message in one piece"],
)  # fmt: skip
def test_streams_end_in_more_than_one_way(faults: Any, settings: Settings, events: Any) -> None:
    faults.script = [faults.streams(*events(faults))]
    reply, _ = ask(Endpoint(settings()))
    assert reply.text == "whole"


def test_a_connection_that_stays_open_after_the_end_is_not_waited_for(faults: Any, settings: Settings) -> None:
    faults.script = [faults.streams(faults.piece("stop", content="whole"), faults.DONE, then="hang")]
    reply, kept = ask(Endpoint(settings(stall_seconds=2 * PATIENCE)))
    assert (reply.text, len(kept)) == ("whole", 1), "it would be waited for until the attempt's time is over"


@pytest.mark.parametrize("refusal", ["stream is not supported by this deployment", "Streaming is unsupported"])
def test_a_refused_stream_is_asked_for_as_a_whole(faults: Any, settings: Settings, refusal: str) -> None:
    faults.script = [faults.status(400, refusal), faults.says("whole")]
    endpoint = Endpoint(settings())
    assert [ask(endpoint)[0].text for _ in range(2)] == ["whole", "whole"]
    assert ["stream" in request for request in faults.requests] == [True, False, False]


def test_refused_stream_options_leave_the_stream(faults: Any, settings: Settings) -> None:
    faults.script = [faults.status(422, "Extra inputs are not permitted: stream_options"), faults.says("whole")]
    reply, _ = ask(Endpoint(settings()))
    assert reply.text == "whole"
    assert faults.requests[1]["stream"] is True
    assert "stream_options" not in faults.requests[1]
    assert reply.usage["usd"] is None


def test_streams_that_keep_breaking_are_replaced_by_whole_replies(faults: Any, settings: Settings) -> None:
    """A proxy between here and there that cannot stream: what works is found, and kept."""

    def proxy(handler: Any) -> None:
        broken = faults.streams(faults.piece(content="half"))
        (broken if handler.asked.get("stream") else faults.says("whole"))(handler)

    faults.script = [proxy]
    endpoint = Endpoint(settings())
    assert ask(endpoint)[0].text == "whole"
    assert ask(endpoint)[0].text == "whole"
    assert ["stream" in request for request in faults.requests] == [True, True, False, False]


def test_the_limit_on_spending_counts_the_usage_in_the_last_chunk(
    faults: Any, settings: Settings, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[models.scripted]\ninput = 2.0\noutput = 10.0\n")
    endpoint = Endpoint(settings(prices=prices, max_usd=1.0, reply_tokens=1000))
    faults.script = [faults.says("a", prompt_tokens=1000, completion_tokens=200)]
    reply, _ = ask(endpoint)
    assert endpoint.budget.spent == pytest.approx(0.004)
    assert reply.usage["usd"] == pytest.approx(0.004)
    faults.script = [faults.streams(faults.piece("stop", content="a"), faults.DONE)]
    reply, _ = ask(endpoint)
    assert reply.usage["usd"] is None
    assert endpoint.budget.spent > 0.004 + 0.01, "a stream without usage counts as all that it could have cost"


def test_streams_that_break_run_into_the_limit_on_spending(faults: Any, settings: Settings, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[models.scripted]\ninput = 2.0\noutput = 10.0\n")
    faults.script = [faults.streams(faults.piece(content="half"), then="cut")]
    with pytest.raises(BudgetExceededError):
        ask(Endpoint(settings(prices=prices, max_usd=0.015, reply_tokens=1000, attempts=9)))
    assert len(faults.requests) == 1


def test_a_key_in_a_stream_is_scrubbed_even_where_it_comes_in_pieces(faults: Any, settings: Settings) -> None:
    key = settings().key.get_secret_value()
    faults.script = [faults.says(f"your key is {key}!")]
    assert ask(Endpoint(settings()))[0].text == "your key is [key]!"


def test_what_a_system_says_goes_to_the_user_where_there_is_no_system_role(faults: Any, settings: Settings) -> None:
    for refusal in (
        "System role not supported",
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "Developer instruction is not enabled for models/gemma-3-27b-it",
        '[{"loc": ["messages", 0, "role"], "msg": "Input should be \'user\' or \'assistant\'"}]',
    ):
        faults.requests.clear()
        faults.script = [faults.status(400, refusal), faults.says("fine")]
        assert ask(Endpoint(settings()))[0].text == "fine"
        assert faults.requests[1]["messages"] == [{"role": "user", "content": "be brief\n\nhello"}], refusal
        assert faults.requests[1]["response_format"]["type"] == "json_schema", "only what was refused is given up"


def test_a_template_that_fails_on_the_system_role_may_answer_with_a_500(faults: Any, settings: Settings) -> None:
    faults.script = [faults.status(500, "Jinja error: System role not supported"), faults.says("fine")]
    assert ask(Endpoint(settings()))[0].text == "fine"
    assert len(faults.requests) == 2


def test_the_query_of_the_base_url_goes_with_every_request(faults: Any, settings: Settings) -> None:
    host = faults.url.removesuffix("/v1")
    address = f"{host}/openai/deployments/my%20model/chat/completions?api-version=2024-10-21"
    faults.script = [faults.says("fine")]
    endpoint = Endpoint(settings(base_url=address, model=None))
    endpoint.read_card()
    assert endpoint.model == "my model", "the deployment is the model"
    ask(endpoint)
    assert faults.paths == ["/openai/deployments/my%20model/chat/completions?api-version=2024-10-21"]
    assert faults.headers[0]["api-key"] == endpoint.settings.key.get_secret_value()
    assert endpoint.settings.public_url.endswith("?api-version=2024-10-21")


def test_a_key_in_the_query_is_sent_and_never_shown(faults: Any, settings: Settings) -> None:
    secret = "AIza-0123456789"
    faults.script = [faults.status(400, f"wrong parameters for ?key={secret}")]
    with pytest.raises(EndpointError) as caught:
        ask(Endpoint(settings(base_url=f"{faults.url}?key={secret}")))
    assert f"key={secret}" in faults.paths[0]
    assert secret not in str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_three_ways_and_anywhere(end: str) -> None:
    events = (data(choice(content="β one"), choice("stop", content=" two")) + "data: [DONE]\n\n").replace("\n", end)
    raw = events.encode()
    for size in (1, 2, 3, 1000):
        stream = read(*(raw[start : start + size] for start in range(0, len(raw), size)))
        assert stream.complete
        assert stream.body["choices"][0]["message"]["content"] == "β one two"


def test_reasoning_refusals_and_tool_calls_are_put_together() -> None:
    calls = [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "propose", "arguments": '{"a"'}},
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "propose", "arguments": ": 1}"}},
    ]
    stream = read(
        data(
            {"id": "x", "model": "m", **choice(role="assistant", content=None)},
            choice(reasoning_content="let me "),
            choice(reasoning_content="think"),
            choice(refusal="no"),
            choice(tool_calls=[calls[0]]),
            choice(tool_calls=[calls[1]]),
            {"choices": [{"index": 1, "delta": {"content": "another choice"}}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 3}},
            {"choices": [], "x_groq": {"usage": {"prompt_tokens": 4}}},
        )
    )
    message = stream.body["choices"][0]["message"]
    assert message == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "let me think",
        "refusal": "no",
        "tool_calls": [
            {"index": 0, "id": "c1", "type": "function", "function": {"name": "propose", "arguments": '{"a": 1}'}}
        ],
    }
    assert stream.body["choices"][0]["finish_reason"] == "tool_calls"
    assert stream.body["usage"] == {"prompt_tokens": 4}
    assert stream.body["model"] == "m"


def test_events_without_a_blank_line_between_them_and_over_several_lines_are_read() -> None:
    packed = data(choice(content="a"), choice("stop", content="b")).replace("\n\n", "\n")
    assert read(packed).body["choices"][0]["message"]["content"] == "ab"
    spread = 'data: {"choices": [{"index": 0,\ndata: "delta": {"content": "a"}}]}\n\n'
    assert read(spread).body["choices"][0]["message"]["content"] == "a"


def test_an_event_of_too_many_lines_is_given_up_and_the_next_is_read() -> None:
    endless = "data: x\n" * 200_000
    began = time.process_time()
    stream = read(endless, "\n", data(choice("stop", content="a")))
    assert stream.body["choices"][0]["message"]["content"] == "a"
    assert time.process_time() - began < 10, "a second; each line with all before it would be a hundred"
