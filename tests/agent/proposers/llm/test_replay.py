"""Replay: the same prompt, the recorded reply, the same file; with no key and no network."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.snapshot import ArchiveSnapshot
from agent.errors import UserError
from agent.proposer import Ask
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.proposer import OpenAIProposer
from agent.proposers.replay import ReplayProposer, rebuild
from agent.replaying.original import find_original
from agent.replaying.rebuilt import rebuilt_steps
from agent.replaying.steps import ReplayStep
from archive.merging.renaming import renamed_record
from archive.records.record import Exchange, Origin, Record

Make = Callable[..., Record]


class OneRecord:
    """An archive as far as `find_original` looks."""

    def __init__(self, record: Record, origin: Origin | None = None) -> None:
        self._record = record
        self._origin = origin

    def origin(self, _: str) -> Origin | None:
        return self._origin

    def identity(self, reference: str) -> str | None:
        return self._record.id if reference == "1" else None

    def ids(self) -> list[str]:
        return [self._record.id]

    def record(self, _: str) -> Record:
        return self._record


def replayed(record: Record, prompts: Path | None = None, origin: Origin | None = None) -> list[ReplayStep]:
    archive = OneRecord(record, origin)
    return list(rebuilt_steps(find_original(archive, "1", "smoke"), prompts))  # type: ignore[arg-type]


def different(steps: list[ReplayStep]) -> list[ReplayStep]:
    return [step for step in steps if step.answer != "identical"]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Called, it takes away the network."""

    def refuse(*args: object) -> None:
        raise AssertionError("a replay opens no connection")

    return lambda: monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def ask(
    faults: Any,
    settings: Callable[..., LLMSettings],
    snapshot: Callable[..., ArchiveSnapshot],
    reply: Callable[[str], str],
) -> Ask:
    """A proposal of a model that answered correctly at once."""
    faults.script = [faults.says(reply("correct"))]
    return OpenAIProposer(settings()).ask(snapshot())


@pytest.mark.parametrize("form", ["code", "structured"])
def test_a_replay_rebuilds_the_proposal(
    faults: Any,
    settings: Callable[..., LLMSettings],
    snapshot: Callable[..., ArchiveSnapshot],
    reply: Callable[[str], str],
    record: Make,
    no_network: Callable[[], None],
    form: str,
) -> None:
    text = reply("correct" if form == "code" else "structured")
    faults.script = [faults.status(500), faults.says("{}"), faults.says(text)]
    ask = OpenAIProposer(settings(form=form)).ask(snapshot())
    no_network()
    stored = Record.model_validate_json(record(ask).model_dump_json())
    again = ReplayProposer(stored).ask()
    assert again.proposal == ask.proposal
    assert again.exchanges == ask.exchanges
    steps = replayed(stored)
    assert different(steps) == []
    assert [step.part for step in steps] == ["prompt", "prompt", "reply", "file"]
    assert steps[2].what == "reply 3 of 3, read again"
    assert f"reply of scripted ({'code' if form == 'code' else 'mechanisms'})" in steps[3].what


def test_a_repaired_proposal_is_replayed_from_its_own_exchange(
    faults: Any,
    settings: Callable[..., LLMSettings],
    snapshot: Callable[..., ArchiveSnapshot],
    reply: Callable[[str], str],
    record: Make,
) -> None:
    faults.script = [faults.says(reply("leaky")), faults.says(reply("correct"))]
    proposer = OpenAIProposer(settings())
    ask = proposer.repair(snapshot(), proposer.ask(snapshot()), "causality: output at 3 changes when 7 does")
    assert different(replayed(record(ask))) == []


def test_what_differs_is_said(ask: Ask, reply: Callable[[str], str], record: Make, tmp_path: Path) -> None:
    altered = json.loads(reply("correct")) | {"title": "Something else"}
    exchange = ask.exchanges[0].model_copy(update={"reply": json.dumps(altered)})
    (tmp_path / "system.md.j2").write_text("Other words.")
    stored = record(Ask(ask.proposal, (exchange,)))
    prompt, reply_read = different(replayed(stored, prompts=tmp_path))
    assert prompt.detail == "system.md.j2 renders other text"
    assert prompt.reasons[0].startswith("template system.md.j2 was ")
    assert reply_read.detail == "title read otherwise"
    assert reply_read.told.startswith("differs: title read otherwise (")


def test_a_prompt_of_older_templates_is_held_against_its_hash(ask: Ask, record: Make) -> None:
    prompt = json.loads(ask.exchanges[0].prompt)
    prompt["templates"]["ask.md.j2"] = "another"
    exchange = ask.exchanges[0].model_copy(update={"prompt": json.dumps(prompt, ensure_ascii=False)})
    steps = replayed(record(Ask(ask.proposal, (exchange,))))
    assert different(steps) == []
    assert steps[0].what == "hash of what was sent"
    assert steps[0].detail.endswith("not rendered again: ask.md.j2")


def test_an_edited_file_or_prompt_is_said_with_its_reason(ask: Ask, record: Make) -> None:
    edited = ask.proposal.variant.model_copy(update={"source": ask.proposal.variant.source.replace("rsqrt", "sqrt")})
    prompt = ask.exchanges[0].prompt.replace("Where to start from", "Where to end")
    exchange = ask.exchanges[0].model_copy(update={"prompt": prompt})
    stored = record(Ask(ask.proposal.model_copy(update={"variant": edited}), (exchange,)))
    rendered, sent, file = different(replayed(stored))
    assert rendered.reasons == ("the templates are the recorded ones: the facts of the exchange were edited",)
    assert "not the one whose hash was noted" in sent.detail
    assert file.detail.startswith("2 lines, the first '-")
    assert file.reasons == ("the recorded reply and the archived file are not of one another",)


def test_a_numbered_name_is_the_archives_doing(ask: Ask, record: Make) -> None:
    numbered = ask.proposal.variant.model_copy(update={"name": "delta_net_4layer_state_norm_readout_2_in_for_loop"})
    stored = record(Ask(ask.proposal.model_copy(update={"variant": numbered}), ask.exchanges))
    assert rebuild(stored).variant.name == numbered.name
    assert different(replayed(stored)) == []


def test_a_merged_proposal_is_replayed_under_the_names_of_here(ask: Ask, record: Make) -> None:
    there = record(ask)
    parent, name = there.proposal.parent, there.proposal.variant.name
    names = {parent: f"{parent}_7", name: "quite_another_name"}
    here = renamed_record(there, names)
    assert here.proposal.parent == f"{parent}_7"
    assert different(replayed(here)) != [], "without merged.json the names differ"
    origin = Origin(id=there.id, commit="0" * 40, renamed=names)
    assert different(replayed(here, origin=origin)) == []
    assert ReplayProposer(here, names).ask().proposal == here.proposal


def test_a_proposal_without_a_model_is_rebuilt_from_its_genome(
    faults: Any,
    settings: Callable[..., LLMSettings],
    snapshot: Callable[..., ArchiveSnapshot],
    reply: Callable[[str], str],
    record: Make,
) -> None:
    faults.script = [faults.says(reply("structured"))]
    ask = OpenAIProposer(settings(form="structured")).ask(snapshot())
    (file,) = replayed(record(Ask(ask.proposal)))
    assert (file.answer, file.what.partition(" from ")[2]) == ("identical", "the genome of openai")
    bare = ask.proposal.provenance.model_copy(update={"mechanisms": {}})
    with pytest.raises(UserError, match="nothing to replay it from"):
        rebuild(record(Ask(ask.proposal.model_copy(update={"provenance": bare}))))
    (file,) = replayed(record(Ask(ask.proposal.model_copy(update={"provenance": bare}))))
    assert "the archived file (openai; nothing else is recorded)" in file.what
    broken = Exchange(attempt=1, prompt="not JSON", reply="{}")
    with pytest.raises(UserError, match="nothing to replay it from"):
        rebuild(record(Ask(ask.proposal.model_copy(update={"provenance": bare}), (broken,))))
