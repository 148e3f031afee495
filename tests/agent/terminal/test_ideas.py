"""What a search says of an idea when it begins, and of what was learnt when it ends."""

from collections.abc import Mapping

import pytest

from agent.analysis.boards.board import Board
from agent.analysis.replicates import SeedDeviation
from agent.terminal.ideas import idea_line, learnt_lines
from archive.records.record import Record
from evaluator.outcomes import Comparison, Score, Status, Verdict
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import make_comparison, make_proposal, make_record, make_variant, make_verdict
from variants.contract import BASELINE, REFERENCE

NEAR, FAR = "delta_net_4layer_near_in_for_loop", "delta_net_4layer_far_in_for_loop"


def board(rows: Mapping[str, float]) -> Board:
    """Each row with one score on every task, and 0.1 less on Memorize."""
    scores: dict[str, dict[TaskName, Score]] = {
        name: {
            task: Score(mean=(at := mean - (0.1 if task == "Memorize" else 0)), low=at, high=at, n=3)
            for task in MAD_TASKS
        }
        for name, mean in rows.items()
    }
    return Board("made up", "quick", scores, dict.fromkeys(MAD_TASKS, SeedDeviation(0.01, 40)))


def record(name: str, compared: Mapping[TaskName, Comparison]) -> Record:
    proposal = make_proposal(make_variant(name), parent=BASELINE, next_steps=("Halve the step.",))
    verdicts: tuple[Verdict, ...] = (make_verdict(compared),) if compared else ()
    return make_record(proposal=proposal, status=Status.SCORED, verdicts=verdicts)


def test_an_idea_names_what_its_parent_lacks_most():
    found = board({REFERENCE: 0.6, BASELINE: 0.5})
    found = Board(
        found.title,
        found.protocol,
        {**found.scores, BASELINE: {**found.scores[BASELINE], "Compress": Score(mean=0.2, low=0.2, high=0.2, n=3)}},
        found.spreads,
    )
    line = idea_line(make_proposal(make_variant(NEAR), parent=BASELINE, title="A [gate]"), found)
    assert "A \\[gate]" in line
    assert "lacks most on Compress: 0.200" in line
    assert "has 0.600" in line
    assert "lacks" not in idea_line(make_proposal(make_variant(NEAR), parent="unknown"), found)


@pytest.mark.parametrize(
    ("compared", "told"),
    [
        ({"Memorize": make_comparison("better", 0.1), "Compress": make_comparison("worse", -0.1)},
         "better than its parent on Memorize; worse than its parent on Compress"),
        ({"Memorize": make_comparison("indistinguishable", 0.0)}, "within noise of its parent on every task"),
        ({"Memorize": make_comparison("inert", 0.0)}, "cannot differ from its parent"),
        ({"Memorize": make_comparison("indistinguishable", 0.2, n=1)}, "one seed tells nothing of noise"),
        ({}, "no scores of its parent to compare with"),
    ],
)  # fmt: skip
def test_what_was_learnt_of_one_proposal(compared: Mapping[TaskName, Comparison], told: str):
    lines = list(learnt_lines([record(NEAR, compared)], board({REFERENCE: 0.6, BASELINE: 0.5, NEAR: 0.55})))
    assert told in lines[1]
    assert "to goal" in lines[1]


def test_the_end_says_who_is_nearest_and_what_to_try_next():
    scores = board({REFERENCE: 0.6, BASELINE: 0.5, NEAR: 0.58, FAR: 0.4, "best": 0.7})
    lines = list(learnt_lines([record(FAR, {}), record(NEAR, {})], scores))
    assert "nearest to the challenge: best, to goal 0.0, mean 0.683" in lines[-3]
    assert "nearest of this search: near, to goal" in lines[-2]
    assert lines[-1].endswith("Halve the step.")
    assert list(learnt_lines([], scores)) == []


def test_what_was_stopped_early_taught_something_too():
    stopped = make_record(proposal=make_proposal(make_variant(FAR), parent=BASELINE), status=Status.PRUNED)
    lines = list(learnt_lines([stopped], board({REFERENCE: 0.6, BASELINE: 0.5})))
    assert lines[1].endswith("no chance left to get ahead of their parents: far")
    assert "nearest to the challenge: gated_delta_net_4layer" in lines[-1]
