"""What a proposal costs: the pipeline with race and bits of the parent, its trainings looked up among shipped ones."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from agent.analysis.boards.board import open_board
from agent.analysis.boards.challenge import Challenge
from agent.search.pipeline import Evaluated, Pipeline
from agent.search.racing import Race, target_of
from archive.seeding import shipped_by_variant
from evaluator.outcomes import Status, Trial
from evaluator.protocols.built_in import QUICK
from evaluator.protocols.protocol import TrialSpec, trial_specs
from evaluator.sandbox import Sandbox
from evaluator.trials.evaluate import Evaluator
from evaluator.trials.grouped import Group
from evaluator.trials.run_trial import spec_of
from tests.builders import make_check
from variants.contract import BASELINE
from variants.seeds import seed_variants

SEEDS = seed_variants()
TASKS = tuple(QUICK.tasks)
ADAM, FROBENIUS, BEST = (
    f"delta_net_4layer_{name}_in_for_loop"
    for name in ("adam_state_update", "frobenius_renorm_state_update", "own_written_value_skip")
)


class LookedUp:
    """Trials that shipped, in the order in which they were asked for."""

    def __init__(self) -> None:
        self.trials = shipped_by_variant("quick")
        self.asked: list[TrialSpec] = []

    def run_group(self, group: Group, *_: Any) -> tuple[Trial, ...]:
        (spec,) = group.specs
        self.asked.append(spec)
        return tuple(trial for trial in self.trials[group.variant.name] if spec_of(trial) == spec)

    def evaluate(self, name: str) -> Evaluated:
        """The seed variant of that name as a proposal from the baseline; Memorize is one chunk."""
        known = {other: own for other, own in self.trials.items() if other != name}
        race = Race.against(BASELINE, known, QUICK, target_of(Challenge.of(open_board("quick", None)), TASKS))
        inert = {"Memorize": tuple(s.id for s in QUICK.tasks["Memorize"].settings)} if name != BEST else {}
        report = make_check(name=name, inert_settings=inert)
        with ThreadPoolExecutor(1) as executor:
            evaluator = Evaluator(QUICK, cast(Sandbox, None), executor, run_group=self.run_group)
            return Pipeline(evaluator, known).evaluate(
                SEEDS[name], SEEDS[BASELINE], trial_specs(QUICK), report, race=race
            )


def test_what_collapses_costs_two_trials():
    looked = LookedUp()
    result = looked.evaluate(ADAM)
    assert result.status is Status.PRUNED
    assert "with all of them it would end ahead of its parent" in result.reason
    assert looked.asked[0].task == "Context Recall"
    assert len(looked.asked) <= 2


def test_what_never_acts_costs_three_and_is_not_stopped_for_want_of_a_chance():
    looked = LookedUp()
    result = looked.evaluate(FROBENIUS)
    assert (result.status, result.no_effect, len(result.trials)) == (Status.SCORED, True, 18)
    assert {"Context Recall", "Compress"} <= {spec.task for spec in looked.asked}
    assert len(looked.asked) == 3
    assert not result.parent_again


def test_what_is_better_is_trained_whole_and_its_trials_keep_the_protocol_s_order():
    looked = LookedUp()
    result = looked.evaluate(BEST)
    assert result.status is Status.SCORED
    assert not result.no_effect
    assert sorted(map(str, looked.asked)) == sorted(map(str, trial_specs(QUICK)))
    assert tuple(map(spec_of, result.trials)) == trial_specs(QUICK)
