"""Train one model around one kernel. Runs inside the sandbox; knows nothing of the test set."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluator.kernel import Kernel
from evaluator.model.backbones import LanguageModel, build
from evaluator.model.layers import initialise
from evaluator.tasks.examples import IGNORED
from evaluator.training import on_gpu
from evaluator.training.jobs import (
    REPORT_SECONDS,
    EpochSelection,
    Report,
    TrainingJob,
    batches,
    curve_interval,
    schedule,
    sequences_at_once,
)
from evaluator.training.optimiser import AdamW


def train(
    job: Mapping[str, Any], data: Mapping[str, Tensor], kernel: Kernel, report: Report, eager: str = ""
) -> dict[str, Tensor]:
    """Train by AdamW (decay on all parameters) and return the state dict, on the CPU.

    job: the JSON of a TrainingJob. data: `inputs` and `targets`, `[N, L]` int64, and, where the job selects an epoch,
    `held_inputs` and `held_targets`. Reports {"step", "steps", "loss"} at the steps of the learning curve, twice a
    second in between, and at the end; on a GPU, `on_gpu` trains, whose reports say more. Sets the number of threads of
    the process. eager: why a GPU shall not capture the steps, if so. Raises FloatingPointError where the loss is no
    longer finite.
    """
    run = TrainingJob.model_validate(job)
    torch.set_num_threads(run.threads)
    if run.device != "cpu":
        return on_gpu.train_one(run, data, kernel, report, eager)
    model = build(run.model, kernel)
    initialise(model, run.seed)
    optimiser = AdamW(model.parameters(), lr=run.lr, betas=run.betas, weight_decay=run.weight_decay, fused=True)
    best = _Best(run.selection, data) if run.selection else None
    reported = time.monotonic()
    order = batches(len(data["inputs"]), run)
    for step in range(1, run.steps + 1):
        index = next(order)
        loss = training_step(model, optimiser, run, step, data["inputs"][index], data["targets"][index])
        mastered = best is not None and best.look(model, run, step)
        done = mastered or step == run.steps
        if done or step % curve_interval(run.steps) == 0 or time.monotonic() - reported >= REPORT_SECONDS:
            report({"step": step, "steps": run.steps, "loss": loss})
            reported = time.monotonic()
        if done:
            break
    weights = best.weights if best is not None and best.weights else model.state_dict()
    return {name: tensor.detach().clone() for name, tensor in weights.items()}


def training_step(
    model: LanguageModel, optimiser: torch.optim.Optimizer, run: TrainingJob, step: int, inputs: Tensor, targets: Tensor
) -> float:
    """One step of the optimiser on one batch; the loss before it. Raises FloatingPointError if that is not finite.

    The gradient is summed over parts of the batch, each small enough for the cache of a CPU.
    """
    for group in optimiser.param_groups:
        group["lr"] = run.lr * schedule(run, step)
    optimiser.zero_grad(set_to_none=True)
    total, value = int((targets != IGNORED).sum()), 0.0
    size = sequences_at_once(run)
    for some_inputs, some_targets in zip(torch.split(inputs, size), torch.split(targets, size), strict=True):
        loss = _summed_loss(model, run, some_inputs, some_targets) / total
        value += float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {step} of {run.steps}")
        loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return value


def _summed_loss(model: LanguageModel, run: TrainingJob, inputs: Tensor, targets: Tensor) -> Tensor:
    scored = targets != IGNORED
    everywhere = bool(scored.all())
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=run.precision == "bfloat16"):
        logits = model(inputs, None if everywhere else scored)
    return F.cross_entropy(logits.float(), targets.flatten() if everywhere else targets[scored], reduction="sum")


class _Best:
    """The weights of the lowest held-out loss so far."""

    def __init__(self, selection: EpochSelection, data: Mapping[str, Tensor]):
        self.selection = selection
        self.inputs, self.targets = data["held_inputs"], data["held_targets"]
        self.loss = math.inf
        self.weights: dict[str, Tensor] = {}

    def look(self, model: LanguageModel, run: TrainingJob, step: int) -> bool:
        """Evaluate if it is time to; true when training may stop."""
        if step % self.selection.every and step != run.steps:
            return False
        loss, accuracy = self._evaluate(model, run)
        if loss < self.loss:
            self.loss = loss
            self.weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        return accuracy >= self.selection.stop_at_accuracy

    @torch.no_grad()
    def _evaluate(self, model: LanguageModel, run: TrainingJob) -> tuple[float, float]:
        loss, right, total = 0.0, 0, 0
        size = sequences_at_once(run)
        for inputs, targets in zip(torch.split(self.inputs, size), torch.split(self.targets, size), strict=True):
            scored = targets != IGNORED
            with torch.autocast(inputs.device.type, torch.bfloat16, enabled=run.precision == "bfloat16"):
                logits = model(inputs, scored).float()
            loss += float(F.cross_entropy(logits, targets[scored], reduction="sum"))
            right += int((logits.argmax(-1) == targets[scored]).sum())
            total += len(logits)
        return loss / total, right / total
