"""What a protocol would cost on this machine, from a few timed steps of the baseline kernel."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.tasks.examples import IGNORED
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import TASKS, examples, fed_length
from evaluator.tasks.task import Setting
from evaluator.training.train import train
from variants.contract import CHUNK_SIZE, Layer
from variants.delta_net_4layer import delta_rule_chunkwise

PROBE_TOKENS = 4_096
"""Tokens of a timed step: enough that arithmetic, and not Python, takes the time."""
_TIMED_STEPS = 3
_FORWARD_SHARE = 1 / 3
"""The forward pass's share of a training step; the backward pass does twice as much arithmetic."""
_FLOPS_PER_WEIGHT = 6


@dataclass(frozen=True)
class SettingCost:
    """Cost of one setting. trials: number of trials of one variant, all seeds. seconds: CPU-seconds of one trial."""

    task: TaskName
    setting: Setting
    steps: int
    trials: int
    seconds: float


def estimate(protocol: Protocol) -> tuple[SettingCost, ...]:
    """Cost of every setting for the baseline, on one CPU thread, if no trial ends early. Trains for some seconds.

    The estimate assumes that a token costs as much as in the task's first setting, plus the read-out, which grows with
    the vocabulary. Evaluations on the held-out set and scoring are forward passes.
    """
    torch.set_num_threads(1)
    rate = _products_per_second()
    return tuple(cost for task in protocol.tasks for cost in _task(protocol, task, rate))


def _task(protocol: Protocol, task: TaskName, rate: float) -> list[SettingCost]:
    plan = protocol.tasks[task]
    first = plan.settings[0]
    batch = max(1, min(plan.batch, PROBE_TOKENS // fed_length(first)))
    read_out = {setting: _read_out_seconds(protocol, setting, rate) for setting in plan.settings}
    a_token = max(0.0, _step_seconds(protocol, task, batch) / batch - read_out[first]) / fed_length(first)
    found = []
    for setting in plan.settings:
        a_sequence = fed_length(setting) * a_token + read_out[setting]
        steps = plan.steps_of(setting)
        passes = plan.test_examples * (1 if TASKS[task].backbone == "autoencoder" else plan.cuts)
        forward = passes * fed_length(setting, "test") / fed_length(setting)  # in sequences of the training's length
        if protocol.held_examples:
            forward += protocol.held_examples * (steps // plan.epoch_of(setting))
        sequences = steps * min(plan.batch, setting.train_examples) + _FORWARD_SHARE * forward
        trials = len(plan.lr) * len(plan.weight_decay) * len(protocol.seeds)
        found.append(SettingCost(task, setting, steps, trials, sequences * a_sequence))
    return found


def _step_seconds(protocol: Protocol, task: TaskName, batch: int) -> float:
    plan = protocol.tasks[task]
    setting = plan.settings[0]
    spec = TrialSpec(task=task, setting=setting.id, lr=plan.lr[0], weight_decay=0.0, seed=0)
    drawn = examples(setting, "train", batch, 0)
    data = {"inputs": drawn.inputs, "targets": drawn.targets}
    seconds = {}
    for steps in (1, 1, 1 + _TIMED_STEPS):  # the first only warms up
        job = protocol.job(spec, Layer.DELTA_NET).model_copy(update={"steps": steps, "selection": None, "batch": batch})
        began = time.process_time()
        train(job.model_dump(mode="json"), data, _baseline, lambda _: None)
        seconds[steps] = time.process_time() - began
    return max(0.0, seconds[1 + _TIMED_STEPS] - seconds[1]) / _TIMED_STEPS


def _baseline(*inputs: Tensor, chunk_size: int = CHUNK_SIZE) -> tuple[Tensor, Tensor]:
    q, k, v, beta = inputs
    return delta_rule_chunkwise(q, k, v, beta, chunk_size)


def _read_out_seconds(protocol: Protocol, setting: Setting, rate: float) -> float:
    """CPU-seconds of the read-out of one sequence in one training step."""
    scored = examples(setting, "train", 8, 0).targets != IGNORED
    return float(scored.sum()) / 8 * setting.vocabulary * protocol.width * _FLOPS_PER_WEIGHT / rate


def _products_per_second() -> float:
    one = torch.randn(512, 512)
    one @ one
    began = time.process_time()
    for _ in range(20):
        one @ one
    return float(20 * 2 * 512**3 / max(time.process_time() - began, 1e-9))
