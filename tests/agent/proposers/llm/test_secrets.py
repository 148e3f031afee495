"""The key is nowhere: not in exchanges, journal, errors, tracebacks or a child's environment."""

import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.snapshot import ArchiveSnapshot
from agent.proposers.llm.configuration.scrub import Scrubber, public_url
from agent.proposers.llm.configuration.settings import LLMSettings, withdraw_key
from agent.proposers.llm.errors import EndpointError
from agent.proposers.llm.proposer import OpenAIProposer
from archive.records.record import Record

KEY = "sk-test-0123456789-secret"


def test_an_endpoint_that_echoes_the_key_leaks_it_nowhere(
    faults: Any,
    settings: Callable[..., LLMSettings],
    snapshot: Callable[..., ArchiveSnapshot],
    reply: Callable[[str], str],
    record: Callable[..., Record],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    echoing = reply("correct").replace("The baseline already", f"Bearer {KEY} already")
    faults.script = [faults.status(500, f"upstream rejects {KEY}"), faults.says(echoing, model_key=KEY)]
    with caplog.at_level(logging.DEBUG):
        ask = OpenAIProposer(settings(journal=tmp_path / "journal.jsonl")).ask(snapshot())
    assert faults.headers[0]["authorization"] == f"Bearer {KEY}", "the endpoint does get it"
    written = record(ask).model_dump_json() + (tmp_path / "journal.jsonl").read_text() + caplog.text
    assert KEY not in written
    assert "Bearer [key] already" in ask.proposal.insights[0]


@pytest.mark.parametrize("fault", [401, 400, 500])
def test_errors_and_their_tracebacks_do_not_quote_the_key(
    faults: Any, settings: Callable[..., LLMSettings], snapshot: Callable[..., ArchiveSnapshot], fault: int
) -> None:
    faults.script = [faults.status(fault, f"wrong key: {KEY}")]
    with pytest.raises(EndpointError) as caught:
        OpenAIProposer(settings()).ask(snapshot())
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.exchanges)
    assert KEY not in shown
    assert KEY not in repr(settings())


@pytest.mark.slow
def test_the_key_leaves_the_environment_before_any_child_is_started() -> None:
    environment = {"OPENAI_API_KEY": KEY, "PATH": os.environ["PATH"]}
    settings = LLMSettings.resolve(environment, model="m")
    assert settings.key.get_secret_value() == KEY
    child = [sys.executable, "-c", "import os; print(dict(os.environ))"]
    assert KEY not in subprocess.run(child, env=environment, capture_output=True, text=True, check=True).stdout
    assert withdraw_key(environment) == ""


def test_a_key_that_no_header_takes_is_refused_without_quoting_it() -> None:
    environment = {"OPENAI_API_KEY": f"sécret {KEY}"}
    with pytest.raises(EndpointError, match="not ASCII") as caught:
        LLMSettings.resolve(environment)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_options_that_are_no_good_are_said_in_a_line() -> None:
    with pytest.raises(EndpointError, match=r"no key for https://api\.openai\.com/v1: set OPENAI_API_KEY"):
        LLMSettings.resolve({})
    with pytest.raises(EndpointError, match=r"option base_url: .*starts with http"):
        LLMSettings.resolve({"OPENAI_BASE_URL": "localhost:8080"})
    with pytest.raises(EndpointError, match="option colour: Extra inputs"):
        LLMSettings.resolve({}, "k", colour="red")
    assert LLMSettings.resolve({"OPENAI_BASE_URL": "http://localhost:1/v1/"}).base_url == "http://localhost:1/v1"


def test_urls_are_shown_without_credentials() -> None:
    assert public_url("https://me:pw@host/v1?api-key=abc&x=1") == "https://host/v1?api-key=[key]&x=1"


def test_a_dummy_key_does_not_shred_the_text() -> None:
    assert Scrubber("EMPTY").text("an EMPTY state") == "an EMPTY state"
    assert Scrubber(KEY).value({KEY: [f"x{KEY}", 1]}) == {"[key]": ["x[key]", 1]}
