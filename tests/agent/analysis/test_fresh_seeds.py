"""A variant on the first seeds beside fresh ones: what `archer evaluate --confirm` prints."""

import json
from pathlib import Path

import pytest

from agent.analysis.differences.fresh_seeds import FreshComparison
from agent.cli import run
from agent.errors import DONE
from agent.terminal.discoveries import fresh_lines
from archive.seeding import shipped_by_variant
from evaluator.outcomes import Trial
from evaluator.statistics.moderated_t_test import effect, mean_noise, paired
from evaluator.tasks.registry import MAD_TASKS
from variants.contract import BASELINE

DECAY = "delta_net_4layer_decay_state_update_in_for_loop"


def moved(trials: list[Trial], name: str, by: float) -> list[Trial]:
    assert all(trial.accuracy is not None for trial in trials)
    return [
        t.model_copy(update={"variant": name, "seed": t.seed + 1_000_000, "accuracy": (t.accuracy or 0.0) + by})
        for t in trials
    ]


def test_what_the_first_seeds_showed_is_put_beside_the_fresh_ones() -> None:
    known = shipped_by_variant("quick")
    first = effect(paired(known[DECAY], known[BASELINE], MAD_TASKS), mean_noise(known, MAD_TASKS))
    assert first is not None
    new = {DECAY: moved(known[DECAY], DECAY, -0.03), BASELINE: moved(known[BASELINE], BASELINE, 0.0)}
    found = FreshComparison.of(DECAY, BASELINE, known, new, MAD_TASKS)
    assert found.first_difference is not None
    assert found.fresh_difference is not None
    assert found.first_difference.mean == pytest.approx(first.mean)
    assert found.fresh_difference.mean == pytest.approx(first.mean - 0.03)
    lines = list(fresh_lines(found))
    assert sum("-0.030 to the first" in line for line in lines) == len(MAD_TASKS)
    assert f"first {first.mean:+.3f}" in lines[-1]
    assert f"fresh {first.mean - 0.03:+.3f}" in lines[-1]


def test_nothing_is_put_beside_where_nothing_was_measured_before() -> None:
    known = shipped_by_variant("quick")
    others = {name: own for name, own in known.items() if name != DECAY}
    found = FreshComparison.of(DECAY, BASELINE, others, {DECAY: known[DECAY], BASELINE: known[BASELINE]}, MAD_TASKS)
    assert (found.first, found.first_difference) == ({}, None)
    (line,) = fresh_lines(found)
    assert line.startswith("mean difference to delta_net_4layer: fresh")
    itself = FreshComparison.of(BASELINE, BASELINE, known, {BASELINE: known[BASELINE]}, MAD_TASKS)
    assert itself.fresh_difference is None


@pytest.mark.slow
@pytest.mark.usefixtures("lent_sandbox")
def test_confirm_trains_the_parent_too_inherits_from_it_and_shows_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", DECAY, "--confirm", "--protocol", "smoke", "--archive", str(tmp_path / "none"), "--quiet"]
    assert run([*command, "--tasks", "Memorize,Noisy Recall", "--json"]) == DONE
    document = json.loads(capsys.readouterr().out)
    memorize = document["versus_parent"]["tasks"]["Memorize"]
    assert (memorize["outcome"], memorize["difference"]) == ("inert", 0.0)
    assert document["versus_parent"]["tasks"]["Noisy Recall"]["outcome"] == "indistinguishable"
    assert set(document["fresh_seeds"]["first_scores"]) == set(document["scores"]) == {"Memorize", "Noisy Recall"}
    assert document["cpu_seconds"] > 0
