"""Changes without effect: which trials tell, and what counts as the parent's bits, on shipped and made-up trials."""

import pytest

from archive.seeding import shipped_by_variant
from evaluator.outcomes import Trial
from evaluator.protocols.built_in import MAD, QUICK
from evaluator.protocols.protocol import trial_specs
from evaluator.trials.no_effect import of_specs, rounding_apart, same_bits, telling
from tests.builders import make_trial
from variants.contract import BASELINE

FROBENIUS = "delta_net_4layer_frobenius_renorm_state_update_in_for_loop"
DECAY = "delta_net_4layer_decay_state_update_in_for_loop"
SPECS = trial_specs(QUICK)


@pytest.fixture(scope="module")
def shipped() -> dict[str, list[Trial]]:
    return shipped_by_variant("quick")


def test_one_trial_of_each_chunk_size_tells_the_cheapest_with_the_most_chunks():
    free = [spec for spec in SPECS if spec.task != "Memorize"]  # a change of the state cannot act there
    assert [(spec.task, spec.seed) for spec in telling(QUICK, free)] == [("Context Recall", 0), ("Compress", 0)]
    assert {spec.task for spec in telling(QUICK, SPECS)} == {"Compress", "Context Recall", "Memorize"}


def test_under_mad_the_longest_sequence_tells():
    (spec,) = telling(MAD, trial_specs(MAD))
    assert MAD.setting(spec).length == max(setting.length for plan in MAD.tasks.values() for setting in plan.settings)


def test_runs_that_train_as_one_tell_together():
    found = telling(QUICK, SPECS, members=12)
    assert [(spec.task, spec.seed) for spec in found if spec.task == "Compress"] == [("Compress", s) for s in (0, 1, 2)]


def test_the_shipped_variant_whose_cap_was_never_reached_is_found(shipped: dict[str, list[Trial]]):
    ours = of_specs(shipped[FROBENIUS], telling(QUICK, SPECS))
    assert len(ours) == 3
    assert same_bits(ours, shipped[BASELINE])


def test_no_other_shipped_variant_is(shipped: dict[str, list[Trial]]):
    free = [spec for spec in SPECS if spec.task != "Memorize"]
    for name, trials in shipped.items():
        if name not in (FROBENIUS, BASELINE):
            ours = of_specs(trials, telling(QUICK, free))
            assert not same_bits(ours, shipped[BASELINE]), name


@pytest.mark.parametrize("changed", ["weights_hash", "accuracy", "test_loss"])
def test_bits_are_of_weights_and_of_scores(changed: str):
    parent = make_trial(BASELINE, weights_hash="a", test_loss=1.0)
    ours = parent.model_copy(update={"variant": "x"})
    assert same_bits([ours], [parent])
    assert not same_bits([ours.model_copy(update={changed: "b" if changed == "weights_hash" else 0.25})], [parent])


def test_without_trials_or_hashes_nothing_is_the_same():
    trial = make_trial(weights_hash=None)
    assert not same_bits([trial], [trial])
    assert not same_bits([], [])
    assert not rounding_apart([trial], [trial]), "no curve"


def test_curves_tell_rounding_from_the_least_change_that_acts(shipped: dict[str, list[Trial]]):
    """0.99 as the decay changes the loss least of all; the keys normalised again change its last digits."""
    free = [spec for spec in SPECS if spec.task != "Memorize"]
    found = {name: of_specs(trials, telling(QUICK, free)) for name, trials in shipped.items()}
    assert not rounding_apart(found[DECAY], found[BASELINE])
    assert rounding_apart(found["delta_net_4layer_normalize_keys_in_for_loop"], found[BASELINE])
