"""Training: reproducible, paired, on schedule, selects on the held-out set, and says when it diverges."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from evaluator.kernel import Kernel
from evaluator.model.backbones import build
from evaluator.model.layers import initialise
from evaluator.tasks.examples import IGNORED
from evaluator.tasks.registry import examples
from evaluator.tasks.task import Setting
from evaluator.training import jobs
from evaluator.training.jobs import EpochSelection, TrainingJob, schedule
from evaluator.training.train import train, training_step
from tests.evaluator.delta_rule import chunkwise, exploding, recurrent

pytestmark = pytest.mark.slow
SETTING = Setting(task="Memorize", vocabulary=16, length=16, train_examples=48)
MODEL = {"backbone": "language_model", "layer": "delta_net", "vocabulary": 16, "length": 16, "width": 16, "inner": 24}


def job(**changes: Any) -> dict[str, Any]:
    base = {"model": MODEL, "lr": 1e-2, "weight_decay": 0.1, "schedule": "constant", "steps": 5, "batch": 16, "seed": 3}
    return TrainingJob.model_validate(base | changes).model_dump(mode="json")


def data(setting: Setting = SETTING, **more: Tensor) -> dict[str, Tensor]:
    drawn = examples(setting, "train", setting.train_examples, seed=3)
    return {"inputs": drawn.inputs, "targets": drawn.targets, **more}


def run(
    asked: Mapping[str, Any], given: Mapping[str, Tensor] | None = None, kernel: Kernel = chunkwise
) -> tuple[dict[str, Tensor], list[Mapping[str, Any]]]:
    reports: list[Mapping[str, Any]] = []
    return train(asked, given or data(), kernel, reports.append), reports


def test_the_same_job_gives_the_same_bits() -> None:
    (first, reports), (second, again) = run(job()), run(job())
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)
    assert reports[-1] == again[-1]


def test_another_seed_gives_other_weights() -> None:
    first, second = run(job())[0], run(job(seed=4))[0]
    assert not first["layers.0.layer.qkv.weight"].equal(second["layers.0.layer.qkv.weight"])


def test_it_learns_and_reports_the_last_step() -> None:
    _, first = run(job(steps=1))
    weights, reports = run(job(steps=60))
    assert reports[-1].keys() == {"step", "steps", "loss"}
    assert (reports[-1]["step"], reports[-1]["steps"]) == (60, 60)
    assert first[-1]["loss"] == pytest.approx(math.log(16), abs=0.3)
    assert reports[-1]["loss"] < 0.5
    assert all(tensor.device.type == "cpu" and not tensor.requires_grad for tensor in weights.values())


def test_one_step_is_adamw_on_the_mean_loss_over_scored_positions() -> None:
    """The first step of Adam moves every weight by lr against its gradient's sign, after decay."""
    before, after = run(job(lr=1e-30, steps=1, weight_decay=0.0))[0], run(job(steps=1))[0]
    for name, start in before.items():
        moved = (after[name] - start * (1 - 1e-2 * 0.1)).abs()
        touched = moved > 1e-5
        torch.testing.assert_close(moved[touched], torch.full_like(moved[touched], 1e-2), rtol=2e-2, atol=1e-5)


def test_unscored_targets_do_not_count() -> None:
    given = data()
    fewer = given["targets"].clone()
    fewer[:, 1:9] = IGNORED
    everything, part = run(job(steps=1), given)[1], run(job(steps=1), given | {"targets": fewer})[1]
    assert everything[-1]["loss"] != part[-1]["loss"]
    assert part[-1]["loss"] == pytest.approx(math.log(16), abs=0.3)


@pytest.mark.parametrize("tokens", [1, 48])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With sequences of unequally many scored positions, one of none at all, and a smaller last part."""
    given = data()
    for row, targets in enumerate(given["targets"]):
        targets[row % 17 :] = IGNORED
    asked = TrainingJob.model_validate(job())
    found = []
    for size in (jobs.PART_TOKENS, tokens):
        monkeypatch.setattr(jobs, "PART_TOKENS", size)
        model = build(asked.model, chunkwise)
        initialise(model, 0)
        plain = torch.optim.SGD(model.parameters())
        loss = training_step(model, plain, asked, 1, given["inputs"][:16], given["targets"][:16])
        found.append((loss, [weight.grad for weight in model.parameters()]))
    (whole, gradients), (parts, summed) = found
    assert parts == pytest.approx(whole, rel=1e-5)
    torch.testing.assert_close(summed, gradients, rtol=1e-4, atol=1e-7)


def test_a_gpu_takes_a_batch_at_once() -> None:
    model = MODEL | {"length": 1_024}
    on_cpu, on_gpu = (TrainingJob.model_validate(job(model=model, device=name)) for name in ("cpu", "cuda"))
    assert (jobs.sequences_at_once(on_cpu), jobs.sequences_at_once(on_gpu)) == (8, 16)
    assert jobs.sequences_at_once(on_cpu, members=2) == 4
    assert jobs.sequences_at_once(on_cpu, members=100) == 1
    wide = TrainingJob.model_validate(job(model=model | {"layer": "wide_gated_delta_net", "width": 768}))
    assert (wide.model.wider, jobs.sequences_at_once(wide)) == (4, 2)


def test_every_example_is_met_once_an_epoch_and_the_last_batch_may_be_smaller() -> None:
    met: list[int] = []

    def watching(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        met.append(len(inputs[0]))
        return chunkwise(*inputs, chunk_size=chunk_size)

    run(job(steps=4, batch=20), kernel=watching)
    assert met[::2] == [20, 20, 8, 20]


@pytest.mark.parametrize(("step", "factor"), [(1, 0.1), (5, 0.5), (10, 1.0), (11, 0.9997), (55, 0.5086), (100, 0.0003)])
def test_schedule_warms_up_then_follows_a_cosine(step: int, factor: float) -> None:
    run_of_100 = TrainingJob.model_validate(job(steps=100, warmup=10, schedule="cosine"))
    assert schedule(run_of_100, step) == pytest.approx(factor, abs=1e-4)


def test_schedule_constant() -> None:
    plain = TrainingJob.model_validate(job(steps=100))
    assert {schedule(plain, step) for step in range(1, 101)} == {1.0}


def test_divergence_is_an_error() -> None:
    with pytest.raises(FloatingPointError, match=r"step 1 of 5"):
        run(job(), kernel=exploding)


def test_selection_keeps_the_weights_of_the_lowest_held_out_loss() -> None:
    """Held-out targets that are keys get worse as training learns to answer with values: the first look is the best."""
    drawn = examples(SETTING, "held", 32, seed=3)
    contrary = torch.where(drawn.targets == IGNORED, IGNORED, drawn.targets - 7)
    given = data(held_inputs=drawn.inputs, held_targets=contrary)
    chosen, reports = run(job(steps=30, selection={"every": 3}), given)
    assert reports[-1]["step"] == 30
    after_three = run(job(steps=3))[0]
    assert all(chosen[name].equal(after_three[name]) for name in chosen)


def test_selection_stops_when_the_held_out_set_is_mastered() -> None:
    drawn = examples(SETTING, "held", 32, seed=3)
    given = data(held_inputs=drawn.inputs, held_targets=drawn.targets)
    _, reports = run(job(steps=400, selection={"every": 5, "stop_at_accuracy": 0.99}), given)
    assert reports[-1]["step"] < 200
    assert reports[-1]["step"] % 5 == 0


def test_a_selection_does_not_change_the_order_of_batches() -> None:
    drawn = examples(SETTING, "held", 32, seed=3)
    given = data(held_inputs=drawn.inputs, held_targets=drawn.targets)
    selection = EpochSelection(every=1, stop_at_accuracy=2.0).model_dump()
    assert run(job(selection=selection), given)[1][-1] == run(job())[1][-1]


@pytest.mark.parametrize("layer", ["delta_net", "gated_delta_net"])
def test_half_precision_trains_and_the_kernel_computes_in_float32(layer: str) -> None:
    met: set[tuple[torch.dtype, bool]] = set()

    def watching(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        met.update((each.dtype, torch.is_autocast_enabled("cpu")) for each in inputs)
        return recurrent(*inputs)

    model = MODEL | {"layer": layer}
    weights, reports = run(job(model=model, precision="bfloat16", steps=30), kernel=watching)
    assert met == {(torch.float32, False)}
    assert all(tensor.dtype == torch.float32 for tensor in weights.values())
    assert reports[-1]["loss"] < 2.5


def test_the_kernel_gets_the_chunk_size_of_the_job() -> None:
    met: set[int] = set()

    def watching(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        met.add(chunk_size)
        return chunkwise(*inputs, chunk_size=chunk_size)

    run(job(steps=1, model=MODEL | {"chunk_size": 8}), kernel=watching)
    assert met == {8}


def test_points_of_the_learning_curve_do_not_depend_on_speed() -> None:
    _, reports = run(job(steps=60))
    assert {3 * k for k in range(1, 21)} <= {report["step"] for report in reports}


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="stepz"):
        run(job() | {"stepz": 3})
