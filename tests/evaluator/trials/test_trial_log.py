"""An evaluation that was stopped goes on where it was, and only with what is the same."""

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evaluator.machine import versions
from evaluator.outcomes import Failure, Status, Trial
from evaluator.protocols.built_in import SMOKE
from evaluator.protocols.protocol import trial_specs
from evaluator.sandbox import Sandbox
from evaluator.trials.evaluate import Evaluator, TrialProgress
from evaluator.trials.run_trial import spec_of
from evaluator.trials.trial_log import TrialLog
from tests.builders import SOURCE, make_trial, make_variant
from variants.contract import BASELINE
from variants.seeds import seed_variants

TWO: tuple[str, ...] = ("Memorize", "Compress")
VARIANT = seed_variants()[BASELINE]


@pytest.fixture
def evaluator(sandbox: Sandbox, tmp_path: Path) -> Iterator[Evaluator]:
    with ThreadPoolExecutor(1) as executor:
        yield Evaluator(SMOKE, sandbox, executor, log=TrialLog(tmp_path / "unfinished.jsonl"))


def test_a_stopped_evaluation_goes_on_and_what_is_archived_is_not_kept(evaluator: Evaluator, tmp_path: Path):
    specs, stop = trial_specs(SMOKE, TWO), threading.Event()

    def stop_after_first(step: TrialProgress) -> None:
        if step.trial is not None:
            stop.set()

    first = evaluator.evaluate(VARIANT, specs, follow=stop_after_first, stop=stop)
    assert first.status is Status.INTERRUPTED
    with (tmp_path / "unfinished.jsonl").open("a") as stream:
        stream.write('{"variant": "half a li')

    again = evaluator.evaluate(VARIANT, specs)
    assert again.status is Status.SCORED
    assert again.trials[0] == first.trials[0]
    assert evaluator.evaluate(VARIANT, specs) == again, "nobody archived it: nothing is trained again"
    evaluator.archived(VARIANT, specs)
    assert not (tmp_path / "unfinished.jsonl").exists()


def test_what_diverged_is_not_trained_again_and_what_crashed_is(evaluator: Evaluator, tmp_path: Path):
    specs = trial_specs(SMOKE, TWO)
    log, trials = TrialLog(tmp_path / "log.jsonl"), evaluator.evaluate(VARIANT, specs).trials
    for trial, kind in zip(trials, ("diverged", "crash"), strict=True):
        failed = {"status": Status.FAILED, "accuracy": None, "failure": Failure(kind=kind, message="")}
        log.add(trial.model_copy(update=failed))
    assert list(log.ended(VARIANT, SMOKE, specs, "sandbox")) == [specs[0]]


def test_only_the_same_code_protocol_isolation_and_versions_go_on(evaluator: Evaluator, tmp_path: Path):
    specs = trial_specs(SMOKE, TWO[:1])
    (trial,) = evaluator.evaluate(VARIANT, specs).trials
    log = TrialLog(tmp_path / "log.jsonl")
    log.add(trial)
    log.add(trial.model_copy(update={"status": Status.FAILED, "lr": 1.0}))
    other_code = VARIANT.model_copy(update={"source": VARIANT.source + "# another\n"})
    other_protocol = SMOKE.model_copy(update={"name": "another"})
    renamed = VARIANT.model_copy(update={"name": "renamed"})
    assert [t.variant for t in log.ended(renamed, SMOKE, specs, "sandbox").values()] == ["renamed"]
    assert not log.ended(other_code, SMOKE, specs, "sandbox")
    assert not log.ended(VARIANT, other_protocol, specs, "sandbox")
    assert not log.ended(VARIANT, SMOKE, specs, "split")
    log.add(trial.model_copy(update={"lr": 2.0, "versions": {"torch": "0"}}))
    assert not log.ended(VARIANT, SMOKE, [specs[0].model_copy(update={"lr": 2.0})], "sandbox")


def test_another_archers_trials_stay_when_one_forgets_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever forgets rewrites the file: what another adds meanwhile waits for that, or would be overwritten."""
    ours, theirs = (TrialLog(tmp_path / "log.jsonl") for _ in range(2))
    first, *later = (make_trial(make_variant(name, f"{SOURCE}# {name}\n"), protocol=SMOKE) for name in "abc")
    ours.add(first)
    ours.add(later[0])
    adding = threading.Thread(target=lambda: theirs.add(later[1]))
    read = TrialLog._trials

    def read_slowly(log: TrialLog) -> list[Trial]:
        found = read(log)
        adding.start()
        adding.join(0.2)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(TrialLog, "_trials", read_slowly)
        ours.forget(make_variant("a", f"{SOURCE}# a\n"), SMOKE, [spec_of(first)], "sandbox")
        adding.join()
    assert ours._trials() == later


def test_only_what_was_archived_is_forgotten(tmp_path: Path):
    log, variant = TrialLog(tmp_path / "log.jsonl"), make_variant()
    own = make_trial(variant, protocol=SMOKE, versions=versions(), **trial_specs(SMOKE)[0].model_dump())
    fresh = own.model_copy(update={"seed": 1_000_000, "isolation": "split"})
    further = own.model_copy(update={"seed": 7})
    for trial in (own, fresh, further):
        log.add(trial)
    log.forget(variant, SMOKE, trial_specs(SMOKE), "sandbox")
    assert log._trials() == [fresh, further], "a confirmation that was stopped goes on, and so do further seeds"
    log.forget(variant, SMOKE, [spec_of(fresh)], "split")
    assert log._trials() == [further]


def test_a_full_disk_loses_no_trial_of_another_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = TrialLog(tmp_path / "log.jsonl")
    one, other = (make_trial(make_variant(name, f"{SOURCE}# {name}\n"), protocol=SMOKE) for name in "ab")
    log.add(one)
    log.add(other)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        patched.setattr(Path, "write_text", lambda path, *_, **__: [path.open("w").close(), full(0)])
        with pytest.raises(OSError, match="No space"):
            log.forget(make_variant("a", f"{SOURCE}# a\n"), SMOKE, [spec_of(one)], "sandbox")
    assert log._trials() == [one, other]


def test_on_a_cluster_what_ended_on_another_machine_with_the_same_archer_goes_on(evaluator: Evaluator, tmp_path: Path):
    specs = trial_specs(SMOKE, TWO)
    there = {**versions(), "cpu": "another processor", "torch": "0"}
    other_archer = {**versions(), "archer": "0+another"}
    log = TrialLog(tmp_path / "log.jsonl")
    for trial, changed in zip(evaluator.evaluate(VARIANT, specs).trials, (there, other_archer), strict=True):
        log.add(trial.model_copy(update={"versions": changed}))
    assert not log.ended(VARIANT, SMOKE, specs, "sandbox")
    assert list(TrialLog(tmp_path / "log.jsonl", anywhere=True).ended(VARIANT, SMOKE, specs, "sandbox")) == [specs[0]]
