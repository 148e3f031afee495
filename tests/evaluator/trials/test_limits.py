"""What a training may use: CPU time by its steps and its mixer, and longer on a busy machine."""

import pytest

from evaluator.protocols.built_in import PROTOCOLS, STANDARD
from evaluator.protocols.protocol import Protocol, trial_specs
from evaluator.trials.run_trial import limits_of
from variants.contract import Layer


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_a_training_is_held_to_its_cpu_time_and_may_be_kept_waiting(protocol: Protocol) -> None:
    for spec in trial_specs(protocol, seeds=[0]):
        job = protocol.job(spec, Layer.DELTA_NET)
        limits = limits_of(job)
        assert limits.cpu_seconds == 120 + 3 * job.steps
        assert limits.wall_seconds == 4 * limits.cpu_seconds
        assert limits_of(job.model_copy(update={"threads": 2})).wall_seconds == limits.wall_seconds


def test_several_at_once_and_wider_mixers_get_as_much_more() -> None:
    (spec,) = trial_specs(STANDARD, ["Selective Copy"], [0])
    small, wide = (STANDARD.job(spec, layer) for layer in (Layer.GATED_DELTA_NET, Layer.WIDE_GATED_DELTA_NET))
    assert limits_of(small, 2).cpu_seconds == 120 + 2 * 3 * small.steps
    assert limits_of(wide).cpu_seconds == 120 + 24 * 3 * small.steps
