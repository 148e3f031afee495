"""A change without effect: what the trial beside the telling ones says counts as well."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from agent.search.pipeline import Evaluated, Pipeline
from agent.search.racing import Race
from evaluator.outcomes import CurvePoint, Trial
from evaluator.protocols.built_in import QUICK
from evaluator.protocols.protocol import TrialSpec, trial_specs
from evaluator.trials.evaluate import Evaluator
from evaluator.trials.grouped import Group
from tests.builders import SOURCE, make_check, make_trial, make_variant

PARENT, CHILD = make_variant("parent"), make_variant("child", f"{SOURCE}# another\n")
SPECS, BESIDE = trial_specs(QUICK), "Selective Copy"


def trial(name: str, spec: TrialSpec, bits: str, loss: float) -> Trial:
    variant, curve = (
        (PARENT if name == "parent" else CHILD),
        (CurvePoint(step=1, loss=loss), CurvePoint(step=2, loss=1.0)),
    )
    return make_trial(variant, protocol=QUICK, curve=curve, weights_hash=bits, test_loss=1.0, **spec.model_dump())


def evaluated(acts_in: str, here: str = "one machine") -> Evaluated:
    """Of a child that differs from its parent in one task; the parent was trained on one machine, the child `here`."""

    def train(group: Group, _: object, __: object, stop: threading.Event) -> tuple[Trial, ...]:
        acts = group.variant == CHILD and group.specs[0].task == acts_in
        bits, loss = ("others" if acts else here), (1.5 if acts else 2.0)
        return () if stop.is_set() else tuple(trial(group.variant.name, spec, bits, loss) for spec in group.specs)

    class BesideFirst:
        def order(self, *_: object) -> list[TrialSpec]:
            return sorted(SPECS, key=lambda spec: spec.task != BESIDE)

        def reason_to_prune(self, _: object) -> str:
            return ""

    known = {"parent": [trial("parent", spec, "one machine", 2.0) for spec in SPECS]}
    with ThreadPoolExecutor(2) as pool:
        evaluator = Evaluator(QUICK, cast(Any, None), pool, run_group=train)
        race = cast(Race, BesideFirst())
        return Pipeline(evaluator, known).evaluate(CHILD, PARENT, SPECS, make_check(name="child"), race=race)


@pytest.mark.parametrize("here", ["one machine", "another machine"])
def test_a_change_that_acts_in_the_trial_beside_is_trained_whole(here: str):
    found = evaluated(BESIDE, here)
    assert not found.no_effect
    assert not [trial for trial in found.trials if trial.inherited_from]
    assert evaluated("nowhere", here).no_effect
    assert "trained again" in evaluated("nowhere", "another machine").reason
