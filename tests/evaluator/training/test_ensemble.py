"""Members trained as one are the members trained apart, whatever happens to the others."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from evaluator.kernel import Kernel
from evaluator.tasks.registry import examples, fed_length
from evaluator.tasks.task import Setting
from evaluator.training import ensemble
from evaluator.training.jobs import EnsembleJob, TrainingJob
from evaluator.training.train import train
from tests.evaluator.delta_rule import chunkwise
from variants.gated_delta_net_4layer import gated_delta_rule_chunkwise

pytestmark = pytest.mark.slow
EPS = float(torch.finfo(torch.float32).eps)
STEPS = 6
SETTINGS: dict[str, Setting] = {
    "Compress": Setting(task="Compress", vocabulary=8, length=12, train_examples=40),
    "Context Recall": Setting(task="Context Recall", vocabulary=8, length=16, train_examples=40),
    "Memorize": Setting(task="Memorize", vocabulary=16, length=16, train_examples=40),
    "Noisy Recall": Setting(task="Noisy Recall", vocabulary=24, length=16, train_examples=40, noise=0.3),
}
GRID = tuple(itertools.product((1e-3, 1e-2), (0.0, 0.3), (0, 1)))
LAYERS_AND_TASKS = (*(("delta_net", task) for task in SETTINGS), ("gated_delta_net", "Memorize"))
"""Every task in one layer, and the other layer on one: a layer is not told its task."""


def jobs(setting: Setting, layer: str = "delta_net", **changes: Any) -> list[TrainingJob]:
    model = {
        "backbone": "autoencoder" if setting.task == "Compress" else "language_model",
        "layer": layer, "vocabulary": setting.vocabulary, "length": fed_length(setting),
        "width": 16, "inner": 24, "heads": 2,
    }  # fmt: skip
    base = {"model": model, "schedule": "cosine", "warmup": 2, "steps": STEPS, "batch": 16}
    return [
        TrainingJob.model_validate(base | {"lr": lr, "weight_decay": decay, "seed": seed} | changes)
        for lr, decay, seed in GRID
    ]


def drawn(setting: Setting, seed: int, *, held: bool = False) -> dict[str, Tensor]:
    train_set, held_set = examples(setting, "train", 40, seed), examples(setting, "held", 24, seed)
    more = {"held_inputs": held_set.inputs, "held_targets": held_set.targets} if held else {}
    return {"inputs": train_set.inputs, "targets": train_set.targets, **more}


Train = Callable[[list[TrainingJob], list[dict[str, Tensor]]], tuple[list[dict[str, Tensor]], list[Mapping[str, Any]]]]


def together(
    asked: list[TrainingJob], sets: list[dict[str, Tensor]], kernel: Kernel = chunkwise
) -> tuple[list[dict[str, Tensor]], list[Mapping[str, Any]]]:
    job = EnsembleJob(members=tuple(asked), data=tuple(each.seed for each in asked))
    data = {f"{number}/{name}": tensor for number, each in enumerate(sets) for name, tensor in each.items()}
    reports: list[Mapping[str, Any]] = []
    weights = ensemble.train(job.model_dump(mode="json"), data, kernel, reports.append)
    apart: list[dict[str, Tensor]] = [{} for _ in asked]
    for name, tensor in weights.items():
        number, _, own = name.partition("/")
        apart[int(number)][own] = tensor
    return apart, reports


def alone(asked: TrainingJob, data: dict[str, Tensor], kernel: Kernel = chunkwise) -> dict[str, Tensor]:
    return train(asked.model_dump(mode="json"), data, kernel, lambda _: None)


def close(ours: dict[str, Tensor], theirs: dict[str, Tensor], lr: float, steps: int = STEPS) -> None:
    """Equal up to rounding.

    A gradient of rounding alone (sums of zeros) may still move a weight by lr at each step, since Adam divides by the
    size of the gradient: few weights, and those by no more. All others agree to a thousandth of what lr can move them.
    """
    assert ours.keys() == theirs.keys()
    change = torch.cat([(ours[name] - theirs[name]).abs().flatten() for name in theirs])
    assert float((change > 1e-3 * lr * steps).float().mean()) < 0.01
    assert float(change.max()) <= 2 * lr * steps + 4 * EPS


@pytest.mark.parametrize(("layer", "task"), LAYERS_AND_TASKS)
def test_members_end_as_they_would_apart(layer: str, task: str) -> None:
    setting, kernel = SETTINGS[task], chunkwise if layer == "delta_net" else gated_delta_rule_chunkwise
    sets = [drawn(setting, seed) for seed in (0, 1)]
    asked = jobs(setting, layer)
    found, reports = together(asked, sets, kernel)
    for job, ours in zip(asked, found, strict=True):
        close(ours, alone(job, sets[job.seed], kernel), job.lr)
    assert reports[-1]["step"] == STEPS
    assert reports[-1]["losses"].keys() == {str(number) for number in range(len(asked))}


def test_members_in_parts_of_a_batch_end_as_they_would_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 3 sequences of 8 members, 12 tokens each, and a smaller last one."""
    monkeypatch.setattr("evaluator.training.jobs.PART_TOKENS", 8 * 12 * 3)
    setting = SETTINGS["Compress"]
    sets = [drawn(setting, seed) for seed in (0, 1)]
    found, _ = together(jobs(setting), sets)
    monkeypatch.undo()
    for job, ours in zip(jobs(setting), found, strict=True):
        close(ours, alone(job, sets[job.seed]), job.lr)


def test_members_differ() -> None:
    """Else the test above could pass with one rate, decay or seed for all."""
    setting = SETTINGS["Memorize"]
    found, _ = together(jobs(setting), [drawn(setting, seed) for seed in (0, 1)])
    name = "layers.0.layer.qkv.weight"
    for one, other in itertools.combinations(found, 2):
        assert not torch.allclose(one[name], other[name], rtol=0, atol=1e-5)


def test_each_member_selects_and_stops_for_itself() -> None:
    each_selects_and_stops_as_alone(together)


def each_selects_and_stops_as_alone(train_all: Train) -> None:
    """Members with held-out sets, trained by `train_all`, end at the step, and in the weights, of single runs."""
    setting = SETTINGS["Memorize"]
    sets = [drawn(setting, seed, held=True) for seed in (0, 1)]
    selection = {"every": 3, "stop_at_accuracy": 0.9}
    asked = [job for job in jobs(setting, steps=60, selection=selection) if job.weight_decay == 0]
    found, reports = train_all(asked, sets)
    last = {int(number): told["step"] for told in reports for number in told["losses"]}
    for number, job in enumerate(asked):
        told: list[Mapping[str, Any]] = []
        weights = train(job.model_dump(mode="json"), sets[job.seed], chunkwise, told.append)
        assert last[number] == told[-1]["step"]
        close(found[number], weights, job.lr, told[-1]["step"])
    assert len(set(last.values())) > 1


def test_the_last_step_is_looked_at_like_any_other() -> None:
    """The held-out loss still falls when a training ends, so the weights of the end are the best."""
    setting = SETTINGS["Compress"]
    sets = [drawn(setting, seed, held=True) for seed in (0, 1)]
    asked = jobs(setting, steps=7, selection={"every": 3, "stop_at_accuracy": 2.0})
    found, _ = together(asked, sets)
    for number, job in enumerate(asked):
        weights = alone(job, sets[job.seed])
        close(found[number], weights, job.lr, job.steps)
        last = alone(job.model_copy(update={"selection": None}), sets[job.seed])
        assert all(torch.equal(weights[name], last[name]) for name in last)


def test_a_member_that_diverges_does_not_poison_the_others() -> None:
    """A rate of 1e30 makes one member's loss infinite at the second step."""
    setting = SETTINGS["Memorize"]
    sets = [drawn(setting, seed) for seed in (0, 1)]
    asked = [job.model_copy(update={"lr": 1e30} if number == 1 else {}) for number, job in enumerate(jobs(setting))]
    found, reports = together(asked, sets)
    assert found[1] == {}
    assert reports[-1]["diverged"].keys() == {"1"}
    assert "at step" in reports[-1]["diverged"]["1"]
    for number, job in enumerate(asked):
        if number != 1:
            close(found[number], alone(job, sets[job.seed]), job.lr)


def test_all_may_diverge() -> None:
    setting = SETTINGS["Memorize"]
    found, reports = together(jobs(setting, lr=1e30), [drawn(setting, seed) for seed in (0, 1)])
    assert found == [{}] * len(GRID)
    assert len(reports[-1]["diverged"]) == len(GRID)
    assert math.isnan(reports[-1]["loss"])


def test_members_of_different_shape_are_refused() -> None:
    one, other = jobs(SETTINGS["Memorize"])[0], jobs(SETTINGS["Memorize"], steps=7)[1]
    with pytest.raises(ValueError, match="lr, weight_decay, seed only"):
        EnsembleJob(members=(one, other), data=(0, 1))
