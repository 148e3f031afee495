"""A training step of fixed shape that asks nothing of the device: it can be captured once and replayed.

What a step would otherwise ask the device for is known beforehand (where targets are scored) or stays there until
somebody reads it (losses, which member diverged, which weights are the best so far).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluator.kernel import Kernel
from evaluator.model.members import Members
from evaluator.tasks.examples import IGNORED
from evaluator.training.jobs import EnsembleJob, batches, own_part, schedule, sequences_at_once
from evaluator.training.optimiser import AdamW

BLOCK = 256
"""Steps whose batches are drawn, and copied to the device, at once."""


def losses_at(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy `[M, n]` of logits `[M, n, V]`; 0 where the target is IGNORED."""
    flat = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none", ignore_index=IGNORED)
    return flat.view(targets.shape)


class PlacedExamples(NamedTuple):
    """Sets of examples. inputs: `[S, N, L]`. places: `[S, N, P]` of the L positions, or None for all of them.

    P is the largest number of scored positions of a sequence. targets: `[S, N, P]`, IGNORED at places that are not.
    """

    inputs: Tensor
    places: Tensor | None
    targets: Tensor

    @classmethod
    def of(cls, sets: Sequence[Mapping[str, Tensor]], prefix: str, device: str) -> "PlacedExamples":
        """The sets' `[N, L]` inputs and targets of this prefix, with one more sequence that is scored nowhere."""
        inputs, targets = (
            F.pad(torch.stack([each[prefix + name] for each in sets]), (0, 0, 0, 1), value=fill)
            for name, fill in (("inputs", 0), ("targets", IGNORED))
        )
        scored = targets != IGNORED
        widest = int(scored.sum(-1).max())
        if widest == targets.shape[-1]:
            return cls(inputs.to(device), None, targets.to(device))
        places = scored.long().argsort(dim=-1, descending=True, stable=True)[..., :widest]
        return cls(inputs.to(device), places.to(device), targets.gather(-1, places).to(device))

    def chosen(self, sets: Tensor, sequences: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Tokens `[M, B, L]`, the scored ones of a member's B * L positions `[M, n]`, and their targets `[M, n]`.

        sets: `[M, 1]`. sequences: `[M, B]`.
        """
        inputs, targets = self.inputs[sets, sequences], self.targets[sets, sequences].flatten(1)
        if self.places is None:
            return inputs, None, targets
        starts = self.inputs.shape[-1] * torch.arange(sequences.shape[1], device=inputs.device)
        return inputs, (self.places[sets, sequences] + starts[:, None]).flatten(1), targets


class Reading(NamedTuple):
    """What the device says of one member. A step of 0: it has not happened. `lowest`: of the held-out losses."""

    loss: float
    diverged_at: int
    diverged_loss: float
    mastered_at: int
    mastered_loss: float
    lowest: float


class StaticStep:
    """Members, their examples, optimiser and records on one device. Members that are through are taken out by `drop`.

    A member that diverges spoils its own weights and no other member's: nothing that a member computes enters another.
    """

    def __init__(self, asked: EnsembleJob, data: Mapping[str, Tensor], kernel: Kernel, device: str) -> None:
        self.jobs, self.run, self.device = asked.members, asked.members[0], device
        self.members = Members(self.run.model, kernel, [each.seed for each in self.jobs], device)
        numbers = sorted(set(asked.data))
        sets = [own_part(data, number) for number in numbers]
        self.sets = torch.tensor([[numbers.index(number)] for number in asked.data], device=device)
        self.examples = PlacedExamples.of(sets, "", device)
        self.held = PlacedExamples.of(sets, "held_", device) if self.run.selection else None
        self.count = len(sets[0]["inputs"])
        self.order = [batches(self.count, each) for each in self.jobs]
        self.block = torch.zeros(BLOCK, len(self.jobs), self.run.batch, dtype=torch.long, device=device)
        self.clock = torch.zeros(1, dtype=torch.long, device=device)
        factors = [schedule(self.run, step) for step in range(1, self.run.steps + 1)]
        self.factors = torch.tensor(factors, device=device)
        self.bases = torch.tensor([each.lr for each in self.jobs], device=device)
        self.rates = self.bases.clone()
        self.optimiser = self._optimiser()
        self._connect_rates()
        self.records = [torch.zeros(len(self.jobs), dtype=torch.double, device=device) for _ in Reading._fields]
        self.records[-1].fill_(math.inf)
        self.best = [torch.empty_like(stack) for stack in self._stacks()]

    def _optimiser(self) -> torch.optim.Optimizer:
        groups = [
            {"params": own, "weight_decay": each.weight_decay}
            for own, each in zip(self.members.parameters, self.jobs, strict=True)
        ]
        return AdamW(groups, lr=self.run.lr, betas=self.run.betas, fused=True, capturable=True)

    def _connect_rates(self) -> None:
        """Give each living member's group a view of its rate: `step` sets them all at once."""
        for place, number in enumerate(self.members.living):
            self.optimiser.param_groups[number]["lr"] = self.rates[place]

    def _stacks(self) -> list[Tensor]:
        return [stack.data for stack in self.members.model.parameters()]

    def draw(self) -> None:
        """Draw the batches of the next BLOCK steps. A smaller one is filled up with the sequence that is not scored."""
        drawn = torch.full(self.block.shape, self.count)
        for place, number in enumerate(self.members.living):
            for step in range(min(BLOCK, self.run.steps)):
                index = next(self.order[number])
                drawn[step, place, : len(index)] = index
        self.block.copy_(drawn)

    def step(self) -> None:
        """One step of all members. Call `draw` before the first and after every BLOCK of them."""
        done = self.clock.clone()
        self.clock += 1
        index = self.block.index_select(0, done % BLOCK)[0]
        self.rates.copy_(self.bases * self.factors.index_select(0, done))
        self.members.model.zero_grad(set_to_none=True)
        inputs, places, targets = self.examples.chosen(self.sets, index)
        losses = losses_at(self._logits(inputs, places), targets).sum(1) / (targets != IGNORED).sum(1)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self.members.share_gradients()
        self.optimiser.step()
        self._record(losses.detach().double())

    def _logits(self, inputs: Tensor, places: Tensor | None) -> Tensor:
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.run.precision == "bfloat16"):
            logits: Tensor = self.members.model(inputs, places)
        return logits.float()

    def _record(self, losses: Tensor) -> None:
        loss, diverged_at, diverged_loss, *_ = self.records
        loss.copy_(losses)
        lost = ~losses.isfinite() & (diverged_at == 0)
        diverged_loss.copy_(torch.where(lost, losses, diverged_loss))
        diverged_at.copy_(torch.where(lost, self.clock, diverged_at))

    @torch.no_grad()
    def look(self) -> None:
        """Evaluate all members on their held-out examples, and keep the weights of those that never were better."""
        assert self.held is not None
        assert self.run.selection is not None
        sums = torch.zeros(3, len(self.sets), dtype=torch.double, device=self.device)
        every = torch.arange(self.held.inputs.shape[1] - 1, device=self.device)
        for part in torch.split(every, sequences_at_once(self.run, len(self.sets))):
            inputs, places, targets = self.held.chosen(self.sets, part.expand(len(self.sets), -1))
            logits = self._logits(inputs, places)
            right = (logits.argmax(-1) == targets).sum(1)  # never at IGNORED, which no token is
            sums += torch.stack([losses_at(logits, targets).sum(1), right, (targets != IGNORED).sum(1)])
        loss, right, total = sums
        trained, diverged_at, _, mastered_at, mastered_loss, lowest = self.records
        running = (diverged_at == 0) & (mastered_at == 0)
        better = running & (loss / total < lowest)
        lowest.copy_(torch.where(better, loss / total, lowest))
        for best, stack in zip(self.best, self._stacks(), strict=True):
            best.copy_(torch.where(better.view(-1, *[1] * (stack.dim() - 1)), stack, best))
        mastered = running & (right / total >= self.run.selection.stop_at_accuracy)
        mastered_loss.copy_(torch.where(mastered, trained, mastered_loss))
        mastered_at.copy_(torch.where(mastered, self.clock, mastered_at))

    def read(self) -> dict[int, Reading]:
        """What the device recorded of each member in the stack. Waits for the device."""
        rows = torch.stack(self.records, 1).tolist()
        found = {}
        for number, (loss, diverged_at, diverged_loss, mastered_at, mastered_loss, lowest) in zip(
            self.members.living, rows, strict=True
        ):
            found[number] = Reading(loss, int(diverged_at), diverged_loss, int(mastered_at), mastered_loss, lowest)
        return found

    def weights(self, number: int, *, best: bool) -> dict[str, Tensor]:
        """A copy, on the CPU, of a member's state dict: of its best look, or as it is."""
        place = self.members.living.index(number)
        stacks = self.best if best else self._stacks()
        return {name: stack[place].cpu().clone() for name, stack in zip(self.members.names, stacks, strict=True)}

    def drop(self, ended: Sequence[int]) -> None:
        """Take members out; the others go on as they were. What was captured before no longer holds."""
        kept = [place for place, number in enumerate(self.members.living) if number not in ended]
        self.members.drop(ended)
        for number in ended:
            for own in self.members.parameters[number]:
                own.grad = None
        self.sets, self.block = self.sets[kept], self.block[:, kept]
        self.bases, self.rates = self.bases[kept], self.rates[kept]
        self.records = [record[kept] for record in self.records]
        self.best = [best[kept] for best in self.best]
        self._connect_rates()
