"""The whole loop with a real language model: SmolLM2-135M behind llama.cpp's own server, in the structured form."""

import json
from pathlib import Path

import pytest

from agent.cli import run
from agent.proposers.llm.exchanges import last_conversation
from agent.proposers.llm.reply.structured import structured_schema
from archive.store import Archive
from evaluator.outcomes import Status
from evaluator.tasks.registry import MAD_TASKS


@pytest.mark.usefixtures("tiny_smoke")
def test_a_real_model_proposes_a_variant_that_is_trained(
    smollm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # on two busy cores the threads of the model wait for each other, and take twice as long as one does
    monkeypatch.setattr("agent.proposers.llm.local_server.server.usable_cores", lambda: 1)
    archive = tmp_path / "archive"
    patient = tmp_path / "patient.toml"  # a reply takes a minute where nothing else runs
    patient.write_text("attempt_seconds = 7200\ndeadline_seconds = 7200\n")
    options = ["--protocol", "smoke", "--archive", str(archive), "--context-tokens", "2200", "--json"]
    options += ["--llm", str(patient)]
    for seed in ("2", "5"):  # so small a model may choose what is known three times over
        code = run(["propose", "--n", "1", "--jobs", "1", "--gguf", str(smollm), "--seed", seed, *options])
        proposed = json.loads(capsys.readouterr().out)
        assert code == (0 if proposed else 1)
        if proposed:
            break
    (printed,) = proposed
    (record,) = Archive(archive).records()
    assert record.status is Status.SCORED
    assert printed["proposer"] == "openai"
    assert record.proposal.provenance.model == smollm.stem
    assert record.proposal.provenance.mechanisms
    assert set(record.proposal.predictions) == set(MAD_TASKS)
    assert record.cost.usd == 0, "a model on this machine costs no money"
    assert record.cost.completion_tokens > 50
    found = last_conversation(record.exchanges)
    assert found is not None
    conversation, exchange = found
    offered = {fact.mechanism for fact in conversation.facts.mechanisms}
    chosen = {change["mechanism"] for change in json.loads(exchange.reply or "")["changes"]}
    assert chosen <= offered, "the server holds the model to the schema"
    assert structured_schema(conversation.facts.mechanisms, MAD_TASKS)["required"] == list(
        json.loads(exchange.reply or "")
    )
    assert run(["replay", "1", "--archive", str(archive), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answer"] == "identical"
