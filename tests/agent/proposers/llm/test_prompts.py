"""Whole rendered prompts against files. After a wanted change: ARCHER_WRITE_EXPECTED=1 pytest, and read the diff."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agent.analysis.snapshot import ArchiveSnapshot
from agent.catalogue import Genome
from agent.catalogue.decay import ConstantDecay
from agent.catalogue.scores import Softmax
from agent.proposers.llm.configuration.settings import Form
from agent.proposers.llm.errors import PromptTooLongError
from agent.proposers.llm.prompt.content.around_the_kernel import judgement_lines, model_lines, task_lines
from agent.proposers.llm.prompt.content.calibration import calibration_lines
from agent.proposers.llm.prompt.content.focus import Focus
from agent.proposers.llm.prompt.content.history import history_lines
from agent.proposers.llm.prompt.content.parents import OfferedParent
from agent.proposers.llm.prompt.conversation import Conversation
from agent.proposers.llm.prompt.facts import PromptFacts
from agent.proposers.llm.prompt.gather import gather
from agent.proposers.llm.prompt.prompt_budget import fit
from agent.proposers.llm.prompt.templates import REPAIR, Templates
from agent.proposers.llm.tokens import estimate_tokens
from archive.records.record import Record
from evaluator.outcomes import Status
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.tasks.registry import MAD_TASKS  # fmt: skip
from tests.builders import (
    make_comparison,
    make_provenance,
    make_record,
    make_scorecard,
    make_scores,
    make_snapshot,
    make_variant,
    make_verdict,
)
from variants.contract import BASELINE, REFERENCE

EXPECTED = Path(__file__).parent / "expected"
SOFTMAX = "delta_net_4layer_softmax_attention_in_for_loop"
DECAY = "delta_net_4layer_decay_state_update_in_for_loop"
STAND_IN = "def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):\n    ...  # stand-in for the kernel of {}\n"


def agrees(text: str, name: str) -> bool:
    path = EXPECTED / name
    if os.environ.get("ARCHER_WRITE_EXPECTED"):
        path.write_text(text, encoding="utf-8")
    return text == path.read_text(encoding="utf-8")


def attempt(number: int, name: str, title: str, status: Status, reason: str = "", **fields: Any) -> Record:
    provenance = make_provenance("openai", model="m")
    name = f"delta_net_4layer_{name}_in_for_loop"
    return make_record(status, name, number=number, title=title, reason=reason, provenance=provenance, **fields)


def history() -> tuple[Record, ...]:
    outcomes = ("better", "inert", "worse", "inert", "indistinguishable", "indistinguishable")
    differences = (0.05, 0.0, -0.02, 0.0, 0.001, -0.002)
    compared = dict(zip(MAD_TASKS, map(make_comparison, outcomes, differences), strict=True))
    scored = {
        "scorecard": make_scorecard(make_scores(0.5, 0.9, 0.2, 0.45, 0.9, 0.7, half=0.01)),
        "verdicts": (make_verdict(compared),),
    }
    return (
        attempt(1, "peek", "Centred scores", Status.REJECTED, "causality: output at 3 changes when 7 does"),
        attempt(2, "matmul", "The read as a matrix product", Status.DUPLICATE, f"computes the same as {BASELINE}"),
        attempt(3, "read_gate", "A gate on the read", Status.SCORED, trials=(), **scored),
    )


@pytest.fixture
def small() -> ArchiveSnapshot:
    """Two measured variants, four published rows, three earlier attempts; stand-ins for the code."""
    published = pd.DataFrame(
        [
            [0.442, 0.999, 0.217, 0.403, 0.997, 0.95],
            [0.428, 0.988, 0.16, 0.779, 0.977, 0.939],
            [0.435, 0.998, 0.218, 0.364, 0.996, 0.933],
            [0.367, 0.999, 0.31, 0.587, 0.999, 0.997],
        ],
        index=[BASELINE, SOFTMAX, DECAY, REFERENCE],
        columns=list(MAD_TASKS),
    )
    names = (BASELINE, SOFTMAX)
    measured = ((0.41, 0.97, 0.2, 0.43, 0.95, 0.72), (0.4, 0.96, 0.15, 0.71, 0.94, 0.7))
    return make_snapshot(
        forced_parent=BASELINE,
        standings={name: make_scores(*means, half=0.01) for name, means in zip(names, measured, strict=True)},
        published=published,
        noise={"Memorize": 0.021, "Fuzzy Recall": 0.008},
        history=history(),
        under_way=("delta_net_4layer_under_way_in_for_loop",),
        variants={name: make_variant(name, STAND_IN.format(name)) for name in names},
        genomes={
            BASELINE: Genome(),
            SOFTMAX: Genome(scores=Softmax()),
            published.index[2]: Genome(decay=ConstantDecay()),
        },
    )


def facts(snapshot: ArchiveSnapshot, form: Form) -> PromptFacts:
    names = (BASELINE, SOFTMAX) if form == "code" else (BASELINE,)
    parents = tuple(OfferedParent(name, "a reason") for name in names)
    focus = Focus(task="Memorize") if form == "code" else Focus(slot="scores")
    found = gather(snapshot, form, "m", parents, focus, {"delta_net_4layer_x_in_for_loop": "An idea"})
    # The catalogue grows, and its order is shuffled: three mechanisms are enough for a test of the prompt.
    chosen = {fact.mechanism: fact for fact in found.mechanisms}
    kept = [chosen[name] for name in ("constant_decay", "sigmoid_gate", "softmax") if name in chosen]
    return found.model_copy(update={"mechanisms": tuple(kept)})


@pytest.mark.parametrize("form", ["code", "structured"])
def test_the_whole_prompt(small: ArchiveSnapshot, form: Form) -> None:
    conversation = Conversation.begin(facts(small, form), Templates())
    assert agrees(conversation.text, f"{form}.txt")


def test_the_whole_prompt_of_a_repair(small: ArchiveSnapshot) -> None:
    conversation = Conversation.begin(facts(small, "code"), Templates())
    repair = conversation.answered("{...}", Templates(), REPAIR, problem="causality: output at 3 changes when 7 does")
    assert agrees(repair.turns[-1].text, "repair.txt")


def test_a_small_budget_drops_the_least_useful_first_and_says_so(small: ArchiveSnapshot) -> None:
    templates = Templates()

    def text(found: PromptFacts) -> str:
        return Conversation.begin(found, templates).text

    whole = facts(small, "code")
    most = estimate_tokens(text(whole))
    cut = fit(whole, most - 350, text)
    assert estimate_tokens(text(cut)) <= most - 350
    assert agrees(text(cut), "code_cut.txt")
    lengths = [len(fit(whole, budget, text).dropped) for budget in range(most, most - 500, -100)]
    assert lengths == sorted(lengths)
    assert lengths[0] == 0


def test_predictions_are_judged_for_the_model_that_made_them(small: ArchiveSnapshot) -> None:
    assert "2 (33%) lay inside" in calibration_lines(small, "m")[0]
    assert calibration_lines(small, "another model") == ()


def test_a_recorded_prompt_is_rendered_again_from_its_facts(small: ArchiveSnapshot) -> None:
    conversation = Conversation.begin(facts(small, "code"), Templates())
    recorded = Conversation.model_validate_json(conversation.model_dump_json())
    assert recorded.render_again(Templates()) == conversation


def test_a_change_that_never_took_effect_is_told_as_such(small: ArchiveSnapshot) -> None:
    verdict = make_verdict(make_comparison("indistinguishable", 0.0))
    record = attempt(4, "capped", "A cap", Status.SCORED, verdicts=(verdict,))
    assert "never took effect" in history_lines(replace(small, history=(record,)))[0]


@pytest.mark.parametrize("form", ["code", "structured"])
def test_what_is_cut_last_leaves_contract_parent_and_reply(small: ArchiveSnapshot, form: Form) -> None:
    templates = Templates()

    def text(found: PromptFacts) -> str:
        return Conversation.begin(found, templates).text

    with pytest.raises(PromptTooLongError, match=r"the shortest prompt needs about (\d+) tokens") as caught:
        fit(facts(small, form), 10, text)
    assert ("--form structured" in str(caught.value)) == (form == "code")
    least = int(re.findall(r"needs about (\d+)", str(caught.value))[0])
    shortest = fit(facts(small, form), least, text)
    assert shortest.parent.source in text(shortest) or form == "structured"
    assert shortest.structure == facts(small, form).structure
    assert not shortest.measured
    assert "Left out for want of space" in text(shortest)
    assert least < 2_200


def test_the_tasks_are_described_with_the_sizes_of_the_protocol() -> None:
    for protocol in PROTOCOLS.values():
        lines = task_lines(protocol.name)
        assert [line.partition(":")[0] for line in lines] == list(protocol.tasks)
        assert model_lines(protocol.name)
        assert judgement_lines(protocol.name)
    assert "length 32: 1 chunk of 32; 120 steps" in task_lines("quick")[3]
    assert "Vocabulary 16 to 128, length 127 to 1023: 4 to 32 chunks of 32" in task_lines("mad")[1]
    assert "length 48, in test 96: 3 to 6 chunks of 16" in task_lines("extra")[2]
    assert task_lines("unheard of") == ()
