"""The checks: every cheater is caught by the check that should catch it, no honest kernel is."""

import json

import pytest
import torch

from agent.search.fingerprint_index import FingerprintIndex
from agent.terminal.view import check_lines
from evaluator.checks import Checking, check
from evaluator.checks.fingerprint import fingerprint, same
from evaluator.checks.inputs import REGIMES, TaskShape, draw
from evaluator.outcomes import CheckReport
from evaluator.sandbox import Limits, Sandbox
from tests.corpus.cases import CHEATERS, FOLDER, HONEST
from variants.contract import BASELINE, Variant
from variants.seeds import seeds

BY_READING = ("syntax", "fence")
KERNELS = {path.stem: path for path in sorted((FOLDER / "kernels").glob("*.py"))}
TIGHT = Limits(wall_seconds=10.0, memory_bytes=2**29)
SHAPES: dict[str, dict[str, TaskShape]] = {
    "Memorize": {"only": TaskShape((2, 2, 32, 32, 32), 32)},
    "Compress": {"short": TaskShape((2, 2, 32, 32, 32), 32), "long": TaskShape((2, 2, 96, 32, 32), 32)},
    "Context Recall": {"only": TaskShape((2, 2, 127, 32, 32), 32)},
}


def failing(report: CheckReport) -> list[str]:
    return [finding.check for finding in report.findings if finding.status == "fail"]


@pytest.mark.parametrize("name", [name for name, case in CHEATERS.items() if case.expected not in BY_READING])
def test_cheater_is_caught(sandbox: Sandbox, name: str) -> None:
    case, found = CHEATERS[name], []
    checking = Checking(case.variant, sandbox, shapes=SHAPES if name.startswith("only_batch") else None, limits=TIGHT)
    for finding in checking.findings():
        found.append(finding)
        if (finding.check, finding.status) == (case.expected, "fail"):
            return
    pytest.fail(f"{case.expected} does not stop it: {found}")


@pytest.mark.parametrize("name", HONEST)
def test_honest_kernel_passes(sandbox: Sandbox, name: str) -> None:
    report = check(HONEST[name].variant, sandbox)
    assert report.verdict == "pass", [finding for finding in report.findings if finding.status == "fail"]


@pytest.mark.parametrize("name", KERNELS)
def test_kernel_that_cases_change_passes(sandbox: Sandbox, name: str) -> None:
    report = check(Variant.from_file(KERNELS[name]), sandbox)
    assert report.verdict == "pass", [finding for finding in report.findings if finding.status == "fail"]


def test_counterexample_can_be_drawn_again(sandbox: Sandbox) -> None:
    report = check(CHEATERS["next_value"].variant, sandbox)
    (finding,) = [finding for finding in report.findings if finding.check == "causality"]
    evidence = finding.evidence
    assert evidence["position"] < evidence["cut"] <= evidence["length"]
    assert evidence["max_abs"] > evidence["tolerance"]
    assert {"seed", "regime", "dtype", "shape"} <= set(evidence)
    assert json.loads(report.model_dump_json())["verdict"] == "fail"


def test_fence_failure_stops_before_the_sandbox() -> None:
    class Untouchable:
        grade = "A"

    report = check(CHEATERS["import_os"].variant, Untouchable())  # type: ignore[arg-type]
    assert failing(report) == ["fence"]


@pytest.mark.parametrize("name", ["decay_state_update", "momentum_state_update"])
def test_change_of_the_state_update_is_inert_in_one_chunk(sandbox: Sandbox, name: str) -> None:
    variant = seeds()[f"delta_net_4layer_{name}_in_for_loop"].variant
    report = check(variant, sandbox, parent=seeds()[BASELINE].variant, shapes=SHAPES)
    assert report.verdict == "pass"
    assert report.inert_tasks == ("Memorize",)
    assert report.inert_settings == {"Memorize": ("only",), "Compress": ("short",)}
    assert not report.no_op


def test_normalising_normalised_keys_is_the_baseline(sandbox: Sandbox) -> None:
    baseline = seeds()[BASELINE].variant
    twin = seeds()["delta_net_4layer_normalize_keys_in_for_loop"].variant
    report = check(twin, sandbox, parent=baseline, shapes=SHAPES, known=FingerprintIndex(None).of_others(twin))
    assert report.duplicate_of == BASELINE
    assert report.inert_tasks == tuple(SHAPES)
    assert report.no_op
    assert "a no-op" in "\n".join(check_lines(report))
    unknown = check(twin, sandbox, parent=baseline, shapes=SHAPES)
    assert unknown.duplicate_of == BASELINE, "a no-op is a duplicate of its parent, whatever is known"


def test_a_variant_is_no_no_op_of_itself(sandbox: Sandbox) -> None:
    baseline = seeds()[BASELINE].variant
    report = check(baseline, sandbox, parent=baseline, shapes=SHAPES)
    assert not report.no_op
    assert report.duplicate_of is None


def test_fingerprint_sees_rewritings_as_one_and_ideas_as_two(sandbox: Sandbox) -> None:
    found = {}
    for name in ("recurrent", "growing_output", "dense_inverse", "norm_clip", "head_slopes"):
        variant = HONEST[name].variant
        with sandbox.kernel(variant) as kernel:
            found[name] = fingerprint(kernel, variant.contract, {8, 16} if name == "dense_inverse" else ())
    assert same(found["recurrent"], found["growing_output"])
    assert same(found["growing_output"], found["dense_inverse"])
    assert not same(found["norm_clip"], found["recurrent"])
    assert not same(found["head_slopes"], found["norm_clip"])


@pytest.mark.parametrize("regime", REGIMES)
def test_inputs_are_as_a_mixer_delivers_them(regime: str) -> None:
    signature = seeds()["gated_delta_net_4layer"].variant.contract
    q, k, _, beta, g = draw(signature, (2, 3, 50, 8, 4), REGIMES[regime], seed=3)
    norm = REGIMES[regime].norm
    torch.testing.assert_close(q.norm(dim=-1), torch.full((2, 3, 50), norm))
    torch.testing.assert_close(k.norm(dim=-1), torch.full((2, 3, 50), norm))
    assert ((beta > 0) & (beta < 1)).all()
    assert (g <= 0).all()
