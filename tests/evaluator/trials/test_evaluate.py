"""Trials for real: trained in a sandbox, scored outside of it, on every task."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import fmean
from typing import cast

import pytest

from evaluator.outcomes import Failure, Status, Trial
from evaluator.protocols.built_in import EXTRA, MAD, SMOKE
from evaluator.protocols.protocol import TrialSpec, trial_specs
from evaluator.sandbox import Sandbox
from evaluator.sandbox.limits import Limits
from evaluator.tasks.registry import MAD_TASKS
from evaluator.trials.evaluate import Evaluator, TrialProgress, inheritable, kernel_shapes
from evaluator.trials.grouped import Group, groups
from evaluator.trials.run_trial import limits_of, run_trial, spec_of
from tests.builders import make_trial, make_variant
from variants.contract import BASELINE, REFERENCE, Layer, Variant
from variants.seeds import seed_variants

SEEDS = seed_variants()
BROKEN = "    raise RuntimeError('no kernel today')\n"


@pytest.fixture
def evaluator(sandbox: Sandbox) -> Iterator[Evaluator]:
    with ThreadPoolExecutor(1) as executor:
        yield Evaluator(SMOKE, sandbox, executor)


def broken(name: str = "broken") -> Variant:
    head = "def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):\n"
    return Variant(name=name, source=head + BROKEN)


@pytest.mark.parametrize("name", [BASELINE, REFERENCE])
@pytest.mark.parametrize("task", MAD_TASKS)
def test_every_task_trains_and_is_scored_outside_the_sandbox(sandbox: Sandbox, name: str, task: str):
    (spec,) = trial_specs(SMOKE, [task])
    trial = run_trial(SEEDS[name], SMOKE, spec, sandbox)
    assert trial.status is Status.SCORED, trial.failure
    assert [point.step for point in trial.curve] == list(range(1, 21))
    assert fmean(p.loss for p in trial.curve[-5:]) < fmean(p.loss for p in trial.curve[:5])
    assert trial.predictions > 0
    assert trial.certificate == 0
    assert spec_of(trial) == spec


def test_same_inputs_give_the_same_bits_and_split_training_does_not_change_them(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    (spec,) = trial_specs(SMOKE, ["Memorize"])
    given, start = list[Limits | None](), sandbox.kernel
    monkeypatch.setattr(sandbox, "kernel", lambda v, limits=None: given.append(limits) or start(v, limits))
    trials = [
        run_trial(SEEDS[BASELINE], SMOKE, spec, sandbox),
        run_trial(SEEDS[BASELINE], SMOKE, spec, sandbox),
        run_trial(SEEDS[BASELINE], SMOKE, spec, sandbox, isolation="split"),
    ]
    assert len({(trial.weights_hash, trial.accuracy, trial.test_loss) for trial in trials}) == 1
    assert trials[0].weights_hash is not None
    (split,) = (limits for limits in given if limits is not None)
    assert split.wall_seconds == Limits().wall_seconds, "for a call, not for all of the training"
    assert split.cpu_seconds == limits_of(SMOKE.job(spec, Layer.DELTA_NET)).cpu_seconds


def test_failing_variant_is_a_value_and_cancels_what_had_not_begun(evaluator: Evaluator):
    specs = trial_specs(SMOKE)
    result = evaluator.evaluate(broken(), specs)
    assert result.status is Status.FAILED
    assert "no kernel today" in result.reason
    assert len(result.trials) < len(specs)


def test_stop_ends_what_runs_and_keeps_what_had_ended(evaluator: Evaluator):
    stop = threading.Event()

    def stop_after_first(step: TrialProgress) -> None:
        if step.trial is not None:
            stop.set()

    result = evaluator.evaluate(SEEDS[BASELINE], trial_specs(SMOKE), follow=stop_after_first, stop=stop)
    assert result.status is Status.INTERRUPTED
    assert 1 <= sum(trial.status is Status.SCORED for trial in result.trials) < len(MAD_TASKS)


def test_inherited_trials_are_not_run_and_say_where_they_come_from(evaluator: Evaluator):
    specs = trial_specs(SMOKE, ["Memorize"])
    parent = evaluator.evaluate(SEEDS[BASELINE], specs)
    child = Variant(name="child", source=broken().source)
    inherited = inheritable(child, specs, parent.trials, SMOKE)
    result = evaluator.evaluate(child, specs, inherited=inherited)
    assert result.status is Status.SCORED
    (trial,) = result.trials
    assert (trial.variant, trial.inherited_from, trial.cpu_seconds) == ("child", BASELINE, 0)
    assert trial.accuracy == parent.trials[0].accuracy


def test_what_was_given_up_is_given_up_again_without_a_training():
    variant, specs, ran = make_variant(), trial_specs(SMOKE), list[TrialSpec]()

    def train(group: Group, *_: object) -> tuple[Trial, ...]:
        ran.extend(group.specs)
        return tuple(make_trial(variant, protocol=SMOKE, **spec.model_dump()) for spec in group.specs)

    def evaluate(known: Trial) -> Status:
        ended = evaluator.evaluate(
            variant, specs, inherited={spec_of(known): known}, reason_to_prune=lambda _: "no chance"
        )
        return ended.status

    known = make_trial(variant, protocol=SMOKE, **specs[0].model_dump())
    diverged = {"status": Status.FAILED, "accuracy": None, "failure": Failure(kind="diverged", message="")}
    with ThreadPoolExecutor(1) as executor:
        evaluator = Evaluator(SMOKE, cast(Sandbox, None), executor, run_group=train)
        assert evaluate(known) is Status.PRUNED
        assert evaluate(known.model_copy(update=diverged)) is Status.FAILED
        assert ran == []
        assert evaluate(known.model_copy(update={"inherited_from": BASELINE})) is Status.PRUNED
        assert len(ran) > 0, "a parent's trials say nothing of the variant"


def test_trials_of_another_protocol_are_not_inherited(evaluator: Evaluator):
    specs = trial_specs(SMOKE, ["Memorize"])
    trials = evaluator.evaluate(SEEDS[BASELINE], specs).trials
    old: list[Trial] = [trial.model_copy(update={"protocol_hash": "older"}) for trial in trials]
    assert inheritable(broken(), specs, old, SMOKE) == {}
    assert inheritable(broken(), trial_specs(SMOKE, ["Compress"]), trials, SMOKE) == {}


def test_kernel_shapes_tell_every_setting():
    shapes = kernel_shapes(MAD, Layer.DELTA_NET)
    assert {task: len(own) for task, own in shapes.items()} == {t: len(p.settings) for t, p in MAD.tasks.items()}
    assert set(shapes["Memorize"].values()) == {((2, 1, 32, 128, 128), 32)}
    assert {found.shape[2] for found in shapes["Context Recall"].values()} == {127, 255, 511, 1023}
    ((longest, chunk_size),) = kernel_shapes(EXTRA, Layer.DELTA_NET)["Long Copy"].values()
    assert (longest[2], chunk_size) == (96, 16), "twice what is trained"


def test_trials_of_one_setting_may_train_as_one(evaluator: Evaluator):
    specs = trial_specs(SMOKE, ["Memorize", "Compress"], [0, 1])
    together = replace(evaluator, members=8).evaluate(SEEDS[REFERENCE], specs)
    apart = evaluator.evaluate(SEEDS[REFERENCE], specs)
    assert together.status is apart.status is Status.SCORED
    for ours, theirs in zip(together.trials, apart.trials, strict=True):
        assert (ours.members, theirs.members) == (2, 1)
        assert ours.test_loss == pytest.approx(theirs.test_loss, rel=1e-3)
        assert (ours.steps, ours.predictions) == (theirs.steps, theirs.predictions)
        assert [point.step for point in ours.curve] == [point.step for point in theirs.curve]
        assert [point.loss for point in ours.curve] == pytest.approx([p.loss for p in theirs.curve], rel=1e-3)
        assert ours.cpu_seconds > 0


def test_a_member_that_diverges_fails_alone(evaluator: Evaluator):
    plan = SMOKE.tasks["Memorize"].model_copy(update={"lr": (1e-3, 1e30)})
    protocol = SMOKE.model_copy(update={"tasks": {"Memorize": plan}})
    result = replace(evaluator, protocol=protocol, members=8).evaluate(SEEDS[BASELINE], trial_specs(protocol))
    fine, lost = result.trials
    assert (fine.status, lost.status) == (Status.SCORED, Status.FAILED)
    assert lost.failure is not None
    assert lost.failure.kind == "diverged"
    assert result.status is Status.SCORED


def test_what_fails_as_one_is_run_apart(evaluator: Evaluator):
    """A kernel that takes no batch of two members."""
    source = SEEDS[BASELINE].source
    first = "    B, H, L, Dk = q.shape\n"
    refusal = "    if q.requires_grad and B > 16:\n        raise ValueError('no room')\n"
    narrow = Variant(name="narrow", source=source.replace(first, first + refusal))
    assert refusal in narrow.source
    result = replace(evaluator, members=8).evaluate(narrow, trial_specs(SMOKE, ["Memorize"], [0, 1]))
    assert result.status is Status.SCORED, result.reason
    assert [trial.members for trial in result.trials] == [1, 1]


def test_what_fails_apart_as_well_is_not_run_for_all(evaluator: Evaluator):
    result = replace(evaluator, members=8).evaluate(broken(), trial_specs(SMOKE, ["Memorize"], [0, 1, 2]))
    assert [trial.status for trial in result.trials] == [Status.FAILED]
    assert "no kernel today" in result.reason


def test_groups_are_of_one_task_and_setting_and_no_larger_than_asked():
    specs = trial_specs(MAD, ["Memorize", "Compress"])
    found = groups(specs, 4)
    assert sorted(map(repr, (spec for group in found for spec in group))) == sorted(map(repr, specs))
    assert all(len({(spec.task, spec.setting) for spec in group}) == 1 for group in found)
    assert {len(group) for group in found} == {4, 2}
    assert groups(specs, 1) == [(spec,) for spec in specs]
