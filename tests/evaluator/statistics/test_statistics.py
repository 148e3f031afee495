"""Scorecards and verdicts, against hand-made numbers and scipy's paired test."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaluator.outcomes import Trial
from evaluator.protocols.built_in import SMOKE, STANDARD
from evaluator.statistics.scorecards import losses_by_task, scorecard, seed_accuracies
from evaluator.statistics.verdicts import verdict
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import make_trial


def trial(accuracy: float | None, seed: int = 0, variant: str = "some_variant", **changes: Any) -> Trial:
    return make_trial(variant, seed=seed, accuracy=accuracy, **changes)


def over_seeds(accuracies: list[float], **changes: Any) -> list[Trial]:
    return [trial(accuracy, seed, **changes) for seed, accuracy in enumerate(accuracies)]


def test_the_best_of_the_grid_then_settings_then_seeds() -> None:
    trials = [
        trial(0.2, 0, lr=1e-3),
        trial(0.4, 0, lr=1e-2),
        trial(0.8, 0, setting="hard"),
        trial(0.1, 1, lr=1e-3),
        trial(None, 1, lr=1e-2),
        trial(0.3, 1, setting="hard"),
    ]
    assert seed_accuracies(trials) == {"Memorize": {0: pytest.approx(0.6), 1: pytest.approx(0.2)}}
    score = scorecard(trials).scores["Memorize"]
    assert (score.mean, score.n) == (pytest.approx(0.4), 2)


def test_the_loss_is_that_of_the_trials_that_are_the_score() -> None:
    trials = [
        trial(0.2, 0, lr=1e-3, test_loss=9.0),
        trial(0.4, 0, lr=1e-2, test_loss=1.0),
        trial(0.8, 0, setting="hard", test_loss=3.0),
        trial(0.3, 1, setting="hard", test_loss=7.0),
        trial(0.5, 0, task="Compress", test_loss=0.25),
    ]
    assert losses_by_task(trials) == {"Memorize": 2.0, "Compress": 0.25}


def test_interval_is_students_t() -> None:
    score = scorecard(over_seeds([0.5, 0.6, 0.55])).scores["Memorize"]
    half = 4.302653 * 0.05 / math.sqrt(3)
    assert (score.mean, score.n) == (pytest.approx(0.55), 3)
    assert (score.low, score.high) == (pytest.approx(0.55 - half), pytest.approx(0.55 + half))


def test_one_seed_has_no_width_and_intervals_stay_between_0_and_1() -> None:
    alone = scorecard(over_seeds([0.7])).scores["Memorize"]
    assert (alone.low, alone.mean, alone.high, alone.n) == (0.7, 0.7, 0.7, 1)
    edge = scorecard(over_seeds([1.0, 0.9])).scores["Memorize"]
    assert (edge.low, edge.high) == (pytest.approx(0.95 - 12.7062 * 0.05, rel=1e-4), 1.0)


def test_a_seed_with_a_setting_missing_does_not_count() -> None:
    trials = [trial(0.5, 0), trial(0.7, 0, setting="hard"), trial(0.9, 1), trial(None, 1, setting="hard")]
    assert seed_accuracies(trials) == {"Memorize": {0: pytest.approx(0.6)}}


def test_a_task_without_a_score_is_absent() -> None:
    assert scorecard([trial(None), trial(0.5, task="Compress")]).scores.keys() == {"Compress"}


@pytest.mark.parametrize(
    "trials", [[], [trial(0.1), trial(0.2, variant="other")], [trial(0.1), trial(0.2, protocol=SMOKE)]]
)
def test_a_scorecard_is_of_one_variant_under_one_protocol(trials: list[Trial]) -> None:
    with pytest.raises(ValueError, match="one variant"):
        scorecard(trials)


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        ([0.60, 0.71, 0.52], [0.50, 0.60, 0.42], "better"),
        ([0.50, 0.60, 0.42], [0.60, 0.71, 0.52], "worse"),
        ([0.50, 0.60, 0.42], [0.45, 0.66, 0.40], "indistinguishable"),
        ([0.9], [0.1], "indistinguishable"),
        ([0.5, 0.6], [0.5, 0.6], "indistinguishable"),
    ],
)
def test_verdicts(ours: list[float], theirs: list[float], outcome: str) -> None:
    found = verdict(over_seeds(ours), over_seeds(theirs, variant="parent"), "parent", {})
    assert found.against == "parent"
    assert found.tasks["Memorize"].outcome == outcome
    assert found.tasks["Memorize"].n == len(ours)


def test_seeds_are_paired_by_name_and_only_those_of_both_count() -> None:
    ours = [trial(0.9, 7), trial(0.3, 1), trial(0.4, 2)]
    theirs = [trial(0.2, 2), trial(0.1, 1), trial(0.9, 5)]
    comparison = verdict(ours, theirs, "parent", {}).tasks["Memorize"]
    assert (comparison.difference, comparison.n) == (pytest.approx(0.2), 2)
    assert not verdict([trial(0.9, 7)], theirs, "parent", {}).tasks


def test_inherited_everywhere_is_inert() -> None:
    parent = over_seeds([0.5, 0.6], variant="parent")
    heir = over_seeds([0.5, 0.6], inherited_from="parent")
    comparison = verdict(heir, parent, "parent", {}).tasks["Memorize"]
    assert (comparison.outcome, comparison.difference) == ("inert", 0.0)
    sibling = over_seeds([0.5, 0.6], variant="sibling", inherited_from="parent")
    assert verdict(heir, sibling, "sibling", {}).tasks["Memorize"].outcome == "inert"
    half = [heir[0], trial(0.7, 1)]
    assert verdict(half, parent, "parent", {}).tasks["Memorize"].outcome == "indistinguishable"


def test_what_is_inherited_from_the_parent_may_still_differ_from_another() -> None:
    heir = over_seeds([0.5, 0.6, 0.55], inherited_from="parent")
    reference = over_seeds([0.8, 0.9, 0.86], variant="reference")
    assert verdict(heir, reference, "reference", {}).tasks["Memorize"].outcome == "worse"


def test_a_higher_confidence_asks_for_more() -> None:
    ours, theirs = over_seeds([0.60, 0.72, 0.51]), over_seeds([0.50, 0.60, 0.42])
    assert verdict(ours, theirs, "parent", {}).tasks["Memorize"].outcome == "better"
    strict = verdict(ours, theirs, "parent", {}, confidence=1 - 0.05 / 50)
    assert strict.tasks["Memorize"].outcome == "indistinguishable"


accuracies = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8)


@given(accuracies)
def test_the_interval_excludes_zero_when_the_paired_t_test_says_so(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    differences = [a - b for a, b in pairs]
    if max(differences) - min(differences) < 1e-6:
        return
    p = float(stats.ttest_rel(ours, theirs).pvalue)
    if abs(p - 0.05) < 1e-6:
        return
    outcome = verdict(over_seeds(ours), over_seeds(theirs), "parent", {}).tasks["Memorize"].outcome
    assert (outcome != "indistinguishable") == (p < 0.05)


def test_a_seed_that_lacks_a_setting_of_its_protocol_is_not_complete():
    setting, other = (each.id for each in STANDARD.tasks["Memorize"].settings)
    trials = [
        make_trial(protocol=STANDARD, task="Memorize", setting=setting, seed=seed, accuracy=0.5) for seed in (0, 1)
    ]
    assert seed_accuracies(trials) == {}, "the easier half of a task is no score of it"
    trials.append(make_trial(protocol=STANDARD, task="Memorize", setting=other, seed=1, accuracy=0.1))
    assert seed_accuracies(trials) == {"Memorize": {1: pytest.approx(0.3)}}


def test_an_older_protocol_of_the_name_may_have_other_settings():
    trials = [make_trial(protocol=STANDARD, task="Memorize", setting="v64-l32-n256", accuracy=0.5)]
    assert seed_accuracies(trials) == {"Memorize": {0: 0.5}}


def test_a_verdict_names_its_tasks_in_one_order_whatever_the_order_of_the_trials() -> None:
    ours = [make_trial("ours", task, 0, 0.5) for task in reversed(MAD_TASKS)]
    theirs = [make_trial("theirs", task, 0, 0.5) for task in MAD_TASKS]
    assert tuple(verdict(ours, theirs, "theirs", {}).tasks) == MAD_TASKS
