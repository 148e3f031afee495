"""How a GPU trains, on the CPU: the same weights up to rounding, the same ends, and no waiting at a step."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from evaluator.kernel import Kernel
from evaluator.training import on_gpu
from evaluator.training.graphs import WARM_UP, Capture, Replayed, Work
from evaluator.training.jobs import EnsembleJob, TrainingJob
from evaluator.training.static_step import StaticStep
from tests.evaluator.delta_rule import chunkwise
from tests.evaluator.training.test_ensemble import (
    LAYERS_AND_TASKS,
    SETTINGS,
    STEPS,
    alone,
    close,
    drawn,
    each_selects_and_stops_as_alone,
    jobs,
    together,
)
from variants.gated_delta_net_4layer import gated_delta_rule_chunkwise

pytestmark = pytest.mark.slow


def on_device(
    asked: list[TrainingJob],
    sets: list[dict[str, Tensor]],
    kernel: Kernel = chunkwise,
    capture: Capture | None = None,
) -> tuple[list[dict[str, Tensor]], list[Mapping[str, Any]]]:
    """What a GPU does with these jobs, done on the CPU: weights by member, and the reports."""
    job = EnsembleJob(members=tuple(asked), data=tuple(each.seed for each in asked))
    data = {f"{number}/{name}": tensor for number, each in enumerate(sets) for name, tensor in each.items()}
    reports: list[Mapping[str, Any]] = []
    weights = on_gpu.train(job, data, kernel, reports.append, capture=capture)
    apart: list[dict[str, Tensor]] = [{} for _ in asked]
    for name, tensor in weights.items():
        number, _, own = name.partition("/")
        apart[int(number)][own] = tensor
    return apart, reports


@pytest.mark.parametrize(("layer", "task"), LAYERS_AND_TASKS)
def test_weights_are_those_of_the_step_of_a_cpu_up_to_rounding(layer: str, task: str) -> None:
    """40 examples in batches of 16: the last of an epoch is filled up with a sequence that is not scored."""
    setting, kernel = SETTINGS[task], chunkwise if layer == "delta_net" else gated_delta_rule_chunkwise
    sets, asked = [drawn(setting, seed) for seed in (0, 1)], jobs(setting, layer)
    found, reports = on_device(asked, sets, kernel)
    for job, ours in zip(asked, found, strict=True):
        close(ours, alone(job, sets[job.seed], kernel), job.lr)
    _, theirs = together(asked, sets, kernel)
    assert [told["step"] for told in reports if told["step"] == STEPS] == [STEPS]
    assert reports[-1]["losses"] == pytest.approx(theirs[-1]["losses"], rel=1e-4)


def test_each_member_selects_and_stops_at_the_step_at_which_it_would_alone() -> None:
    """Though the host hears of it later, and others of the stack go on."""
    each_selects_and_stops_as_alone(on_device)


def test_divergence_is_found_at_its_step_and_spoils_no_other_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is read at the end alone, 4 steps after one member's became infinite."""
    monkeypatch.setattr(on_gpu, "curve_interval", lambda steps: steps)
    setting = SETTINGS["Memorize"]
    sets = [drawn(setting, seed) for seed in (0, 1)]
    asked = [job.model_copy(update={"lr": 1e30} if number == 1 else {}) for number, job in enumerate(jobs(setting))]
    found, reports = on_device(asked, sets)
    _, theirs = together(asked, sets)
    assert reports[-1]["diverged"].keys() == {"1"}
    assert reports[-1]["diverged"]["1"].partition(" at ")[2] == theirs[-1]["diverged"]["1"].partition(" at ")[2]
    assert found[1] == {}
    for number, job in enumerate(asked):
        if number != 1:
            close(found[number], alone(job, sets[job.seed]), job.lr)


def test_divergence_of_a_single_run_is_the_error_that_a_cpu_raises() -> None:
    job, data = jobs(SETTINGS["Memorize"], lr=1e30)[0], drawn(SETTINGS["Memorize"], 0)
    with pytest.raises(FloatingPointError) as theirs:
        alone(job, data)
    with pytest.raises(FloatingPointError, match=rf"at step \d of {STEPS}") as ours:
        on_gpu.train_one(job, data, chunkwise, lambda _: None)
    assert str(ours.value) == str(theirs.value)


def test_the_device_is_read_at_points_of_the_curve_and_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    read = StaticStep.read
    monkeypatch.setattr(StaticStep, "read", lambda state: (reads.append(1), read(state))[1])
    monkeypatch.setattr(on_gpu, "REPORT_SECONDS", math.inf)
    on_device(jobs(SETTINGS["Memorize"], steps=50)[:2], [drawn(SETTINGS["Memorize"], seed) for seed in (0, 1)])
    assert len(reads) == 25  # a curve of 50 steps has a point every two


def test_work_is_captured_once_and_replayed() -> None:
    done = []
    captured: list[Work] = []

    def capture(work: Work) -> Work:
        captured.append(work)
        return lambda: done.append("replayed")

    work = Replayed(lambda: done.append("eager"), capture)
    for _ in range(WARM_UP + 3):
        work()
    assert done == ["eager"] * WARM_UP + ["replayed"] * 3
    assert (len(captured), work.eager) == (1, "")


def test_members_that_end_have_the_rest_captured_anew() -> None:
    """Captured work holds on to tensors: what is replayed must be of the members that still train."""
    setting = SETTINGS["Memorize"]
    sets = [drawn(setting, seed) for seed in (0, 1)]
    asked = [job.model_copy(update={"lr": 1e30} if not n else {}) for n, job in enumerate(jobs(setting, steps=20))]
    captured: list[Work] = []
    found, _ = on_device(asked, sets, capture=lambda work: (captured.append(work), work)[1])
    assert len(captured) == 2
    assert found[0] == {}
    close(found[1], alone(asked[1], sets[1]), asked[1].lr, 20)


def test_a_kernel_that_cannot_be_captured_trains_eagerly_and_the_reports_say_so() -> None:
    def refuses(work: Work) -> Work:
        raise RuntimeError("operation not permitted when stream is capturing")

    setting = SETTINGS["Memorize"]
    sets, asked = [drawn(setting, seed) for seed in (0, 1)], jobs(setting)
    found, reports = on_device(asked, sets, capture=refuses)
    assert "RuntimeError: operation not permitted" in reports[-1]["eager"]
    for job, ours in zip(asked, found, strict=True):
        close(ours, alone(job, sets[job.seed]), job.lr)


def test_a_member_that_diverges_after_a_look_has_no_weights() -> None:
    """Neither on a CPU nor on a GPU: the best of its looks must not be scored."""
    setting = SETTINGS["Memorize"]
    sets = [drawn(setting, seed, held=True) for seed in (0, 1)]

    def late(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        o, state = chunkwise(*inputs, chunk_size=chunk_size)
        return (o * math.inf if calls > 12 else o), state

    for way in (on_device, together):
        calls = 0
        found, reports = way(jobs(setting, steps=20, selection={"every": 2})[:2], sets, late)
        assert found == [{}, {}]
        assert len(reports[-1]["diverged"]) == 2


def test_filled_up_batches_leave_the_gradient_alone() -> None:
    """One step on 8 of 16 sequences is the step on those 8."""
    setting = SETTINGS["Noisy Recall"]
    job = jobs(setting, steps=1)[0]
    few = {name: tensor[:8] for name, tensor in drawn(setting, 0).items()}
    found, _ = on_device([job], [few])
    close(found[0], alone(job, few), job.lr, 1)
    assert torch.cat([x.flatten() for x in found[0].values()]).isfinite().all()
