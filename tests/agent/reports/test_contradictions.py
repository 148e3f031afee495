"""Figures that the leaderboard contradicts are found, and hardly anything else is."""

from dataclasses import replace

import pytest

from agent.analysis.snapshot import ArchiveSnapshot
from agent.reports.claims.contradictions import contradictions
from agent.reports.claims.mentions import Aliases, mentions
from tests.builders import make_score, make_snapshot


@pytest.fixture
def snapshot() -> ArchiveSnapshot:
    return make_snapshot(standings={"delta_net_4layer": {"Fuzzy Recall": make_score(0.3, half=0.02)}})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("delta_net_4layer_softmax_attention_in_for_loop scores 0.53 on Fuzzy Recall.", "published: 0.160"),
        ("The baseline has Fuzzy Recall 0.53 and Memorize (.403).", "published: 0.217; quick: 0.280 to 0.320"),
        ("Gated DeltaNet: Compress 0.366, Memorize 0.78", "says 0.78 for `gated_delta_net_4layer` on Memorize"),
        ("`delta_net_4layer` reaches 97 % on Selective Copy.", "published: 0.950"),
        ("Hybrid softmax raw attention reaches 0.217 on Fuzzy-Recall.", "published: 0.530"),
        ("Normalize keys beats the baseline on Memorize.", "Memorize; published: 0.339 against 0.403"),
        ("The baseline (0.403) outperforms Gated DeltaNet on Memorize and Compress.", "on Memorize; published: 0.403"),
        ("`gated_delta_net_4layer` trails the baseline on Selective Copy.", "is above `gated_delta_net_4layer` on Sel"),
        ("Hybrid softmax raw attention surpasses Gated on all six tasks.", "on Selective Copy; published: 0.908"),
        ("The baseline has the best Compress of the table.", "`delta_net_4layer_cosine_softmax_attention_error_gated"),
        ("• delta_net_4layer (baseline)\n  – Strength: best Compress (0.442)", "calls `delta_net_4layer` the best on"),
        (
            "Gated DeltaNet has 0.587 on Memorize, but the baseline has 0.587 on Memorize.",
            "says 0.587 for `delta_net_4layer`",
        ),
        (
            "On Memorize normalize keys has 0.339 and softmax attention 0.403.",
            "says 0.403 for `delta_net_4layer_softmax",
        ),
        (
            "Softmax attention (0.5) beats normalize keys (0.339) on Memorize.",
            "says 0.5 for `delta_net_4layer_softmax_att",
        ),
        (
            "Softmax attention beats normalize keys on Memorize; the baseline trails normalize keys on Memorize.",
            "is",
        ),
        (
            "Normalize keys has 0.339 on Memorize, softmax attention 0.9: far apart.",
            "says 0.9 for `delta_net_4layer_softm",
        ),
        ("Normalize keys:\n- Memorize is 0.5 here", "says 0.5 for `delta_net_4layer_normalize_keys_in_for_loop`"),
        ("Standard softmax attention has 0.1 on Memorize.", "says 0.1 for `delta_net_4layer_softmax_att"),
        (
            "On Memorize standard softmax attention has 0.1, and normalize keys 0.339.",
            "says 0.1 for `delta_net_4layer_so",
        ),
    ],
)
def test_a_wrong_figure_is_found(snapshot: ArchiveSnapshot, text: str, found: str) -> None:
    lines = contradictions(text, snapshot)
    assert any(found in line for line in lines)
    assert len(lines) == (2 if "all six" in text else 1)


@pytest.mark.parametrize(
    "text",
    [
        "delta_net_4layer_hybrid_softmax_raw_attention_in_for_loop scores 0.53 on Fuzzy Recall.",
        "The baseline has Fuzzy Recall 0.31 here and Memorize .403.",
        "The baseline has Fuzzy Recall 0.22.",
        "Gated DeltaNet wins Selective Copy (0.997) and Noisy Recall (.999); Memorize is 58.7 %.",
        "We expect the baseline at 0.9 on Memorize.",
        "The baseline gains +0.376 on Memorize with softmax.",
        "Weakness: Fuzzy-Recall (0.217) and Memorize (0.403) trail Gated-DeltaNet.",
        "Softmax attention lifts Memorize to 0.9 over the baseline.",
        "The baseline uses a chunk size of 32; Memorize 32 tokens.",
        "Adam drops to 0.5 on Compress",
        "Hybrid softmax raw attention overtakes Gated on Compress and Memorize, but not on Selective Copy.",
        "Normalize keys does not beat the baseline on Memorize.",
        "If normalize keys beats the baseline on Memorize, the idea is right.",
        "We expect that normalize keys beats the baseline on Memorize.",
        "Softmax attention beats the baseline on Memorize while losing Fuzzy Recall.",
        "To see whether the baseline beats Gated DeltaNet on Memorize takes more seeds.",
        "The baseline is one of the best Compress variants.",
        "Hybrid softmax raw attention has the best Fuzzy Recall.",
        "Normalize keys beats softmax attention and the baseline on Memorize.",
        "Softmax attention has 0.779 on Memorize, but normalize keys has 0.339 there.",
        "On Memorize normalize keys has 0.339 and softmax attention 0.779, a gap of 0.440.",
        "Softmax attention (0.779) beats normalize keys (0.339) on Memorize, and the baseline beats it on Compress.",
        "Normalize keys (n=3) and softmax attention 0.9 on Memorize and Compress.",
        "Under standard softmax attention has 0.97 on Memorize, and normalize keys 0.1.",
        "Under `standard` normalize keys beats the baseline on Memorize.",
        "Softmax attention lacks 0.5 units and normalize keys 0.9 on Memorize.",
        "Normalize keys:\nMemorize is 0.5 with other keys",
        "",
    ],
)
def test_a_right_figure_an_expectation_and_a_comparison_pass(snapshot: ArchiveSnapshot, text: str) -> None:
    assert contradictions(text, snapshot) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The baseline has MQAR 0.9.", "`delta_net_4layer` on MQAR; extra: 0.480 to 0.520"),
        ("The baseline beats Gated DeltaNet on Long Copy.", "on Long Copy; extra: 0.300 against 0.400"),
        ("The baseline surpasses Gated on all three.", "on Long Copy; extra: 0.300 against 0.400"),
        (
            "The baseline has the best long copying.",
            "the best on Long Copy; extra: 0.300, `gated_delta_net_4layer` 0.400",
        ),
        ("The baseline has State Tracking 0.9.", ""),
        ("The baseline has MQAR 0.5, and Memorize .403.", ""),
    ],
)
def test_tasks_that_the_published_table_lacks_are_held_against_the_measured_one(text: str, found: str) -> None:
    rows = {
        "delta_net_4layer": {"MQAR": make_score(0.5, half=0.02), "Long Copy": make_score(0.3)},
        "gated_delta_net_4layer": {"MQAR": make_score(0.2), "Long Copy": make_score(0.4)},
    }
    lines = contradictions(text, make_snapshot(protocol="extra", standings=rows))
    assert len(lines) == bool(found)
    assert all(found in line for line in lines)


def test_a_difference_on_one_of_the_leaderboards_is_enough(snapshot: ArchiveSnapshot) -> None:
    scores = {"Fuzzy Recall": make_score(0.2, half=0.1)}
    both = replace(snapshot, standings={**snapshot.standings, "gated_delta_net_4layer": scores})
    assert contradictions("The baseline beats Gated DeltaNet on Fuzzy Recall.", both) == ()
    assert "0.217 against 0.310" in contradictions("The baseline beats Gated DeltaNet on Fuzzy Recall.", snapshot)[0]


def test_a_sentence_is_searched_for_the_names_that_it_can_hold():
    ways = {rf"idea[\s_-]+{place}": f"idea_{place}" for place in range(1_000)} | {"gated": "reference"}
    aliases = Aliases(ways, {pattern: name.split("_") for pattern, name in ways.items() if name != "reference"})
    statement = "Idea-7 leads `idea_42`, and idea_423x is none."
    assert set(aliases.within(statement).values()) == {"idea_7", "idea_42", "reference"}
    assert [each.name for each in mentions(statement, aliases)[0]] == ["idea_7", "idea_42"]
