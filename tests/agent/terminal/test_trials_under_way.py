"""What is said while trials run: how many ended, and the time left."""

from agent.terminal.trials_under_way import UnderWay
from evaluator.protocols.built_in import MAD
from evaluator.protocols.protocol import TrialSpec, trial_specs
from evaluator.trials.evaluate import TrialProgress
from tests.builders import make_trial

SPECS = tuple(spec for spec in trial_specs(MAD, ["Memorize"]) if spec.lr == 1e-3 and spec.weight_decay == 0.0)[:4]


def ended(spec: TrialSpec) -> TrialProgress:
    return TrialProgress(spec, 1.0, make_trial(protocol=MAD, accuracy=1.0, **spec.model_dump()))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_is_that_of_the_work_left():
    clock = Clock()
    under_way = UnderWay(MAD, SPECS, clock)
    under_way.told(TrialProgress(SPECS[0], 0.5))
    clock.now = 100.0
    told = under_way.told(ended(SPECS[0]))
    assert told.startswith("1 of 4 trials ended; Memorize v256-l32-n256, rate 0.001, decay 0, seed 0: 100%")
    assert told.endswith("1.7 min so far, about 5 min left")
    clock.now = 150.0
    assert under_way.told(TrialProgress(SPECS[1], 0.5)).endswith("2.5 min so far, about 4.2 min left")


def test_what_had_ended_before_says_nothing_of_the_time():
    clock = Clock()
    under_way = UnderWay(MAD, SPECS, clock)
    assert under_way.told(ended(SPECS[0])).endswith("0 s so far")
    clock.now = 10.0
    assert under_way.told(TrialProgress(SPECS[1], 0.5)).endswith("10 s so far, about 50 s left")


def test_a_spec_that_two_variants_run_counts_twice():
    clock = Clock()
    under_way = UnderWay(MAD, SPECS[:1] * 2, clock)
    clock.now = 5.0  # checks run until here
    under_way.told(TrialProgress(SPECS[0], 0.0))
    clock.now = 15.0
    under_way.told(TrialProgress(SPECS[0], 0.9))
    assert under_way.told(ended(SPECS[0])).endswith("10 s so far, about 10 s left")


def test_what_is_inherited_is_no_trial_that_anybody_trains():
    under_way = UnderWay(MAD, SPECS, Clock())
    step = ended(SPECS[0])
    assert step.trial is not None
    inherited = step.trial.model_copy(update={"inherited_from": "delta_net_4layer_in_for_loop"})
    assert under_way.told(TrialProgress(SPECS[0], 1.0, inherited)).startswith("0 of 3 trials ended")
    assert under_way.told(ended(SPECS[1])).startswith("1 of 3 trials ended")
