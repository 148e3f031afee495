"""Replay: the same prompt, the recorded reply, the same file; with no key and no network."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.context import Context
from agent.errors import UserError
from agent.llm.settings import LLMSettings
from agent.proposers.base import Ask
from agent.proposers.openai import OpenAIProposer
from agent.proposers.replay import ReplayProposer, compare, rebuild
from archive.record import Exchange, Record

Make = Callable[..., Record]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Called, it takes away the network."""

    def refuse(*args: object) -> None:
        raise AssertionError("a replay opens no connection")

    return lambda: monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("form", ["code", "structured"])
def test_a_replay_rebuilds_the_proposal(
    faults: Any,
    settings: Callable[..., LLMSettings],
    context: Callable[..., Context],
    reply: Callable[[str], str],
    record: Make,
    no_network: Callable[[], None],
    form: str,
) -> None:
    text = reply("correct" if form == "code" else "structured")
    faults.script = [faults.status(500), faults.says("{}"), faults.says(text)]
    ask = OpenAIProposer(settings(form=form)).ask(context())
    no_network()
    stored = Record.model_validate_json(record(ask).model_dump_json())
    replayed = ReplayProposer(stored).ask()
    assert replayed.proposal == ask.proposal
    assert replayed.exchanges == ask.exchanges
    comparison = compare(stored, replayed.proposal)
    assert comparison.different == ()
    assert comparison.same[:2] == ("prompt", "prompt hash")
    assert f"file {ask.proposal.variant.name}.py" in comparison.same


def test_a_repaired_proposal_is_replayed_from_its_own_exchange(
    faults: Any,
    settings: Callable[..., LLMSettings],
    context: Callable[..., Context],
    reply: Callable[[str], str],
    record: Make,
) -> None:
    faults.script = [faults.says(reply("leaky")), faults.says(reply("correct"))]
    proposer = OpenAIProposer(settings())
    ask = proposer.repair(context(), proposer.ask(context()), "causality: output at 3 changes when 7 does")
    assert compare(record(ask), rebuild(record(ask))).different == ()


def test_what_differs_is_said(
    faults: Any,
    settings: Callable[..., LLMSettings],
    context: Callable[..., Context],
    reply: Callable[[str], str],
    record: Make,
    tmp_path: Path,
) -> None:
    faults.script = [faults.says(reply("correct"))]
    ask = OpenAIProposer(settings()).ask(context())
    altered = json.loads(reply("correct")) | {"title": "Something else"}
    exchange = ask.exchanges[0].model_copy(update={"reply": json.dumps(altered)})
    (tmp_path / "system.md.j2").write_text("Other words.")
    stored = record(Ask(ask.proposal, (exchange,)))
    comparison = compare(stored, rebuild(stored), prompts=tmp_path)
    assert comparison.different == (
        "prompt: today's templates render system.md.j2 otherwise",
        "title: otherwise read",
    )


def test_a_numbered_name_is_the_archives_doing(
    faults: Any,
    settings: Callable[..., LLMSettings],
    context: Callable[..., Context],
    reply: Callable[[str], str],
    record: Make,
) -> None:
    faults.script = [faults.says(reply("correct"))]
    ask = OpenAIProposer(settings()).ask(context())
    numbered = ask.proposal.variant.model_copy(update={"name": "delta_net_4layer_state_norm_readout_2_in_for_loop"})
    stored = record(Ask(ask.proposal.model_copy(update={"variant": numbered}), ask.exchanges))
    assert rebuild(stored).variant.name == numbered.name
    assert compare(stored, rebuild(stored)).different == ()


def test_a_proposal_without_a_model_is_rebuilt_from_its_genome(
    faults: Any,
    settings: Callable[..., LLMSettings],
    context: Callable[..., Context],
    reply: Callable[[str], str],
    record: Make,
) -> None:
    faults.script = [faults.says(reply("structured"))]
    ask = OpenAIProposer(settings(form="structured")).ask(context())
    assert compare(record(Ask(ask.proposal)), rebuild(record(Ask(ask.proposal)))).different == ()
    bare = ask.proposal.provenance.model_copy(update={"mechanisms": {}})
    with pytest.raises(UserError, match="nothing to replay it from"):
        rebuild(record(Ask(ask.proposal.model_copy(update={"provenance": bare}))))
    broken = Exchange(attempt=1, prompt="not JSON", reply="{}")
    with pytest.raises(UserError, match="nothing to replay it from"):
        rebuild(record(Ask(ask.proposal.model_copy(update={"provenance": bare}), (broken,))))
