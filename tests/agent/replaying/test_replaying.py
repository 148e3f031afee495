"""Answers of a replay: what counts as identical, as noise, as a difference, and the reasons given."""

from typing import Any

import pytest

from agent.cli import run
from agent.replaying.machine import environment_lines, reasons
from agent.replaying.measured import Training, check_steps, protocol_step
from agent.replaying.noise import ReplayNoise
from agent.replaying.original import Original
from agent.replaying.steps import ReplayStep, worst
from archive.records.record import BY_HAND, Provenance
from archive.seeding import make_archive
from evaluator.checks.fingerprint import WIDTH
from evaluator.machine import versions
from evaluator.outcomes import CheckReport, Failure, Finding, Grade, Status, Trial
from evaluator.protocols.built_in import SMOKE
from tests.builders import make_check, make_record, make_trial, make_variant
from variants.contract import BASELINE

VARIANT = make_variant()
NOISE = ReplayNoise({"Compress": 0.01})


def trial(**fields: Any) -> Trial:
    """A run of Compress under `smoke`, with what a replay compares."""
    known = {
        "variant": VARIANT,
        "task": "Compress",
        "predictions": 100_000,
        "weights_hash": "a",
        "versions": versions(),
    }
    return make_trial(protocol=SMOKE, **(known | fields))


def original(*trials: Trial, **fields: Any) -> Original:
    given = {"parent": BASELINE, "protocol": "smoke", "protocol_hash": SMOKE.hash, "trials": trials}
    return Original(VARIANT, VARIANT, "a test", **(given | fields))


def replayed(before: Trial, now: Trial) -> list[ReplayStep]:
    return list(Training.of(original(before), (before.task,), NOISE).steps([now], {}))


def test_equal_weights_are_identical() -> None:
    training, score = replayed(trial(), trial(cpu_seconds=9))
    assert (training.answer, score.answer) == ("identical", "identical")
    assert training.detail == "the same bits of all weights, accuracy 0.500"


@pytest.mark.parametrize(("accuracy", "answer"), [(0.52, "within noise"), (0.48, "within noise"), (0.54, "differs")])
def test_noise_is_the_difference_of_two_seeds(accuracy: float, answer: str) -> None:
    training, score = replayed(trial(), trial(weights_hash="b", accuracy=accuracy))
    assert training.interval == pytest.approx((0.5 - 1.96 * 0.01 * 2**0.5, 0.5 + 1.96 * 0.01 * 2**0.5))
    assert (training.answer, score.answer) == (answer, answer)
    assert f"accuracy 0.500 is {accuracy:.3f}, noise 0.472 to 0.528" in training.told


def test_without_seeds_noise_is_that_of_counting() -> None:
    low, high = ReplayNoise({}).interval(trial(predictions=100))
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.05 * 2**0.5, 0.5 + 1.96 * 0.05 * 2**0.5))
    assert ReplayNoise({}).interval(trial(accuracy=1.0)) == (1.0, 1.0)


def test_more_seeds_make_the_noise_of_a_mean_smaller() -> None:
    seeds = [trial(seed=seed) for seed in range(4)]
    again = [each.model_copy(update={"accuracy": 0.52, "weights_hash": "b"}) for each in seeds]
    steps = list(Training.of(original(*seeds), ("Compress",), NOISE).steps(again, {}))
    assert [step.answer for step in steps] == ["within noise"] * 4 + ["differs"]
    assert "mean of 4 0.500 is 0.520" in steps[-1].detail


def test_a_failure_is_compared_by_its_kind() -> None:
    diverged = {"status": Status.FAILED, "accuracy": None, "failure": Failure(kind="diverged", message="nan")}
    assert replayed(trial(**diverged), trial(**diverged))[0].told == "identical: diverged as before"
    assert replayed(trial(**diverged), trial())[0].detail == "was diverged, is SCORED"
    assert replayed(trial(), trial(**diverged))[-1].detail == "0.500 has no score now"


def test_what_was_interrupted_is_not_compared_and_what_is_cut_short_differs() -> None:
    assert replayed(trial(status=Status.INTERRUPTED, accuracy=None), trial()) == []
    assert replayed(trial(), trial(status=Status.INTERRUPTED, accuracy=None))[0].detail == "was not run to its end"


def test_an_inherited_trial_must_be_the_parents() -> None:
    inherited = trial(inherited_from=BASELINE)
    steps = Training.of(original(inherited), ("Compress",), NOISE).steps
    assert [step.answer for step in steps([], {BASELINE: [trial(variant=BASELINE)]})] == ["identical", "identical"]
    wrong = next(steps([], {BASELINE: [trial(variant=BASELINE, accuracy=0.4)]}))
    assert (wrong.answer, wrong.detail) == ("differs", f"{BASELINE} has no such trial with accuracy 0.5")


def test_every_reason_that_is_recorded_is_given() -> None:
    now = trial()
    before = trial(
        versions={"torch": "1.0", "python": versions()["python"], "machine": "arm64"},
        device="cuda",
        sandbox_grade=Grade.B,
        source_hash="0" * 64,
    )
    found = "; ".join(reasons(before, now))
    for part in (
        f"torch was 1.0, is {versions()['torch']}",
        "architecture was arm64",
        "processor was not recorded",
        "archer was not recorded",
        "device was cuda, is cpu",
        "sandbox grade was B, is A",
        "source was 000000000000",
    ):
        assert part in found
    assert "python was" not in found
    assert reasons(now, now)[0].startswith("nothing that is recorded differs")


def test_the_environment_is_that_of_the_trials_that_were_run_for_it() -> None:
    """An inherited trial was run on its parent's machine, maybe by an older archer."""
    elsewhere = trial(inherited_from=BASELINE, versions={"cpu": "another"})
    assert environment_lines((trial(), elsewhere)) == []
    assert environment_lines((elsewhere,)) == [], "all inherited: nothing was run for it"
    found = environment_lines((trial(versions={**versions(), "cpu": "another", "torch": ""}),))
    assert f"cpu: recorded another, here {versions()['cpu']}" in found
    assert f"torch: not recorded, here {versions()['torch']}" in found


def test_another_protocol_is_said_and_ends_the_training() -> None:
    step = protocol_step(original(protocol_hash="0" * 16), SMOKE)
    assert step.answer == "differs"
    assert f"smoke was {'0' * 16}, is {SMOKE.hash}" in step.detail


def test_checks_and_fingerprints_are_compared() -> None:
    def report(status: str, prints: float, grade: Grade = Grade.A) -> CheckReport:
        finding = Finding.model_validate({"check": "causality", "status": status, "message": "why"})
        numbers = tuple(prints + index for index in range(WIDTH))
        return make_check(finding, verdict="pass", sandbox_grade=grade, fingerprint=numbers)

    before = report("pass", 1.0)
    known = original(check=before, fingerprint=before.fingerprint)
    assert worst(check_steps(known, report("pass", 1.0))) == "identical"
    assert list(check_steps(known, report("pass", 2.0)))[-1].answer == "differs"
    other_probes = before.model_copy(update={"probes": "other"})
    steps = check_steps(original(check=other_probes, fingerprint=before.fingerprint), report("pass", 2.0))
    assert "fingerprint" not in [step.what for step in steps]
    failed = next(check_steps(known, report("fail", 1.0, Grade.B)))
    assert failed.told.startswith("differs: was pass, is fail: why (sandbox grade was A, is B; ")


@pytest.mark.slow
@pytest.mark.usefixtures("lent_sandbox")
def test_a_seed_is_replayed_from_what_ships(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "archive"
    make_archive(root)
    seed = "delta_net_4layer_decay_state_update_in_for_loop"
    assert run(["replay", seed, "--protocol", "smoke", "--archive", str(root), "--quiet"]) == 0
    out = capsys.readouterr().out
    assert f"file     {seed}.py from the seed that ships with archer: identical" in out
    assert "check    fingerprint: identical" in out
    assert run(["replay", seed, "--protocol", "mad", "--archive", str(root), "--quiet"]) == 2
    assert "has no trials under mad" in capsys.readouterr().err


def test_only_what_a_search_proposed_is_held_to_the_loop() -> None:
    searched = make_record()
    proposal = searched.proposal.model_copy(update={"provenance": Provenance(proposer=BY_HAND, seed=0)})
    added = searched.model_copy(update={"proposal": proposal})
    assert [original(record=record).of_a_search for record in (searched, added, None)] == [True, False, False]


def test_a_check_that_is_newer_than_the_record_is_not_compared_unless_it_fails() -> None:
    old = Finding(check="causality", status="pass", message="")
    known = original(check=make_check(old))
    for status, answer in (("pass", "identical"), ("warn", "identical"), ("fail", "differs")):
        again = make_check(old, Finding(check="state", status=status, message=""))
        assert worst(check_steps(known, again)) == answer
