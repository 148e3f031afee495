"""Floors and ceilings: from the controls and the shipped variants, per task and protocol."""

from collections.abc import Mapping, Sequence

import pytest

from agent.analysis.boards import floors
from agent.analysis.boards.floors import at_floor, ceiling, control_scores, floor
from archive.seeding import SHIPPED, make_archive, shipped_by_variant, shipped_controls
from evaluator.outcomes import Status, Trial
from evaluator.protocols.built_in import PROTOCOLS, tasks_of
from evaluator.protocols.protocol import trial_specs
from evaluator.statistics.moderated_t_test import noise_by_task
from evaluator.tasks.names import TaskName
from evaluator.trials.run_trial import spec_of
from variants.contract import BASELINE
from variants.controls import OWN_VALUE, ZERO, controls
from variants.seeds import seeds


@pytest.mark.parametrize("protocol", SHIPPED)
def test_each_control_has_every_trial_of_today_s_protocol_for_today_s_code(protocol: str) -> None:
    found = shipped_controls(protocol)
    assert set(found) == set(controls()) == {OWN_VALUE, ZERO}
    for name, trials in found.items():
        assert {trial.source_hash for trial in trials} == {controls()[name].source_hash}
        assert {trial.protocol_hash for trial in trials} == {PROTOCOLS[protocol].hash}
        assert {trial.status for trial in trials} == {Status.SCORED}
        assert {spec_of(trial) for trial in trials} == {*trial_specs(PROTOCOLS[protocol])}


def test_the_floor_is_the_better_control_of_each_task() -> None:
    own, zero = control_scores("quick")[OWN_VALUE], control_scores("quick")[ZERO]
    assert floor("quick") == {task: max(own[task].mean, zero[task].mean) for task in tasks_of("quick")}


def test_own_values_alone_do_almost_all_of_memorize_and_nothing_of_recall() -> None:
    measured = floor("quick")
    assert measured["Memorize"] > 0.95
    for task in ("Context Recall", "Noisy Recall", "Selective Copy", "Fuzzy Recall"):
        assert measured[task] < 0.5


def test_a_ceiling_is_stated_where_a_shipped_variant_reached_it() -> None:
    assert ceiling("quick") == {"Context Recall": 1.0, "Noisy Recall": 1.0, "Fuzzy Recall": 1.0}
    assert ceiling("smoke") == {}


def of_board(trials: Mapping[str, Sequence[Trial]], protocol: str) -> dict[str, frozenset[TaskName]]:
    return at_floor(trials, protocol, noise_by_task(trials, tasks_of(protocol)))


def test_at_the_floor_is_what_is_not_better_than_the_better_control() -> None:
    trials = shipped_by_variant("quick")
    low = of_board(trials, "quick")
    assert set(low) == set(trials)
    assert all("Memorize" in tasks for tasks in low.values()), "no known variant is above the floor there"
    assert low[BASELINE] == {"Compress", "Memorize"}
    best = f"{BASELINE}_phase_echo_decay_state_update_in_for_loop"
    assert "Compress" not in low[best]
    raised = [t.model_copy(update={"accuracy": 1.0}) if t.task == "Memorize" else t for t in trials[BASELINE]]
    assert "Memorize" in of_board(trials | {BASELINE: raised}, "quick")[BASELINE], "1.000 is within noise of 0.971"


def test_one_seed_tells_nothing_of_the_floor() -> None:
    assert set(of_board(shipped_by_variant("smoke"), "smoke").values()) == {frozenset()}


def test_a_protocol_without_shipped_trials_has_neither() -> None:
    assert floor("mad") == {}
    assert ceiling("mad") == {}


def test_trials_of_an_older_version_of_the_protocol_give_no_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    old = {name: [t.model_copy(update={"protocol_hash": "0" * 16}) for t in own]
           for name, own in shipped_controls("quick").items()}  # fmt: skip
    monkeypatch.setattr(floors, "shipped_controls", lambda _: old)
    floors.control_scores.cache_clear()
    try:
        assert floor("quick") == {}
    finally:
        floors.control_scores.cache_clear()


def test_a_control_is_in_no_archive_and_no_seed(tmp_path) -> None:
    archive = make_archive(tmp_path / "new")
    assert not set(controls()) & (set(seeds()) | set(archive.variant_names()))
    assert not set(controls()) & set(archive.trials("quick"))
