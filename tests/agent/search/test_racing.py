"""Racing: who is pruned and who is not, on shipped trials and on simulated ones; and that it ends the training."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import stats

from agent.search.racing import RISK, Race
from archive.seeding import shipped_by_variant
from evaluator.outcomes import Status, Trial
from evaluator.protocols.built_in import QUICK, SMOKE
from evaluator.protocols.protocol import trial_specs
from evaluator.sandbox import Sandbox
from evaluator.tasks.registry import MAD_TASKS
from evaluator.trials.evaluate import Evaluator
from variants.contract import BASELINE
from variants.seeds import seed_variants

ADAM = "delta_net_4layer_adam_state_update_in_for_loop"


@pytest.fixture(scope="module")
def trials() -> dict[str, list[Trial]]:
    return shipped_by_variant("quick")


@pytest.fixture(scope="module")
def race(trials: dict[str, list[Trial]]) -> Race:
    found = Race.against(BASELINE, trials, QUICK)
    assert found is not None
    return found


def of_seeds(trials: Sequence[Trial], *seeds: int) -> list[Trial]:
    return [trial for trial in trials if trial.seed in seeds]


def test_what_collapses_is_pruned_after_one_seed_with_figures(race: Race, trials: dict[str, list[Trial]]):
    reason = race.lost(of_seeds(trials[ADAM], 0))
    assert "after one seed" in reason
    assert "mean of the tasks -0.462" in reason
    assert "(97.5%)" in reason, "two looks share the risk"


def test_nothing_is_pruned_before_a_seed_is_complete_on_all_tasks(race: Race, trials: dict[str, list[Trial]]):
    assert race.lost(of_seeds(trials[ADAM], 0)[:5]) == ""
    assert race.lost(of_seeds(trials[ADAM], 1)) == ""


def test_the_parent_itself_and_what_is_within_noise_go_on(race: Race, trials: dict[str, list[Trial]]):
    for name in (BASELINE, "delta_net_4layer_error_gated_state_update_in_for_loop"):
        assert race.lost(trials[name]) == ""


def test_one_task_that_looks_better_keeps_a_proposal(race: Race, trials: dict[str, list[Trial]]):
    mended = [t.model_copy(update={"accuracy": 0.99}) if t.task == "Memorize" else t for t in trials[ADAM]]
    assert race.lost(of_seeds(trials[ADAM], 0, 1)) != ""
    assert race.lost(of_seeds(mended, 0, 1)) == ""


def test_only_trials_of_the_same_protocol_are_raced_against(trials: dict[str, list[Trial]]):
    old = [trial.model_copy(update={"protocol_hash": "old"}) for trial in trials[BASELINE]]
    assert Race.against(BASELINE, {**trials, BASELINE: old}, QUICK) is None
    assert Race.against(BASELINE, trials, QUICK.model_copy(update={"seeds": (0,)})) is None


def test_one_as_good_as_its_parent_is_pruned_as_seldom_as_stated(race: Race, trials: dict[str, list[Trial]]):
    """Noise of each task drawn from the residuals of one shipped variant at a time, tasks apart, heavy tails kept."""
    chance = np.random.default_rng(3)
    names, runs, lost = list(trials), 150, 0
    for _ in range(runs):
        own = trials[names[chance.integers(len(names))]]
        parent, child = ([*resampled(own, chance)] for _ in range(2))
        rival = Race(parent, race.seeds, race.tasks, race.noise, race.task_noise)
        lost += bool(rival.lost(child))
    assert lost <= stats.binom.ppf(0.9999, runs, RISK)


def resampled(trials: Sequence[Trial], chance: np.random.Generator) -> list[Trial]:
    found = []
    for task in MAD_TASKS:
        own = [trial for trial in trials if trial.task == task]
        drawn = chance.choice([trial.accuracy for trial in own], len(own))
        found += [t.model_copy(update={"accuracy": float(x)}) for t, x in zip(own, drawn, strict=True)]
    return found


def test_a_pruned_evaluation_keeps_what_was_trained_and_starts_nothing_more(sandbox: Sandbox):
    specs = trial_specs(SMOKE, ["Memorize"], [0, 1, 2, 3])
    with ThreadPoolExecutor(1) as executor:
        result = Evaluator(SMOKE, sandbox, executor).evaluate(
            seed_variants()[BASELINE],
            specs,
            hopeless=lambda trials: "too bad" if len(trials) == 2 else "",
            stop=threading.Event(),
        )
    assert (result.status, result.reason) == (Status.PRUNED, "too bad")
    assert [trial.seed for trial in result.trials] == [0, 1]
    assert all(trial.status is Status.SCORED for trial in result.trials)
