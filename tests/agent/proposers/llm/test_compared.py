"""A language model beside the random proposer: an ask that gives nothing costs a proposal, and none is asked twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli import run
from agent.errors import DONE


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_smoke", "lent_sandbox")
def test_an_ask_without_a_proposal_counts_and_is_not_made_again(
    faults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789-secret")
    faults.script = [faults.says("I would rather not.")]
    command = ["compare", "--proposers", "openai,random", "--base-url", faults.url, "--model", "scripted", "--json"]
    command += ["--n", "1", "--minutes", "20", "--protocol", "smoke", "--out", str(tmp_path / "duel")]
    assert run(command) == DONE
    curves = {each["proposer"]: each for each in json.loads(capfd.readouterr().out)["curves"]}
    assert {name: (found["proposals"], found["scored"]) for name, found in curves.items()} == {
        "openai": (1, 0), "random": (1, 1),
    }  # fmt: skip
    asked = len(faults.requests)
    assert asked > 0
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789-secret")
    assert run(command) == DONE
    again = {each["proposer"]: each for each in json.loads(capfd.readouterr().out)["curves"]}
    assert (again, len(faults.requests)) == (curves, asked)
