"""The proposer over real HTTP: scripted replies of a capable model's form, good and bad in every way."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.snapshot import ArchiveSnapshot
from agent.errors import UserError
from agent.proposer import Ask, AskFailed, Repairer
from agent.proposers.llm.configuration.settings import LLMSettings, form_for
from agent.proposers.llm.errors import EndpointError, PromptTooLongError
from agent.proposers.llm.prompt.content.focus import Focus
from agent.proposers.llm.prompt.content.parents import OfferedParent
from agent.proposers.llm.prompt.conversation import Conversation
from agent.proposers.llm.prompt.gather import gather
from agent.proposers.llm.proposer import OpenAIProposer
from agent.proposers.llm.reply.build import build_proposal
from agent.proposers.llm.reply.read import BadReply
from agent.proposers.llm.tokens import estimate_tokens
from archive.records.record import Note, Proposal, Provenance
from evaluator.tasks.registry import MAD_TASKS
from tests.waiting import PATIENCE
from variants.contract import BASELINE

Settings = Callable[..., LLMSettings]
Contexts = Callable[..., ArchiveSnapshot]
Reply = Callable[[str], str]


def test_a_code_reply_becomes_a_proposal(faults: Any, settings: Settings, snapshot: Contexts, reply: Reply) -> None:
    faults.script = [faults.says(reply("correct"))]
    ask = OpenAIProposer(settings()).ask(snapshot(seed=5))
    proposal, said = ask.proposal, json.loads(reply("correct"))
    assert proposal.variant.name == "delta_net_4layer_state_norm_readout_in_for_loop"
    assert proposal.variant.source == said["code"]
    assert proposal.parent == BASELINE
    assert proposal.predictions["Fuzzy Recall"].mean == 0.23
    assert proposal.insights == tuple(said["insights"])
    provenance = proposal.provenance
    assert (provenance.proposer, provenance.model, provenance.seed) == ("openai", "scripted", 5)
    assert ask.exchanges[0].reply == reply("correct")
    assert ask.exchanges[0].usage["total_tokens"] == 1200
    assert ask.usd is None, "a price that nobody stated is unknown, not 0"
    assert json.loads(ask.exchanges[0].prompt)["request"]["model"] == "scripted"


@pytest.mark.parametrize("form", ["fenced", "code_beside"])
def test_json_is_found_in_what_surrounds_it(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply, form: str
) -> None:
    faults.script = [faults.says(reply(form))]
    proposal = OpenAIProposer(settings()).ask(snapshot()).proposal
    assert proposal.variant.source == json.loads(reply("correct"))["code"]


@pytest.mark.parametrize(
    ("bad", "finish", "problem"),
    [
        ("truncated", "length", "cut off at the limit on its length"),
        ("truncated", "stop", "no complete JSON object"),
        ("wrong_schema", "stop", "insights: Field required"),
        (None, "stop", "it is empty"),
        (None, "length", "limit on its length was reached before any text"),
    ],
)
def test_a_bad_reply_is_sent_back_with_what_is_wrong(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply, bad: str | None, finish: str, problem: str
) -> None:
    faults.script = [faults.says(reply(bad) if bad else "", finish), faults.says(reply("correct"))]
    ask = OpenAIProposer(settings()).ask(snapshot())
    assert len(ask.exchanges) == 2
    assert problem in str(ask.exchanges[0].error)
    assert ask.exchanges[0].reply is not None
    assert problem in faults.requests[1]["messages"][-1]["content"]
    assert [message["role"] for message in faults.requests[1]["messages"]] == ["system", "user", "assistant", "user"]


def test_replies_that_stay_bad_fail_the_ask_and_keep_the_exchanges(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    faults.script = [faults.says(reply("wrong_schema"))]
    with pytest.raises(AskFailed, match="no usable reply") as failed:
        OpenAIProposer(settings()).ask(snapshot())
    assert not isinstance(failed.value, EndpointError)
    assert [exchange.reply for exchange in failed.value.exchanges] == [reply("wrong_schema")] * 2


def test_an_endpoint_that_fails_ends_the_ask_with_its_exchanges(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    faults.script = [faults.says(reply("wrong_schema")), faults.status(500)]
    with pytest.raises(EndpointError, match="gave up after 3 attempts") as failed:
        OpenAIProposer(settings()).ask(snapshot())
    assert isinstance(failed.value, UserError)
    assert [exchange.reply is not None for exchange in failed.value.exchanges] == [True, False, False, False]


@pytest.mark.parametrize("kind", ["leaky", "hostile"])
def test_a_rejected_kernel_is_repaired(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply, kind: str
) -> None:
    faults.script = [faults.says(reply(kind)), faults.says(reply("correct"))]
    proposer = OpenAIProposer(settings())
    assert isinstance(proposer, Repairer)
    first = proposer.ask(snapshot())
    counterexample = "causality: output at position 37 changes when position 40 does (max |Δ| 0.12)"
    second = proposer.repair(snapshot(), first, counterexample)
    sent = faults.requests[1]["messages"]
    assert sent[2] == {"role": "assistant", "content": reply(kind)}
    assert counterexample in sent[3]["content"]
    assert second.proposal.variant.source == json.loads(reply("correct"))["code"]
    assert len(second.exchanges) == 1
    assert len({ask.proposal.variant.name for ask in (first, second)}) == 2


def test_an_unchanged_source_is_told_from_what_is_known(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    faults.script = [faults.says(reply("leaky")), faults.says(reply("leaky")), faults.says(reply("correct"))]
    proposer = OpenAIProposer(settings())
    mended = proposer.repair(snapshot(), proposer.ask(snapshot()), "causality: it leaks")
    assert mended.exchanges[0].error == (
        "this is the source just rejected, for causality: it leaks. Change what causes that"
    )
    sent = faults.requests[2]["messages"][3]["content"]
    assert "this is the source just rejected" in sent
    assert "It was to mend this:\n\ncausality: it leaks" in sent


def test_a_second_repair_still_shows_the_first_failure(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    faults.script = [faults.says(reply(name)) for name in ("leaky", "hostile", "correct")]
    proposer = OpenAIProposer(settings())
    second = proposer.repair(snapshot(), proposer.ask(snapshot()), "causality: it leaks")
    proposer.repair(snapshot(), second, "fence: no open")
    sent = faults.requests[2]["messages"]
    assert sent[2] == {"role": "assistant", "content": reply("hostile")}
    assert sent[3]["content"].index("fence: no open") < sent[3]["content"].index("causality: it leaks")


def test_a_reply_may_combine_two_parents(faults: Any, settings: Settings, snapshot: Contexts, reply: Reply) -> None:
    told = json.loads(reply("correct"))
    offered = ("delta_net_4layer_softmax_attention_in_for_loop", BASELINE)
    parents = tuple(OfferedParent(name) for name in offered)
    facts = gather(snapshot(), "code", "m", parents, Focus(), {})
    conversation = Conversation(facts=facts, turns=())
    provenance = Provenance(proposer="openai", seed=0)

    def built(**fields: str) -> Proposal:
        return build_proposal(json.dumps(told | {"parent": offered[0]} | fields), "stop", conversation, provenance)

    assert built(second_parent=BASELINE).second_parent == BASELINE
    assert built(second_parent="none").second_parent is None
    assert built(second_parent=offered[0]).second_parent is None
    assert built().second_parent is None
    with pytest.raises(BadReply, match="second_parent: 'another' is none of"):
        built(second_parent="another")


def test_of_two_parents_the_nearer_to_the_challenge_is_compared_with(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    weak, strong = BASELINE, "delta_net_4layer_softmax_attention_in_for_loop"
    facts = gather(snapshot(), "code", "m", (OfferedParent(weak), OfferedParent(strong)), Focus(), {})
    told = json.dumps(json.loads(reply("correct")) | {"parent": weak, "second_parent": strong})

    def parents(nearest_first: tuple[str, ...]) -> tuple[str, str | None]:
        asked = Conversation(facts=facts.model_copy(update={"nearest_first": nearest_first}), turns=())
        found = build_proposal(told, "stop", asked, Provenance(proposer="openai", seed=0))
        return found.parent, found.second_parent

    assert set(facts.nearest_first) == {weak, strong}
    assert parents((strong, weak)) == (strong, weak)
    assert parents((weak, strong)) == (weak, strong)
    assert parents(()) == (weak, strong), "a prompt that was recorded before"


def test_a_notebook_that_cannot_be_read_loses_no_proposal(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    notes = [
        {"claim": "c", "links": "x"},
        {"claim": "no links", "links": []},
        "text",
        {"claim": "l" * 401, "links": "x"},
    ]
    told = json.loads(reply("correct"))
    faults.script = [faults.says(json.dumps(told | {"notebook": notes})), faults.says(json.dumps(told | {"name": "n"}))]
    first = OpenAIProposer(settings()).ask(snapshot()).proposal
    assert first.notebook == (Note(claim="c", links=("x",)), Note(claim="l" * 396 + " ...", links=("x",)))
    assert OpenAIProposer(settings()).ask(snapshot()).proposal.notebook == ()


def test_an_overlong_prompt_is_shortened(faults: Any, settings: Settings, snapshot: Contexts, reply: Reply) -> None:
    overflow = faults.status(400, "This model's maximum context length is 4096 tokens")
    faults.script = [overflow, faults.says(reply("correct"))]
    ask = OpenAIProposer(settings(context_tokens=6000)).ask(snapshot())
    first, second = (len(request["messages"][1]["content"]) for request in faults.requests)
    assert second < first
    assert "Left out for want of space" in faults.requests[1]["messages"][1]["content"]
    assert len(ask.exchanges) == 2


def test_an_endpoint_with_little_context_gets_the_shortest_prompt_or_a_clear_error(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    overflow = faults.status(400, "maximum context length is 4096 tokens")
    faults.script = [overflow]
    with pytest.raises(PromptTooLongError, match=r"4096 tokens.*shortest prompt.*too long as well") as caught:
        OpenAIProposer(settings()).ask(snapshot())
    lengths = [len(request["messages"][1]["content"]) for request in faults.requests]
    assert lengths == sorted(set(lengths), reverse=True)
    assert len(caught.value.exchanges) == len(lengths) == 2, "the endpoint's number is learnt at once"


def test_a_correction_that_does_not_fit_ends_its_ask_and_not_the_search(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    overflow = faults.status(400, "maximum context length is 4096 tokens")
    faults.script = [faults.says(reply("wrong_schema")), overflow]
    with pytest.raises(AskFailed, match="cannot be told what was wrong") as caught:
        OpenAIProposer(settings()).ask(snapshot())
    assert not isinstance(caught.value, EndpointError)
    assert caught.value.exchanges[0].reply


def test_a_correction_leaves_out_more_of_the_first_prompt_to_stay_in_the_budget(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    faults.script = [faults.says(reply("leaky")), faults.says(reply("correct"))]
    proposer = OpenAIProposer(settings(context_tokens=4800))
    proposer.repair(snapshot(), proposer.ask(snapshot()), "causality: output at 3 changes when 7 does")
    texts = ["\n".join(m["content"] for m in request["messages"]) for request in faults.requests]
    assert all(estimate_tokens(text) <= 4800 for text in texts)
    assert len(faults.requests[1]["messages"][1]["content"]) < len(faults.requests[0]["messages"][1]["content"])


def test_a_budget_that_nothing_fits_is_a_clear_error(settings: Settings, snapshot: Contexts) -> None:
    with pytest.raises(EndpointError, match="raise --context-tokens"):
        OpenAIProposer(settings(context_tokens=1000)).ask(snapshot())


def test_structured_replies_are_assembled_and_known_ones_sent_back(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    known = json.loads(reply("structured")) | {"changes": [{"mechanism": "softmax", "sharpness": 1}]}
    unknown = known | {"changes": [{"mechanism": "magic"}]}
    wrong = known | {"changes": [{"mechanism": "beta_decay", "rate": 7}]}
    replies = [json.dumps(found) for found in (known, unknown, wrong)]
    faults.script = [*map(faults.says, replies), faults.says(reply("structured"))]
    ask = OpenAIProposer(settings(form="structured")).ask(snapshot())
    assert ask.proposal.variant.name == "delta_net_4layer_beta_decay_state_update_r0p03_in_for_loop"
    assert "forget" in ask.proposal.variant.source
    assert ask.proposal.provenance.mechanisms == {"decay": {"mechanism": "beta_decay", "rate": 0.03}}
    assert ask.proposal.predictions["Memorize"].low == 0.38
    problems = [str(exchange.error) for exchange in ask.exchanges]
    assert "softmax_attention_in_for_loop, which is known" in problems[0]
    assert "no mechanism 'magic'" in problems[1]
    assert "less than or equal to 0.1" in problems[2]
    schema = faults.requests[0]["response_format"]["json_schema"]["schema"]
    offered = [
        option["properties"]["mechanism"]["enum"][0] for option in schema["properties"]["changes"]["items"]["anyOf"]
    ]
    assert "beta_decay" in offered
    assert "normalize_keys" not in offered, "it does nothing to keys that arrive normalised"


def test_asks_at_the_same_time_differ(faults: Any, settings: Settings, snapshot: Contexts, reply: Reply) -> None:
    """Four threads: each is pointed elsewhere, knows of what is under way, and none proposes another's code."""
    other = json.loads(reply("correct")) | {"name": "another", "code": json.loads(reply("leaky"))["code"]}
    faults.script = [faults.says(reply("correct")), faults.says(json.dumps(other)), faults.says(reply("correct"))]
    proposer = OpenAIProposer(settings())
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(proposer.ask, snapshot(seed=seed, under_way=("being_trained",))) for seed in range(4)]
        outcomes: list[Ask | BaseException] = [future.exception() or future.result() for future in futures]
    proposals = [outcome.proposal for outcome in outcomes if isinstance(outcome, Ask)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, AskFailed)]
    assert len(proposals) + len(failures) == 4
    assert len({proposal.variant.source for proposal in proposals}) == len(proposals) == 2
    prompts = [request["messages"][1]["content"] for request in faults.requests if len(request["messages"]) == 2]
    assert len({prompt[prompt.index("Look first at") :].split(".")[0] for prompt in prompts}) == 4
    assert all("- `being_trained`" in prompt for prompt in prompts)
    faults.script = [faults.says(reply("hostile"))]
    proposer.ask(snapshot(seed=9))
    assert "- `another`: Read-out scaled" in faults.requests[-1]["messages"][1]["content"]


@pytest.mark.parametrize("fault", ["hang", "trickle", "drop", "html"])
@pytest.mark.slow
def test_every_fault_ends_in_bounded_time(faults: Any, settings: Settings, snapshot: Contexts, fault: str) -> None:
    faults.script = [getattr(faults, fault)]
    began = time.monotonic()
    with pytest.raises(EndpointError) as failed:
        OpenAIProposer(settings(attempt_seconds=0.5, attempts=2)).ask(snapshot())
    assert failed.value.exchanges
    assert time.monotonic() - began < PATIENCE, "without limits, the faults last for ever"


def test_templates_are_overridden_by_files_of_their_names(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply, tmp_path: Path
) -> None:
    (tmp_path / "system.md.j2").write_text("You are terse. {{ facts.protocol }}")
    faults.script = [faults.says(reply("correct"))]
    OpenAIProposer(settings(prompts=tmp_path)).ask(snapshot())
    assert faults.requests[0]["messages"][0]["content"] == "You are terse. quick\n"
    assert "# Leaderboard" in faults.requests[0]["messages"][1]["content"]
    (tmp_path / "system.md.j2").write_text("{{ facts.protocoll }}")
    with pytest.raises(EndpointError, match=r"system\.md\.j2: .*protocoll"):
        OpenAIProposer(settings(prompts=tmp_path)).ask(snapshot())
    (tmp_path / "sytem.md.j2").write_text("")
    with pytest.raises(EndpointError, match=r"holds sytem\.md\.j2; templates are named"):
        OpenAIProposer(settings(prompts=tmp_path))


def test_the_form_follows_the_size_that_a_name_states(settings: Settings) -> None:
    forms = {name: form_for(settings(), name) for name in ("gpt-5", "SmolLM2-135M", "qwen2.5-coder-1.5b", "qwen3-32b")}
    assert list(forms.values()) == ["code", "structured", "structured", "code"]
    assert form_for(settings(form="code"), "SmolLM2-135M") == "code"


def test_all_tasks_are_asked_for(faults: Any, settings: Settings, snapshot: Contexts, reply: Reply) -> None:
    faults.script = [faults.says(reply("correct"))]
    proposal = OpenAIProposer(settings()).ask(snapshot()).proposal
    assert set(proposal.predictions) == set(MAD_TASKS)
    schema = faults.requests[0]["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["properties"]["predictions"]["required"] == list(MAD_TASKS)
