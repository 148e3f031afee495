"""Figures that the leaderboard contradicts are found, and hardly anything else is."""

import pytest

from agent.catalogue import SEED_GENOMES
from agent.context import Context
from agent.contradictions import contradictions
from evaluator.outcomes import Score
from variants.leaderboard import PUBLISHED, read_leaderboard
from variants.seeds import seed_variants


@pytest.fixture
def context() -> Context:
    return Context(
        protocol="quick",
        standings={"delta_net_4layer": {"Fuzzy Recall": Score(mean=0.3, low=0.28, high=0.32, n=3)}},
        published=read_leaderboard(PUBLISHED),
        noise={},
        history=(),
        under_way=(),
        variants=seed_variants(),
        genomes=SEED_GENOMES,
        seed=0,
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("delta_net_4layer_softmax_attention_in_for_loop scores 0.53 on Fuzzy Recall.", "published: 0.160"),
        ("The baseline has Fuzzy Recall 0.53 and Memorize (.403).", "published: 0.217; quick: 0.280 to 0.320"),
        ("Gated DeltaNet: Compress 0.366, Memorize 0.78", "says 0.78 for `gated_delta_net_4layer` on Memorize"),
        ("`delta_net_4layer` reaches 97 % on Selective Copy.", "published: 0.950"),
        ("Hybrid softmax raw attention reaches 0.217 on Fuzzy-Recall.", "published: 0.530"),
    ],
)
def test_a_wrong_figure_is_found(context: Context, text: str, found: str) -> None:
    (line,) = contradictions(text, context)
    assert found in line


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
        "",
    ],
)
def test_a_right_figure_an_expectation_and_a_comparison_pass(context: Context, text: str) -> None:
    assert contradictions(text, context) == ()
