"""Reports: every section, for every status, with the figures of the snapshot and nothing made up."""

import pytest

from agent.analysis.boards.board import best_board, published_board
from agent.analysis.boards.leaderboard_facts import leaderboard_facts
from agent.proposers.evolution.evolve import EvolveProposer
from agent.reports.report import calibration, fenced, headline, render_report
from agent.words import signed
from archive.records.record import Prediction
from archive.tables.leaderboard_csv import PUBLISHED, read_leaderboard
from evaluator.outcomes import Finding, Score, Status
from evaluator.tasks.registry import MAD_TASKS  # fmt: skip
from tests.builders import (
    make_check,
    make_comparison,
    make_predictions,
    make_proposal,
    make_provenance,
    make_record,
    make_score,
    make_scorecard,
    make_snapshot,
    make_verdict,
)
from variants.contract import BASELINE, REFERENCE
from variants.seeds import seed_variants

SECTIONS = [
    "## 1. Leaderboard insights",
    "## 2. The modification",
    "## 3. Expected effect",
    "## 4. How it differs from previous attempts",
    "## 5. Next steps",
    "## 6. Measured against expected",
    "## 7. Verdict",
    "## Provenance",
]
NAME = "delta_net_4layer_hybrid_softmax_raw_attention_in_for_loop"


def snapshot(measured=True, **changes):
    """The published rows as if measured; their intervals end at the mean."""
    if measured:
        rows = {
            name: {t: Score(mean=row[t], low=row[t] * 0.95, high=row[t], n=3) for t in MAD_TASKS}
            for name, row in read_leaderboard(PUBLISHED).iterrows()
        }
        changes = {"standings": rows, "noise": dict.fromkeys(MAD_TASKS, 0.01)} | changes
    return make_snapshot(**changes)


def evolved():
    return EvolveProposer().ask(snapshot(seed=5)).proposal


def record(status=Status.SCORED, proposal=None, **found):
    return make_record(status, proposal=proposal or evolved(), trials=(), **found)


def scored(proposal=None):
    """Better than its parent everywhere, and all of it as predicted."""
    proposal = proposal or evolved()
    scores = {t: Score(mean=p.mean, low=p.mean * 0.9, high=p.mean, n=3) for t, p in proposal.predictions.items()}
    verdict = make_verdict(make_comparison("better", 0.05, half=0.02), against=proposal.parent)
    return record(proposal=proposal, scorecard=make_scorecard(scores, proposal.variant.name), verdicts=(verdict,))


def by_hand(**changes):
    nothing = {"insights": (), "mathematics": "", "predictions": {}, "differences": (), "next_steps": ()}
    provenance = make_provenance("hand")
    return make_proposal(seed_variants()[NAME], **({"title": "By hand", "provenance": provenance} | nothing | changes))


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("measured", [True, False])
def test_every_section_whatever_the_status(status, measured):
    shown = scored() if status is Status.SCORED else record(status, reason="what happened")
    report = render_report(shown, snapshot(measured))
    assert [line for line in report.splitlines() if line.startswith("## ")] == SECTIONS
    assert f"**{status}**" in report
    assert "\n\n\n" not in report
    assert "None\n" not in report
    if status is not Status.SCORED:
        assert "what happened" in report
        assert "there is no score to judge" in report


def test_figures_are_those_of_the_context():
    proposal = evolved()
    report = render_report(scored(proposal), snapshot())
    for task, predicted in proposal.predictions.items():
        row = next(line for line in report.splitlines() if line.startswith(f"| {task} |"))
        assert f"{snapshot().standings[proposal.parent][task].mean:.3f}" in row
        assert f"**{predicted.mean:.3f}**" in row
    assert "+0.050 | +0.030 to +0.070 | 3 | **better**" in report
    assert "```diff" in report
    assert "for i in range(len(q_n)):" in report


def test_rejection_shows_the_counterexample():
    finding = Finding(
        check="causality", status="fail", message="output at 37 changes when 40 does", evidence={"cut": 38, "seed": 7}
    )
    report = render_report(record(Status.REJECTED, check=make_check(finding), reason="causality: peeks"), snapshot())
    assert "**causality**: output at 37 changes when 40 does" in report
    assert '"cut": 38' in report


def test_a_proposal_without_predictions_or_markup_tricks():
    report = render_report(record(Status.FAILED, by_hand(), reason="timed out after 300 s"), snapshot())
    assert "No predictions were made." in report
    assert "timed out after 300 s" in report
    tricky = by_hand(predictions={"Memorize": Prediction(mean=0.5, low=0.4, high=0.6, why="a | b\nc")})
    assert "a \\| b c |" in render_report(record(Status.FAILED, tricky), snapshot())
    assert fenced("a ``` b", "text").startswith("````text")


def test_one_seed_gives_no_verdict():
    assert "one seed each" in headline(
        make_verdict(make_comparison("indistinguishable", 0.3, n=1), REFERENCE), MAD_TASKS
    )


def test_headline_names_the_standing_challenge_only_when_met():
    everywhere = dict.fromkeys(MAD_TASKS, make_comparison("better", 0.05, half=0.02))
    assert "standing challenge" in headline(make_verdict(everywhere, REFERENCE), MAD_TASKS)
    five = everywhere | {"Memorize": make_comparison("indistinguishable", 0.0, half=0.02)}
    assert "standing challenge" not in headline(make_verdict(five, REFERENCE), MAD_TASKS)
    assert "standing challenge" not in headline(make_verdict(everywhere, BASELINE), MAD_TASKS)


def test_calibration_counts_intervals_and_exact_predictions_apart():
    predictions = make_predictions(0.5)
    predictions["Memorize"] = Prediction(mean=0.5, low=0.5, high=0.5)
    shown = scored(by_hand(predictions=predictions))
    told = calibration(shown, best_board(snapshot()))
    assert told.startswith("5 of 5 measured means lie inside their 80 % interval (expected: 4.0). 1 of 1 predicted")


def test_calibration_calls_a_direction_right_only_beyond_noise():
    board, scores = best_board(snapshot()), by_hand().parent
    parents = {task: board.mean(scores, task) or 0.0 for task in MAD_TASKS}
    ways = dict(zip(MAD_TASKS, ("worse", "better", "indistinguishable", "inert", "worse", "better"), strict=True))
    predictions = {
        task: Prediction(mean=mean if task == "Selective Copy" else max(mean - 0.05, 0.0), low=0.0, high=1.0)
        for task, mean in parents.items()
    }
    verdict = make_verdict({task: make_comparison(outcome, 0.1) for task, outcome in ways.items()}, scores)
    shown = scored(by_hand(predictions=predictions)).model_copy(update={"verdicts": (verdict,)})
    assert calibration(shown, board).endswith(
        "A change of at least 0.005 was predicted on 5: 2 came so beyond noise, 1 came the other way beyond noise, "
        "1 stayed within noise and 1 cannot come."
    )


def test_insights_of_the_published_board():
    told = "\n".join(leaderboard_facts(published_board(snapshot())))
    for fact in (
        "Memorize 0.779 (`softmax_attention`)",
        f"No variant beats `{REFERENCE}` by more than noise on all six tasks.",
        "`add_local_softmax_self_attention` comes closest",
        "`normalize_keys` computes the same as `delta_net_4layer`",
        "10 rows",
        "They span 0.339 to 0.414, and that is noise.",
        "Within noise: Compress",
    ):
        assert fact in told


def test_insights_need_no_reference_and_no_full_rows():
    rows = {BASELINE: {"Memorize": make_score(0.4, n=1)}}
    told = leaderboard_facts(best_board(snapshot(standings=rows, published=read_leaderboard(PUBLISHED).iloc[:1])))
    assert any("Best per task" in line for line in told)


def test_signed_takes_a_fourth_digit_where_three_would_be_zero():
    assert [signed(x) for x in (0.0123, -0.0004, 0.0, -0.00001)] == ["+0.012", "-0.0004", "0", "0"]


def test_a_figure_that_the_leaderboard_contradicts_is_marked():
    proposal = by_hand(insights=("gated_delta_net_4layer scores 0.11 on Memorize.",))
    text = render_report(record(proposal=proposal), snapshot())
    assert "**Contradicted by the leaderboard**" in text
    assert "says 0.11 for `gated_delta_net_4layer` on Memorize; published: 0.587" in text
    sound = by_hand(insights=("gated_delta_net_4layer scores 0.587 on Memorize.",))
    assert "Contradicted" not in render_report(record(proposal=sound), snapshot())


def test_a_report_tells_where_scores_begin_and_end_under_its_protocol():
    known = scored()
    text = render_report(known, snapshot())
    assert "| `control_own_value` | 0.338 ± 0.035 |" in text
    assert "Floor, the better of two controls that read no memory (o = v; o = 0): Compress 0.338" in text
    ceiled = "Context Recall 1.000, Fuzzy Recall 1.000 and Noisy Recall 1.000"
    assert f"Ceiling, reached by shipped variants: {ceiled}." in text
    measured = text[text.index("## 6. Measured against expected") :]
    assert "| task | floor | parent |" in measured
    assert "| Memorize | 0.971 |" in measured
    old = render_report(known.model_copy(update={"protocol_hash": "0" * 16}), snapshot())
    assert "| Memorize | – |" in old[old.index("## 6. Measured against expected") :]


def test_the_size_is_told_beside_the_parent_s():
    larger = Finding(check="state", status="warn", message="", evidence={"numbers": 8192})
    text = render_report(record(check=make_check(larger)), snapshot())
    assert "**Size of a mixer:** 17.3k params, state 2×; its parent 17.3k params, state 1×" in text
    assert "Size of a mixer" not in render_report(record(check=make_check()), snapshot())
