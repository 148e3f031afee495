"""The optimiser: torch's AdamW to the bit, and trainings that import no compiler."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from evaluator.training.optimiser import AdamW

TRAININGS = """
import sys
import torch
from evaluator.training.ensemble import train as train_together
from evaluator.training.jobs import EnsembleJob, TrainingJob
from evaluator.training.train import train
from evaluator.trials.footprint import footprint
from variants.delta_net_4layer import delta_rule_chunkwise

model = {"backbone": "autoencoder", "layer": "delta_net", "vocabulary": 16, "length": 16, "width": 16, "inner": 24}
how = {"lr": 1e-2, "weight_decay": 0.1, "schedule": "constant", "steps": 2, "batch": 8, "seed": 3}
job = TrainingJob.model_validate({"model": model, **how})
numbers = torch.zeros(8, 16, dtype=torch.int64)
footprint(job)
train(job.model_dump(mode="json"), {"inputs": numbers, "targets": numbers}, delta_rule_chunkwise, lambda _: None)
both = EnsembleJob(members=(job, job.model_copy(update={"seed": 4})), data=(0, 0))
shared = {"0/inputs": numbers, "0/targets": numbers}
train_together(both.model_dump(mode="json"), shared, delta_rule_chunkwise, lambda _: None)
print(sorted({"torch._dynamo", "sympy"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_no_training_imports_the_compiler() -> None:
    answer = subprocess.run([sys.executable, "-c", TRAININGS], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def trained(kind: type[torch.optim.AdamW]) -> list[Tensor]:
    drawn = torch.Generator().manual_seed(0)
    weights = [torch.randn(8, 3, generator=drawn).requires_grad_() for _ in range(4)]
    groups: list[dict[str, Any]] = [
        {"params": weights[:2], "lr": 1e-2, "weight_decay": 0.1},
        {"params": weights[2:], "lr": 1e-3},
    ]
    optimiser = kind(groups, betas=(0.9, 0.98), fused=True)
    for _ in range(5):
        optimiser.zero_grad(set_to_none=True)
        torch.stack([(x.square() * torch.randn(x.shape, generator=drawn)).sum() for x in weights]).sum().backward()
        optimiser.step()
    return weights


@pytest.mark.slow
def test_it_is_torchs_to_the_bit() -> None:
    assert all(map(torch.equal, trained(AdamW), trained(torch.optim.AdamW)))
