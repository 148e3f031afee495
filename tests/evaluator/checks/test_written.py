"""Correct kernels as people write them pass, with a warning where one is due; the same kernels with a leak do not."""

from collections.abc import Iterator

import pytest
import torch

from evaluator.checks import check
from evaluator.checks.bench import Bench
from evaluator.checks.causality import check_causality
from evaluator.checks.independence import check_heads
from evaluator.checks.inputs import TaskShape
from evaluator.checks.precision import precision
from evaluator.outcomes import CheckReport, Finding
from evaluator.protocols.built_in import SMOKE
from evaluator.protocols.protocol import trial_specs
from evaluator.sandbox import Sandbox
from evaluator.tasks.registry import TASKS
from evaluator.trials.run_trial import run_trial
from tests.corpus.cases import HONEST
from tests.evaluator.written import (
    ALL_FLOAT32,
    ANY_LENGTH,
    BACK,
    FILTERED,
    FILTERED_BY_KEYS,
    FIRST,
    LAST,
    OF_FLOAT64,
    SHIFTED,
    SUFFIX_SUMS,
    TO_FLOAT32,
    WHOLE_CHUNKS,
    changed,
    variant,
)
from variants.contract import BASELINE
from variants.seeds import seed_variants

F32, F64 = torch.float32, torch.float64
IN_FLOAT32 = (FIRST, FIRST + TO_FLOAT32)
OWN_BACKWARD = """
class Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad @ torch.eye(grad.shape[-1], device=grad.device)


def delta_rule_chunkwise"""

COMPUTED_IN_FLOAT32 = {
    "cast back": changed(ANY_LENGTH, IN_FLOAT32, (LAST, BACK)),
    "o alone cast back": changed(ANY_LENGTH, IN_FLOAT32, (LAST, "    return o.to(dtype), S\n")),
    "keys alone": changed(ANY_LENGTH, (FIRST, FIRST + "    k = k.float().to(dtype)\n")),
    "filtered": changed(FILTERED, ALL_FLOAT32),
    "filtered, the rest as it comes": FILTERED,
    "filtered by keys": changed(FILTERED_BY_KEYS, ALL_FLOAT32),
    "suffix sums": changed(SUFFIX_SUMS, ALL_FLOAT32),
    "shifted by the largest": changed(SHIFTED, ALL_FLOAT32),
}
"""They take float64 and return it."""
OF_FLOAT32_ONLY = {
    "not cast back": changed(ANY_LENGTH, IN_FLOAT32),
    "a state of float32": changed(
        ANY_LENGTH, ("q.new_zeros(B, H, D, v.shape[-1])", "torch.zeros(B, H, D, v.shape[-1], device=q.device)")
    ),
    "a constant of float32": changed(
        ANY_LENGTH, ("u[:, :, i] - w[:, :, i] @ S", "torch.eye(C, device=q.device) @ (u[:, :, i] - w[:, :, i] @ S)")
    ),
    "a constant of float32 in its backward": changed(
        ANY_LENGTH, ("def delta_rule_chunkwise", OWN_BACKWARD), (LAST, "    return Same.apply(o), S\n")
    ),
    "filtered, not cast back": changed(FILTERED, ALL_FLOAT32, ("o.to(dtype), S.to(dtype)", "o, S")),
}
KERNELS = COMPUTED_IN_FLOAT32 | OF_FLOAT32_ONLY


def shape(length: int) -> dict[str, TaskShape]:
    return {"only": TaskShape((2, 2, length, 32, 32), 32)}


def found(report: CheckReport, check_name: str) -> Finding:
    (finding,) = [finding for finding in report.findings if finding.check == check_name]
    return finding


def failures(report: CheckReport) -> list[tuple[str, str]]:
    return [(finding.check, finding.message) for finding in report.findings if finding.status == "fail"]


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_of_float32_passes(sandbox: Sandbox, name: str) -> None:
    report = check(variant(KERNELS[name]), sandbox)
    assert failures(report) == []
    assert report.fingerprint
    shapes = found(report, "shapes")
    assert ("float64" in shapes.evidence) == (name in OF_FLOAT32_ONLY), shapes
    if name in OF_FLOAT32_ONLY:
        assert shapes.status == "warn"
        assert "float32" in shapes.message
        assert "float64" in shapes.message


def test_float32_is_required(sandbox: Sandbox) -> None:
    source = changed(ANY_LENGTH, (LAST, "    return o.double(), S\n"))
    assert failures(check(variant(source), sandbox))[0][0] == "shapes"


def test_a_kernel_of_float32_is_recognised_as_the_baseline(sandbox: Sandbox) -> None:
    baseline = seed_variants()[BASELINE]
    shapes: dict[str, dict[str, TaskShape]] = {"Memorize": shape(32), "Compress": shape(96)}
    for name in ("cast back", "not cast back", "a constant of float32"):
        report = check(variant(KERNELS[name]), sandbox, parent=baseline, shapes=shapes)
        assert report.no_op, name
        assert report.duplicate_of == BASELINE
    other = changed(KERNELS["not cast back"], ("S = S + k", "S = 0.999 * S + k"))
    report = check(variant(other), sandbox, parent=baseline, shapes=shapes)
    assert report.inert_tasks == ("Memorize",)
    assert not report.no_op


@pytest.fixture
def leaky(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Bench]:
    source = variant(request.param)
    with sandbox.kernel(source) as kernel:
        bench = Bench(kernel, source.contract)
        bench.finest = precision(bench).dtype
        yield bench


def with_leak(source: str, leak: str) -> str:
    """The kernel of a source with something added to its output, in the output's dtype."""
    around = f"""

def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    o, S = kernel(q, k, v, beta, chunk_size=chunk_size)
    return o + ({leak}).to(o.dtype), S
"""
    return source.replace("def delta_rule_chunkwise", "def kernel") + around


LEAKS = {
    "the next value": "1e-7 * v.flip(2)",
    "without a gradient": "1e-7 * v.detach().flip(2)",
    "a mean": "1e-6 * v.mean(2, True)",
    "keys": "3e-7 * k.mean(-1, True).flip(2) * v",
}
LEAKY = {
    f"{name}: {leak}": with_leak(KERNELS[name], LEAKS[leak])
    for name in KERNELS
    for leak in ("the next value", "without a gradient")
}
LEAKY |= {
    f"{name}: {leak}": with_leak({**KERNELS, "float64": ANY_LENGTH}[name], text)
    for name in ("float64", "not cast back", "a constant of float32")
    for leak, text in LEAKS.items()
}


@pytest.mark.parametrize("leaky", LEAKY.values(), ids=LEAKY, indirect=True)
def test_a_leak_of_1e_7_is_caught_in_every_precision(leaky: Bench) -> None:
    finding = check_causality(leaky)
    assert finding.status == "fail", finding
    assert finding.check == "causality"


BETWEEN_HEADS = [with_leak(KERNELS[name], "1e-7 * v.roll(1, 1)") for name in ("not cast back", "a constant of float32")]


@pytest.mark.parametrize("leaky", BETWEEN_HEADS, indirect=True)
def test_a_leak_between_heads_is_caught_in_float32(leaky: Bench) -> None:
    assert check_heads(leaky).status == "fail"


FAINT = (("mixed = convolve", "mixed = v + 1e-3 * convolve"),)
PRECISE = {
    "the delta rule": (ANY_LENGTH, F64),
    "keys alone in float32": (KERNELS["keys alone"], F32),
    "an FFT of float32 with a small weight": (changed(FILTERED, *FAINT), F32),
    "an FFT of float64": (changed(FILTERED, OF_FLOAT64), F64),
    "rounded gates": (changed(ANY_LENGTH, (FIRST, FIRST + "    beta = (8 * beta).round() / 8\n")), F64),
    "a top-k": (changed(ANY_LENGTH, (FIRST, FIRST + "    v = v * (v >= v.topk(3, -1).values[..., -1:])\n")), F64),
}


@pytest.mark.parametrize(("leaky", "dtype"), PRECISE.values(), ids=PRECISE, indirect=["leaky"])
def test_the_precision_is_measured(leaky: Bench, dtype: torch.dtype) -> None:
    assert leaky.finest is dtype


UNNORMALISED = {
    "long keys": "torch.relu(k.norm(dim=-1, keepdim=True) - 1.5).flip(2) * v",
    "long queries": "torch.relu(q.norm(dim=-1, keepdim=True) - 2).flip(2) * v",
    "where a key is long": "torch.where(k.norm(dim=-1, keepdim=True) > 8, 1e-3 * v.flip(2), 0 * v)",
}


@pytest.mark.parametrize("leak", UNNORMALISED.values(), ids=UNNORMALISED)
def test_a_leak_for_long_keys_only_is_warned_about(sandbox: Sandbox, leak: str) -> None:
    report = check(variant(with_leak(ANY_LENGTH, leak)), sandbox)
    assert report.verdict == "pass"
    causality = found(report, "causality")
    assert causality.status == "warn"
    assert "not of length 1" in causality.message
    assert causality.evidence["regime"] == "unnormalised"


@pytest.mark.parametrize(
    "source",
    [
        ANY_LENGTH,
        KERNELS["not cast back"],
        changed(ANY_LENGTH, (FIRST, FIRST + "    assert k.norm(dim=-1).max() < 1.4\n")),
    ],
    ids=["float64", "float32", "refuses long keys"],
)
def test_long_keys_reject_no_honest_kernel(sandbox: Sandbox, source: str) -> None:
    report = check(variant(source), sandbox)
    assert failures(report) == []
    warns = "assert" in source
    assert (found(report, "causality").status == "warn") == warns


@pytest.mark.parametrize(
    "source",
    [
        WHOLE_CHUNKS,
        changed(WHOLE_CHUNKS, (FIRST, FIRST + "    assert L % chunk_size == 0\n")),
        changed(WHOLE_CHUNKS, ("C = chunk_size\n", "C = 64\n")),
    ],
    ids=["fails", "asserts", "chunks of 64"],
)
def test_a_kernel_of_whole_chunks_passes_and_is_recognised(sandbox: Sandbox, source: str) -> None:
    baseline = seed_variants()[BASELINE]
    shapes: dict[str, dict[str, TaskShape]] = {"Memorize": shape(32), "Context Recall": shape(127)}
    report = check(variant(source), sandbox, parent=baseline, shapes=shapes)
    assert failures(report) == []
    lengths = found(report, "lengths")
    assert lengths.status == "warn"
    assert "padding" in lengths.message
    assert lengths.evidence["padded"]["33"] == 64
    assert report.no_op


def test_training_and_scoring_pad_too(sandbox: Sandbox) -> None:
    """Split or not, with the same weights; and they are those of a kernel that pads for itself, bit for bit."""
    (spec,) = trial_specs(SMOKE, ["Memorize"])
    assert TASKS[spec.task].fed_length(SMOKE.setting(spec)) % 64, "else there is nothing to pad"
    whole = variant(changed(WHOLE_CHUNKS, ("C = chunk_size\n", "C = 64\n")))
    padding = variant(changed(ANY_LENGTH, ("chunk_size, -L % chunk_size", "64, -L % 64")))
    trials = [
        run_trial(whole, SMOKE, spec, sandbox),
        run_trial(whole, SMOKE, spec, sandbox, isolation="split"),
        run_trial(padding, SMOKE, spec, sandbox),
    ]
    assert [trial.failure for trial in trials] == [None] * 3
    assert len({trial.weights_hash for trial in trials}) == 1
    assert len({trial.test_loss for trial in trials}) == 1


@pytest.mark.parametrize(("name", "name_of_check"), [("compile", "fence"), ("whole_chunks_only", "lengths")])
def test_what_is_mended_for_the_kernel_warns(sandbox: Sandbox, name: str, name_of_check: str) -> None:
    report = check(HONEST[name].variant, sandbox)
    assert failures(report) == []
    assert found(report, name_of_check).status == "warn"
