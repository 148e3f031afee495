"""Racing: the order of trials, who is stopped and who is not, on shipped trials; and that it ends the training."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from agent.analysis.boards.board import open_board
from agent.analysis.boards.challenge import Challenge
from agent.analysis.trial_work import weights
from agent.search.forecast import Experience, Measured, foretell
from agent.search.racing import CHANCE, Race, target_of
from archive.seeding import shipped_by_variant
from benchmarks.racing import chances
from evaluator.outcomes import Status, Trial
from evaluator.protocols.built_in import QUICK, SMOKE
from evaluator.protocols.protocol import trial_specs
from evaluator.sandbox import Sandbox
from evaluator.trials.evaluate import Evaluator
from evaluator.trials.run_trial import spec_of
from variants.contract import BASELINE
from variants.seeds import seed_variants

ADAM = "delta_net_4layer_adam_state_update_in_for_loop"
BEST = "delta_net_4layer_own_written_value_skip_in_for_loop"
TASKS = list(QUICK.tasks)
SPECS = trial_specs(QUICK)
TARGET = target_of(Challenge.of(open_board("quick", None)), TASKS)


@pytest.fixture(scope="module")
def trials() -> dict[str, list[Trial]]:
    return shipped_by_variant("quick")


@pytest.fixture(scope="module")
def race(trials: dict[str, list[Trial]]) -> Race:
    """Against the baseline, learnt from all but the two that the tests propose."""
    others = {name: own for name, own in trials.items() if name not in (ADAM, BEST)}
    found = Race.against(BASELINE, others, QUICK, TARGET)
    assert found is not None
    return found


def first(race: Race, trials: Sequence[Trial], count: int) -> list[Trial]:
    """The first trials in the order of the race."""
    order = race.order(SPECS, [], weights(QUICK, SPECS))[:count]
    return [trial for trial in trials if spec_of(trial) in order]


def test_what_collapses_is_stopped_within_four_trials_with_its_chance(race: Race, trials: dict[str, list[Trial]]):
    stopped = [n for n in range(1, 7) if race.reason_to_prune(first(race, trials[ADAM], n))]
    assert stopped[0] <= 4
    reason = race.reason_to_prune(first(race, trials[ADAM], stopped[0]))
    assert f"stopped after {stopped[0]} of 18 trials: with all of them" in reason
    assert "less than 1%" in reason
    assert "Context Recall -0.7" in reason


def test_what_is_better_is_trained_to_its_end(race: Race, trials: dict[str, list[Trial]]):
    assert all(race.reason_to_prune(first(race, trials[BEST], n)) == "" for n in range(19))


def test_the_target_decides(race: Race, trials: dict[str, list[Trial]]):
    memorize = TASKS.index("Memorize")
    mended = [t.model_copy(update={"accuracy": 0.99}) if t.task == "Memorize" else t for t in trials[ADAM]]
    alone = Race(race.parent, race.experience, QUICK, lambda accuracies: accuracies[:, memorize])
    assert race.reason_to_prune(first(race, mended, 8)) != ""
    assert alone.reason_to_prune(first(race, mended, 8)) == ""


@pytest.mark.slow
def test_no_shipped_variant_that_all_trials_show_ahead_of_the_baseline_is_stopped(trials: dict[str, list[Trial]]):
    """The race learns from the others only; what it saves is in docs/results/racing.md."""
    ahead, stopped = set(), set()
    for name in trials.keys() - {BASELINE}:
        others = {other: own for other, own in trials.items() if other != name}
        race = Race.against(BASELINE, others, QUICK, TARGET)
        assert race is not None
        own = Measured.of(trials[name], TASKS, QUICK.seeds)
        means = np.stack([own.accuracy.mean(1), race.parent.accuracy.mean(1)])
        if TARGET(means) @ [1, -1] > race.margin:
            ahead.add(name)
        if min(chances(race, own, race.order(SPECS, [], weights(QUICK, SPECS)))) < CHANCE:
            stopped.add(name)
    assert BEST in ahead
    assert not ahead & stopped
    assert len(stopped) >= 10


def test_each_trial_comes_once_and_what_has_to_be_first_is(race: Race):
    must = [spec for spec in SPECS if (spec.task, spec.seed) == ("Selective Copy", 2)]
    order = race.order(SPECS, must, weights(QUICK, SPECS))
    assert sorted(map(str, order)) == sorted(map(str, SPECS))
    assert order[0] == must[0]
    cheap = {spec: 1e-6 if spec.task == "Compress" else 1.0 for spec in SPECS}
    assert {spec.task for spec in race.order(SPECS, [], cheap)[:3]} == {"Compress"}


def test_what_is_known_is_foretold_as_it_is(race: Race, trials: dict[str, list[Trial]]):
    own = Measured.of(trials[BEST], TASKS, QUICK.seeds)
    drawn = foretell(race.experience, race.parent, own, 50, np.random.default_rng(0))
    np.testing.assert_allclose(drawn, np.tile(own.accuracy.mean(1), (50, 1)))


def test_an_inherited_task_leaves_no_doubt(race: Race, trials: dict[str, list[Trial]]):
    copied = [t.model_copy(update={"inherited_from": BASELINE}) for t in trials[BASELINE] if t.task == "Memorize"]
    one = [t for t in copied if t.seed == 0]
    drawn = [
        foretell(race.experience, race.parent, Measured.of(own, TASKS, QUICK.seeds), 500, np.random.default_rng(0))
        for own in (one, [t.model_copy(update={"inherited_from": None}) for t in one])
    ]
    sure, unsure = (found[:, TASKS.index("Memorize")].std() for found in drawn)
    assert sure < unsure


def test_without_curves_accuracies_are_enough(race: Race, trials: dict[str, list[Trial]]):
    bare = [t.model_copy(update={"curve": ()}) for t in trials[ADAM]]
    assert race.reason_to_prune(first(race, bare, 8)) != ""


def test_curves_change_no_accuracy_that_is_known(race: Race, trials: dict[str, list[Trial]]):
    """A training process that reports a loss of nearly 0 can delay its stop, and gets no score by it."""
    lying = [t.model_copy(update={"curve": tuple(p.model_copy(update={"loss": 1e-9}) for p in t.curve)})
             for t in trials[ADAM]]  # fmt: skip
    assert race.reason_to_prune(first(race, lying, 14)) != ""


def test_nothing_is_raced_without_a_parent_s_trials_other_variants_or_seeds(trials: dict[str, list[Trial]]):
    old = [trial.model_copy(update={"protocol_hash": "old"}) for trial in trials[BASELINE]]
    assert Race.against(BASELINE, {**trials, BASELINE: old}, QUICK, TARGET) is None
    assert Race.against(BASELINE, {**trials, BASELINE: trials[BASELINE][:5]}, QUICK, TARGET) is None
    assert Race.against(BASELINE, trials, QUICK.model_copy(update={"seeds": (0,)}), TARGET) is None
    few = {name: trials[name] for name in list(trials)[:4]}
    assert Race.against(BASELINE, few, QUICK, TARGET) is None


def test_experience_measures_spread_and_noise_apart():
    chance = np.random.default_rng(0)
    true = chance.normal(0.5, 0.1, (400, 2, 1))
    accuracy = true + chance.normal(0, 0.02, (400, 2, 3))
    rows = [Measured(each, -each, np.zeros(each.shape, dtype=bool)) for each in accuracy]
    found = Experience.of(rows)
    assert found is not None
    assert np.sqrt(found.noise[0, 0, 0] / 2) == pytest.approx(0.02, rel=0.1)
    assert np.sqrt(found.spread[0, 0] / 2) == pytest.approx(np.hypot(0.1, 0.02 / 3**0.5), rel=0.1)
    assert found.noise[0, 0, 1] < 0, "area falls where accuracy rises"


def test_a_pruned_evaluation_keeps_what_was_trained_and_starts_nothing_more(sandbox: Sandbox):
    specs = trial_specs(SMOKE, ["Memorize"], [0, 1, 2, 3])
    with ThreadPoolExecutor(1) as executor:
        result = Evaluator(SMOKE, sandbox, executor).evaluate(
            seed_variants()[BASELINE],
            specs,
            reason_to_prune=lambda trials: "too bad" if len(trials) == 2 else "",
            stop=threading.Event(),
        )
    assert (result.status, result.reason) == (Status.PRUNED, "too bad")
    assert [trial.seed for trial in result.trials] == [0, 1]
    assert all(trial.status is Status.SCORED for trial in result.trials)
