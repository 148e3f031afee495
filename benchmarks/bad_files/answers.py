"""What a language model and its endpoint answer: replies, completions, streams, errors, models; and the journal."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from agent.errors import UserError
from agent.proposers.llm.bookkeeping.journal import Journal
from agent.proposers.llm.bookkeeping.prices import Price, cost_of
from agent.proposers.llm.configuration.scrub import Scrubber
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.endpoint.capabilities import Capabilities
from agent.proposers.llm.endpoint.client import Endpoint, Request
from agent.proposers.llm.endpoint.faults import Fault, fault_of, reported_fault
from agent.proposers.llm.endpoint.stated_limits import is_overflow, is_reply_too_long, read_model_card
from agent.proposers.llm.endpoint.token_limits import TokenLimits
from agent.proposers.llm.endpoint.transport import Transport
from agent.proposers.llm.exchanges import Log, last_conversation
from agent.proposers.llm.json_values import parsed
from agent.proposers.llm.prompt.conversation import Conversation
from agent.proposers.llm.reply.build import build_proposal
from agent.proposers.llm.reply.read import BadReply
from archive.reader import Reader
from benchmarks.bad_files.archives import BUNDLE, _git
from benchmarks.bad_files.contents import FRAGMENTS, Content, broken_bytes, broken_json, broken_text
from benchmarks.bad_files.rule import REFUSED, Kind, put, refusing
from evaluator.tasks.registry import MAD_TASKS

JSON_TOKENS = (
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "'",
    "`",
    "```",
    "```python\n",
    "<think>",
    "</think>",
    "<|channel|>final<|message|>",
    "{" * 500,
    "[" * 5000,
    '{"a":' * 300,
    "\\u12",
    "\\ud800",
    "//",
    "/*",
    "+",
    "...",
    '"""',
    "$\\frac{a}{b}$",
    "{" + '"code": "' * 50,
)
ERRORS = (
    {
        "error": {
            "message": "Rate limit reached: limit: 30000, requested: 40000. Please try again in 6m12.5s.",
            "code": "429",
            "type": "x",
        }
    },
    {
        "error": "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens "
        "(8000 in the messages, 1000 in the completion)."
    },
    {
        "detail": [{"msg": "max_tokens: must be less than or equal to 4096", "loc": ["body", "max_tokens"]}],
        "status": 422,
    },
    {"message": "Loading model", "metadata": {"raw": '{"retryDelay": "30s"}'}, "code": 503},
)
DIGITS = ("9" * 400, "9" * 4400, "1e400", "٣٠", "²⁰⁰", "-5", "0", "1,000,000", "7" * 30)
HEADERS = (
    "30",
    "-1",
    "1e400",
    "nan",
    "Wed, 21 Oct 2026 07:28:00 GMT",
    "Wed, 99 Oct 99999 99:99:99 GMT",
    "Fri, 31 Feb 2026 00:00:00 +9999",
    "Mon, 1 Jan 0001 00:00:00 +2359",
    ",",
    "",
    "٣",
    "1 Jan 2026",
    "Wed, 21 Oct 999999999999999999999 07:28:00 GMT",
    "9" * 5000,
)
CARDS = {
    "object": "list",
    "data": [
        {
            "id": "A",
            "context_length": 8192,
            "meta": {"n_ctx": "4096.0"},
            "top_provider": {"max_completion_tokens": 2048},
        },
        {"name": "B"},
    ],
}
USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "total_tokens": 1200,
    "cost": 0.01,
    "prompt_tokens_details": {"cached_tokens": 10},
}
URL = "http://127.0.0.1:9/v1"


def kinds(folder: Path) -> list[Kind]:
    """All of them, with files in `folder`."""
    real = folder / "of-replies"
    _git(folder, "clone", "--quiet", str(BUNDLE), str(real))
    record = Reader(real).records()[0]
    conversation, exchange = last_conversation(record.exchanges) or (None, None)
    assert conversation is not None
    assert exchange is not None
    reply = exchange.reply or ""
    facts = conversation.facts.model_copy(update={"form": "structured"})
    small = conversation.model_copy(update={"facts": facts})
    structured = {
        "insights": ["a"], "changes": [{"mechanism": "momentum", "rate": 0.9}], "motivation": "b",
        "predictions": {task: {"percent": 50, "margin": 5} for task in MAD_TASKS},
        "differences": ["c"], "next_steps": ["d"],
    }  # fmt: skip
    wholes = [_completion(reply[:300], field) for field in ("content", "tool_calls", "reasoning_content", "parts")]
    code = (
        [json.loads(reply)]
        if reply.startswith("{")
        else [dict(structured, code="x", parent=conversation.facts.parents[0])]
    )
    return [
        Kind("reply, code", _texts(code), _reply(conversation, record.proposal.provenance)),
        Kind("reply, structured", _texts([structured]), _reply(small, record.proposal.provenance)),
        Kind(
            "completion",
            st.one_of(broken_json(wholes), broken_bytes([_dumped(whole) for whole in wholes]), st.binary(max_size=60)),
            _completed(conversation),
        ),
        Kind(
            "stream",
            st.one_of(*[broken_stream(wholes)] * 3, broken_bytes([_streamed(wholes)])),
            _completed(conversation),
        ),
        Kind(
            "error of an endpoint",
            st.tuples(broken_error(), st.sampled_from(HEADERS), st.sampled_from((400, 402, 403, 413, 429, 500, 503))),
            _error,
        ),
        Kind("list of models", st.one_of(broken_json([CARDS]), broken_bytes([_dumped(CARDS)]), broken_error()), _cards),
        _journal(folder, wholes),
        Kind(
            "recorded prompt",
            st.one_of(broken_json([json.loads(exchange.prompt)]), broken_bytes([exchange.prompt.encode()])),
            _recorded(record),
        ),
    ]


def _dumped(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _texts(documents: list[Any]) -> st.SearchStrategy[bytes]:
    examples = [_dumped(document) for document in documents]
    return st.one_of(
        broken_json(documents), broken_json(documents), broken_text(examples, JSON_TOKENS), broken_bytes(examples)
    )


def _reply(conversation: Conversation, provenance: Any) -> Callable[[Content], str]:
    def reading(content: Any) -> str:
        text = (
            content.decode("utf-8", "replace") if b"\xed" not in content else content.decode("utf-8", "surrogatepass")
        )
        for finish in ("stop", "length"):
            end = refusing(
                BadReply,
                lambda finish=finish: build_proposal(text, finish, conversation, provenance).model_dump_json().encode(),
            )
        return end

    def guarded(content: Any) -> str:
        try:
            return reading(content)
        except UnicodeDecodeError:
            return reading(content.decode("utf-8", "replace").encode())

    return guarded


def _completion(text: str, field: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if field == "tool_calls":
        message = {
            "content": None,
            "tool_calls": [{"index": 0, "type": "function", "function": {"name": "proposal", "arguments": text}}],
        }
    elif field == "parts":
        message["content"] = [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": text}]
    elif field != "content":
        message = {"content": "", field: text, "refusal": None}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "stop",
        "content_filter_results": {"hate": {"filtered": False}},
    }
    return {"id": "c", "object": "chat.completion", "choices": [choice], "usage": USAGE}


@st.composite
def broken_stream(draw: st.DrawFn, wholes: list[Any]) -> bytes:
    """Events, one or two of which are broken."""
    pieces = [_chunk(whole) for whole in wholes]
    events = [
        draw(broken_json(pieces)) if draw(st.booleans()) else _dumped(draw(st.sampled_from(pieces))) for _ in range(4)
    ]
    lead = st.sampled_from(
        (b"data: ", b"data:", b"event: error\ndata: ", b": x\ndata: ", b"id\n", b"\xef\xbb\xbfdata: ")
    )
    end = draw(st.sampled_from((b"\n\n", b"\r\n\r\n", b"\n", b"\r\r")))
    return b"".join(draw(lead) + event + end for event in events) + draw(
        st.sampled_from((b"data: [DONE]\n\n", b"", b"data: {"))
    )


def _chunk(whole: dict[str, Any]) -> dict[str, Any]:
    choice = whole["choices"][0]
    return {**whole, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": None}]}


def _streamed(wholes: list[Any]) -> bytes:
    return b"".join(b"data: " + _dumped(_chunk(whole)) + b"\n\n" for whole in wholes) + b"data: [DONE]\n\n"


def _transport() -> Transport:
    return Transport(LLMSettings(base_url=URL, model="A"), Scrubber("a-long-key-of-somebody"))


def _completed(conversation: Conversation) -> Callable[[Content], str]:
    """Reads a body as it comes in pieces, and does with the completion what `Endpoint` and `Log` do."""

    def reading(content: Any) -> str:
        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(content), 700):
                yield content[at : at + 700]

        found = asyncio.run(_transport()._read(pieces(), {}))
        if isinstance(found, Fault):
            return _told(found)
        _kept(found, conversation)
        return "read"

    return reading


def _kept(body: dict[str, Any], conversation: Conversation) -> None:
    """All that is taken from a completion, into what the archive keeps."""
    endpoint = Endpoint(LLMSettings(base_url=URL, model="A"))
    request = Request(({"role": "user", "content": "x"},), {}, 0)
    usage = _usage_of(body)
    attempt = endpoint._attempt(request, {"model": "A"}, body, usage, cost_of(usage, Price(input=1, output=2)), 0.1)
    log = Log(endpoint.scrubber, URL, {})
    log.add(conversation, attempt)
    for exchange in log.exchanges:
        exchange.model_dump_json().encode()
        json.dumps(exchange.model_dump(mode="json"), allow_nan=False).encode()


def _usage_of(body: dict[str, Any]) -> dict[str, Any]:
    from agent.proposers.llm.endpoint import client

    return client._usage(body)


@st.composite
def broken_error(draw: st.DrawFn) -> bytes:
    """An error's body, with numbers in it that are none."""
    text = draw(broken_json(ERRORS)).decode("utf-8", "surrogatepass")
    for _ in range(draw(st.integers(0, 2))):
        digits = [at for at, sign in enumerate(text) if sign.isdigit()]
        at = draw(st.sampled_from(digits or [0]))
        text = text[:at] + draw(st.sampled_from(DIGITS + FRAGMENTS[:8])) + text[at + 1 :]
    return text.encode("utf-8", "surrogatepass")


def _error(drawn: Any) -> str:
    data, header, status = drawn
    body: object = data.decode("utf-8", "replace")
    with contextlib.suppress(ValueError):
        body = parsed(str(body))
    headers = {"retry-after": header, "date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    for fault in (
        fault_of(URL, status, body, headers),
        reported_fault(URL, body, headers),
        fault_of(URL, status, body, {}),
    ):
        _told(fault)
        limits = TokenLimits(32_000, 16_000, 1_000)
        limits.learn(fault.said, 5_000, 4_000)
        assert limits.reply_tokens(5_000) > 0
        is_overflow(fault.said), is_reply_too_long(fault.said)
        Capabilities(limited=False).adapt({"messages": [], "stream": True, "temperature": 1}, fault.said)
    return REFUSED


def _told(fault: Fault) -> str:
    assert fault.message.strip()
    assert "\n" not in fault.message
    fault.message.encode()
    json.dumps(fault.retry_after, allow_nan=False)
    return REFUSED


def _cards(content: Any) -> str:
    found = _transport()._listed(content.decode("utf-8", "replace"))
    if isinstance(found, Fault):
        return _told(found)
    for card in found:
        limits = TokenLimits(32_000, 16_000, 1_000)
        limits.state(read_model_card(card))
        assert limits.reply_tokens(5_000) > 0
    return "read"


def _journal(folder: Path, wholes: list[Any]) -> Kind:
    path = folder / "journal.jsonl"
    request = Request(({"role": "user", "content": "x"},), {}, 0)
    settings = LLMSettings(base_url=URL, model="A", journal=path)
    entry = {
        "time": "2026-01-01T00:00:00+00:00", "hash": request.digest(settings.public_url, "A"), "url": URL,
        "payload": {"model": "A"},
        "reply": wholes[0], "error": None, "usage": USAGE, "usd": 0.1, "seconds": 1.5,
    }  # fmt: skip

    def reading(content: Content) -> str:
        put(path, content)
        try:
            attempt = Endpoint(settings)._recall(request)
        except UserError:
            return REFUSED
        if attempt is None:
            return REFUSED
        conversation = Conversation.model_construct(facts=None, turns=())
        log = Log(Scrubber(), URL, {})
        log._written[conversation.digest] = 7
        log.add(conversation, attempt)
        log.exchanges[0].model_dump_json().encode()
        return "read"

    from benchmarks.bad_files.contents import broken_lines, files

    return Kind("journal of a search", files(broken_lines([entry])), reading)


def _recorded(record: Any) -> Callable[[Content], str]:
    """The prompt of an exchange in an archive that somebody else wrote."""
    from agent.proposers.llm.exchanges import joined, model_of
    from agent.replaying.original import _of_record
    from agent.replaying.rebuilt import rebuilt_steps

    def reading(content: Any) -> str:
        prompt = content.decode("utf-8", "replace")
        exchanges = tuple(one.model_copy(update={"prompt": prompt}) for one in record.exchanges)
        own = record.model_copy(update={"exchanges": exchanges})
        model_of(exchanges[0])
        return refusing(UserError, lambda: list(rebuilt_steps(_of_record(own, {}))))

    assert joined(record.exchanges, ()) == record.exchanges
    assert isinstance(Journal(None), Journal)
    return reading
