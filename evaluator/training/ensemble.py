"""Train the members of a grid (learning rate x weight decay x seed) as one model. Runs inside the sandbox."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from evaluator.kernel import Kernel
from evaluator.model.backbones import scored_rows
from evaluator.model.members import Members
from evaluator.tasks.examples import IGNORED
from evaluator.training import on_gpu
from evaluator.training.jobs import (
    REPORT_SECONDS,
    EnsembleJob,
    Report,
    batches,
    curve_interval,
    own_part,
    schedule,
    sequences_at_once,
)
from evaluator.training.optimiser import AdamW
from evaluator.training.static_step import losses_at


def train(job: Mapping[str, Any], data: Mapping[str, Tensor], kernel: Kernel, report: Report) -> dict[str, Tensor]:
    """Train all members of an EnsembleJob (as JSON), each as `evaluator.training.train.train` would, up to rounding.

    data: that function's, each name led by the number of its set, as in `0/inputs`. Returns state dicts, each name led
    by the number of its member; a member that diverged has none. Reports {"step", "steps", "loss": mean, "losses": by
    member, "diverged": message by member}; the last two name the members by their numbers.
    """
    asked = EnsembleJob.model_validate(job)
    torch.set_num_threads(asked.members[0].threads)
    if asked.members[0].device != "cpu":
        return on_gpu.train(asked, data, kernel, report)
    return _Ensemble(asked, data, kernel).train(report)


class _Ensemble:
    def __init__(self, asked: EnsembleJob, data: Mapping[str, Tensor], kernel: Kernel) -> None:
        self.jobs, self.run = asked.members, asked.members[0]
        self.data = [own_part(data, number) for number in asked.data]
        self.members = Members(self.run.model, kernel, [each.seed for each in self.jobs], self.run.device)
        groups = [
            {"params": own, "lr": each.lr, "weight_decay": each.weight_decay}
            for own, each in zip(self.members.parameters, self.jobs, strict=True)
        ]
        self.optimiser = AdamW(groups, betas=self.run.betas, fused=True)
        self.order = [batches(len(sets["inputs"]), each) for sets, each in zip(self.data, self.jobs, strict=True)]
        self.lowest = [math.inf] * len(self.jobs)
        self.weights: dict[str, Tensor] = {}
        self.diverged: dict[str, str] = {}

    def train(self, report: Report) -> dict[str, Tensor]:
        steps, reported = self.run.steps, time.monotonic()
        for step in range(1, steps + 1):
            losses = self._step(step)
            ended = self._ended(step)
            if ended or step % curve_interval(steps) == 0 or time.monotonic() - reported >= REPORT_SECONDS:
                mean = sum(losses.values()) / len(losses) if losses else math.nan
                report({"step": step, "steps": steps, "loss": mean, "losses": losses, "diverged": self.diverged})
                reported = time.monotonic()
            self.members.drop(ended)
            if not self.members.living:
                break
        return {name: tensor for name, tensor in self.weights.items() if name.partition("/")[0] not in self.diverged}

    def _step(self, step: int) -> dict[str, float]:
        """One step of all; the losses before it, by member. Those whose loss is not finite are out."""
        factor = schedule(self.run, step)
        for group, each in zip(self.optimiser.param_groups, self.jobs, strict=True):
            group["lr"] = each.lr * factor
        living = list(self.members.living)
        values = dict(zip(living, self._gradients(living), strict=True))
        self.members.share_gradients()
        lost = [number for number, value in values.items() if not math.isfinite(value)]
        for number in lost:
            self.diverged[str(number)] = f"the loss is {values[number]} at step {step} of {self.run.steps}"
            for own in self.members.parameters[number]:
                own.grad = None
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.members.drop(lost)
        return {str(number): value for number, value in values.items() if math.isfinite(value)}

    def _gradients(self, living: Sequence[int]) -> list[float]:
        """Set the gradients of the stack from the members' next batches; their losses, which may not be finite."""
        chosen = [(self.data[number], next(self.order[number])) for number in living]
        inputs = torch.stack([sets["inputs"][index] for sets, index in chosen])
        targets = torch.stack([sets["targets"][index] for sets, index in chosen])
        self.members.model.zero_grad(set_to_none=True)
        totals = (targets != IGNORED).sum((1, 2))
        values = torch.zeros(len(living), device=inputs.device)
        for part in self._parts(inputs, targets):
            losses = losses_at(*self._logits(*part)).sum(1) / totals
            values += losses.detach()
            losses[values.isfinite()].sum().backward()  # type: ignore[no-untyped-call]
        return values.tolist()

    def _parts(self, inputs: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Tokens and targets `[M, B, L]` in parts of the batch."""
        size = sequences_at_once(self.run, len(inputs))
        yield from zip(torch.split(inputs, size, dim=1), torch.split(targets, size, dim=1), strict=True)

    def _logits(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[M, n, V]`, and their targets `[M, n]`: IGNORED where a member has fewer than others."""
        scored = targets != IGNORED
        rows = None if bool(scored.all()) else scored_rows(scored)
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.run.precision == "bfloat16"):
            logits = self.members.model(inputs, rows)
        flat = targets.flatten(1)
        return logits.float(), flat if rows is None else flat.gather(1, rows)

    def _ended(self, step: int) -> list[int]:
        """Members that are through, with their weights kept."""
        last = step == self.run.steps
        selection = self.run.selection
        if selection is None:
            ended = list(self.members.living) if last else []
            for number in ended:
                self._keep(number)
            return ended
        if (step % selection.every and not last) or not self.members.living:
            return []
        mastered = []
        for number, loss, accuracy in self._look():
            if loss < self.lowest[number]:
                self.lowest[number] = loss
                self._keep(number)
            if accuracy >= selection.stop_at_accuracy or last:
                mastered.append(number)
        return mastered

    def _keep(self, number: int) -> None:
        self.weights |= {f"{number}/{name}": tensor for name, tensor in self.members.weights(number).items()}

    @torch.no_grad()
    def _look(self) -> Iterator[tuple[int, float, float]]:
        """Loss and accuracy of each living member on its held-out examples."""
        living = list(self.members.living)
        sums = torch.zeros(3, len(living), device=self.run.device)
        for inputs, targets in self._parts(self._held(living, "held_inputs"), self._held(living, "held_targets")):
            logits, wanted = self._logits(inputs, targets)
            right = (logits.argmax(-1) == wanted).sum(1)
            sums += torch.stack([losses_at(logits, wanted).sum(1), right, (wanted != IGNORED).sum(1)])
        for number, (loss, right, total) in zip(living, sums.T.tolist(), strict=True):
            yield number, loss / total, right / total

    def _held(self, living: Sequence[int], name: str) -> Tensor:
        return torch.stack([self.data[number][name] for number in living])
