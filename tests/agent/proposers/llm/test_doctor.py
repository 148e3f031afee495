"""`archer doctor` asks the endpoint for one token; `propose` says with its exit code that nothing was proposed."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.cli import run

pytestmark = pytest.mark.slow
KEY = "sk-test-0123456789-secret"
Doctor = Callable[..., tuple[int, list[dict[str, str]]]]


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs `archer doctor` without its look at the sandbox; its exit code, and what it says of models."""
    monkeypatch.setattr("agent.commands.doctor._sandbox", lambda: iter(()))
    monkeypatch.setattr("agent.proposers.llm.endpoint.client.FIRST_WAIT", 0.05)
    for name in ("OPENAI_BASE_URL", "ARCHER_LLM"):
        monkeypatch.delenv(name, raising=False)

    def call(*options: str, key: str = KEY) -> tuple[int, list[dict[str, str]]]:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        code = run(["doctor", "--json", "--quiet", "--archive", str(tmp_path / "none"), *options])
        printed = capsys.readouterr()
        assert KEY not in printed.out + printed.err
        return code, [sign for sign in json.loads(printed.out) if sign["name"] == "model"]

    return call


def test_an_endpoint_that_answers_is_asked_for_one_token_and_its_cost_is_said(
    faults: Any, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", faults.url)
    faults.script = [faults.says("OK", "length", prompt_tokens=9, completion_tokens=1, cost=0.00002)]
    faults.card = {"max_model_len": 8192}
    code, (sign,) = doctor()
    assert (code, sign["state"]) == (0, "ok")
    assert f"scripted at {faults.url} answers" in sign["found"]
    assert "9 tokens in, 1 out, cost 0.000020 USD, window of 8192 tokens" in sign["found"]
    (request,) = faults.requests
    assert request["max_tokens"] == 1
    assert "response_format" not in request
    assert faults.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_cost_that_nobody_states_is_unknown(faults: Any, doctor: Doctor, tmp_path: Path) -> None:
    faults.script = [faults.says("OK")]
    _, (sign,) = doctor("--base-url", faults.url, "--model", "scripted")
    assert "cost unknown" in sign["found"]
    (tmp_path / "prices.toml").write_text("[models.scripted]\ninput = 2.0\noutput = 10.0\n")
    _, (sign,) = doctor("--base-url", faults.url, "--model", "scripted", "--prices", str(tmp_path / "prices.toml"))
    assert "cost 0.004000 USD" in sign["found"]


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (lambda s: s.html, "answers with a web page; is the base URL right"),
        (lambda s: s.status(401, "bad key"), "refuses the key (401: bad key)"),
        (lambda s: s.status(404, "no such model"), "knows no such model or address"),
        (lambda s: s.status(500, "broken"), "broken"),
        (lambda s: s.drop, "failed"),
    ],
    ids=["web page", "401", "404", "500", "drop"],
)
def test_an_endpoint_that_cannot_be_used_fails(faults: Any, doctor: Doctor, fault: Any, found: str) -> None:
    faults.script = [fault(faults)]
    code, (sign,) = doctor("--base-url", faults.url, "--model", "scripted")
    assert (code, sign["state"]) == (1, "missing")
    assert found in sign["found"]


def test_where_nobody_answers_it_fails(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        code, (sign,) = doctor(key="")
    assert (code, sign["state"]) == (1, "missing")
    assert f"connection to {url} failed" in sign["found"]


def test_a_site_that_is_no_endpoint_at_all_fails(faults: Any, doctor: Doctor) -> None:
    faults.listings, faults.script = [faults.html], [faults.html]
    code, (sign,) = doctor("--base-url", faults.url)
    assert (code, sign["state"]) == (1, "missing")
    assert "web page" in sign["found"]

    def page(handler: Any) -> None:
        handler.send(404, "<!doctype html><html>Not Found</html>", "text/html")

    faults.listings, faults.script = [page], [page]
    code, (sign,) = doctor("--base-url", faults.url)
    assert (code, sign["state"]) == (1, "missing")
    assert "web page" in sign["found"]


def test_an_endpoint_without_a_list_of_models_is_asked_all_the_same(faults: Any, doctor: Doctor) -> None:
    faults.listings, faults.script = [faults.status(404, "no such path")], [faults.says("OK")]
    code, (sign,) = doctor("--base-url", faults.url)
    assert (code, sign["state"]) == (0, "ok")
    assert len(faults.requests) == 1


def test_one_of_several_models_is_asked_and_has_to_be_named_only_if_it_does_not_answer(
    faults: Any, doctor: Doctor
) -> None:
    faults.models, faults.script = ["b", "a"], [faults.says("OK")]
    code, (sign,) = doctor("--base-url", faults.url)
    assert (code, sign["state"]) == (0, "ok")
    assert faults.requests[0]["model"] == "a"
    faults.script = [faults.status(404, "This is not a chat model")]
    code, (sign,) = doctor("--base-url", faults.url)
    assert (code, sign["state"]) == (0, "warning")
    assert "offers: a, b" in sign["found"]


def test_an_endpoint_that_is_busy_answers(faults: Any, doctor: Doctor) -> None:
    faults.script = [faults.status(429, "slow down", Retry_After="3600")]
    code, (sign,) = doctor("--base-url", faults.url, "--model", "scripted")
    assert (code, sign["state"]) == (0, "warning")
    assert "asks to wait 3600 s" in sign["found"]


@pytest.mark.parametrize(
    "refusal", ["max_tokens must be at least 16", "Could not finish: max_tokens or model output limit was reached"]
)
def test_an_endpoint_that_takes_no_limit_of_one_token_gets_a_few(faults: Any, doctor: Doctor, refusal: str) -> None:
    def picky(handler: Any) -> None:
        tokens = handler.asked.get("max_tokens") or handler.asked["max_completion_tokens"]
        (faults.status(400, refusal) if tokens < 16 else faults.says("OK"))(handler)

    faults.script = [picky]
    code, (sign,) = doctor("--base-url", faults.url, "--model", "scripted")
    assert (code, sign["state"]) == (0, "ok")


def test_commands_and_files_of_options_are_looked_at_too(faults: Any, doctor: Doctor, tmp_path: Path) -> None:
    faults.script = [faults.says("OK")]
    code, signs = doctor("--base-url", faults.url, "--model", "scripted", "--command", "echo OK", "--command", "exit 7")
    assert [sign["state"] for sign in signs] == ["ok", "ok", "missing"]
    assert "echo OK as a command answers" in signs[1]["found"]
    assert "exit code 7" in signs[2]["found"]
    assert code == 1
    (tmp_path / "llm.toml").write_text("modell = 3\n")
    code, (sign,) = doctor("--llm", str(tmp_path / "llm.toml"))
    assert (code, sign["state"]) == (1, "missing")
    assert "no option is called modell" in sign["found"]


def test_no_endpoint_is_no_fault(doctor: Doctor) -> None:
    code, (sign,) = doctor(key="")
    assert (code, sign["state"], sign["found"]) == (0, "warning", "no endpoint configured")


def test_a_model_that_is_named_without_an_endpoint_is_missing(doctor: Doctor) -> None:
    code, (sign,) = doctor("--model", "m", key="")
    assert (code, sign["state"], sign["found"]) == (1, "missing", "no endpoint configured")
