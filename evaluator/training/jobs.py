"""What training is asked to do: one model, or the members of a grid as one."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from evaluator.device import DeviceName, Precision
from evaluator.model.config import ModelConfig
from evaluator.values import Value

if TYPE_CHECKING:  # what a protocol trains is wanted before anything needs torch
    from torch import Tensor

Report = Callable[[Mapping[str, Any]], None]
"""Hears of progress."""

REPORT_SECONDS = 0.5
CURVE_POINTS = 20
PART_TOKENS = 8192
"""A CPU takes a batch in parts of so many tokens, whose tensors stay in its cache and in memory that malloc keeps.

Of fewer where a mixer's values are wider than the model, in proportion.
"""
OWN = ("lr", "weight_decay", "seed")
"""Where the members of an ensemble may differ."""


class EpochSelection(Value):
    """Look at the held-out examples every `every` steps, keep the weights of the lowest loss, stop when good enough."""

    every: int = Field(ge=1)
    stop_at_accuracy: float = Field(default=0.999, gt=0)


class TrainingJob(Value):
    """Everything that training needs besides the data and the kernel. Seed: initial weights and order of batches."""

    model: ModelConfig
    lr: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["constant", "cosine"]
    warmup: int = Field(default=0, ge=0)
    steps: int = Field(ge=1)
    batch: int = Field(ge=1)
    seed: int = Field(ge=0)
    selection: EpochSelection | None = None
    threads: int = Field(default=1, ge=1)
    device: DeviceName = "cpu"
    precision: Precision = "float32"


class EnsembleJob(Value):
    """Jobs that differ in learning rate, weight decay and seed alone, and which set of the data each trains on."""

    members: tuple[TrainingJob, ...] = Field(min_length=1)
    data: tuple[int, ...]

    @model_validator(mode="after")
    def _alike(self) -> "EnsembleJob":
        if len(self.data) != len(self.members):
            raise ValueError("give each member a set of data")
        if len({job.model_copy(update=dict.fromkeys(OWN)) for job in self.members}) > 1:
            raise ValueError(f"members may differ in {', '.join(OWN)} only")
        return self


def own_part(named: Mapping[str, "Tensor"], number: int) -> dict[str, "Tensor"]:
    """The tensors whose names are led by a number, as in `0/inputs`, without it."""
    return {name.partition("/")[2]: tensor for name, tensor in named.items() if name.startswith(f"{number}/")}


def curve_interval(steps: int) -> int:
    """Steps between two points of a learning curve, whatever the speed of the machine."""
    return max(1, steps // CURVE_POINTS)


def sequences_at_once(run: TrainingJob, members: int = 1) -> int:
    """Sequences of each member that go through the model together: all on a GPU, of PART_TOKENS tokens on a CPU."""
    if run.device != "cpu":
        return run.batch
    return min(run.batch, max(1, int(PART_TOKENS / (members * run.model.length * run.model.wider))))


def schedule(run: TrainingJob, step: int) -> float:
    """Factor on the learning rate at a step (from 1): linear warm-up, then constant, or cosine down to 0."""
    if step <= run.warmup:
        return step / run.warmup
    if run.schedule == "constant":
        return 1.0
    progress = (step - run.warmup) / (run.steps - run.warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * progress))


def batches(count: int, run: TrainingJob) -> Iterator["Tensor"]:
    """Indices of batches, epoch after epoch, each in a new order; the last of an epoch may be smaller."""
    import torch

    generator = torch.Generator().manual_seed(run.seed)
    while True:
        yield from torch.split(torch.randperm(count, generator=generator), run.batch)
