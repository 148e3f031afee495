"""The estimate of memory against the measured peak of a process that trains."""

import subprocess
import sys

import pytest

from evaluator.device import DeviceName
from evaluator.protocols.built_in import MAD, SMOKE
from evaluator.protocols.protocol import trial_specs
from evaluator.training.jobs import TrainingJob
from evaluator.trials.footprint import WITHIN, available, footprint, largest
from variants.contract import Layer

MEASURE = """
import sys, torch
from evaluator.training.jobs import TrainingJob
from evaluator.training.train import train
from variants.delta_net_4layer import delta_rule_chunkwise
run = TrainingJob.model_validate_json(sys.argv[1])
def data(count, length):
    drawn = torch.randint(run.model.vocabulary, (count, length), generator=torch.Generator().manual_seed(0))
    return {"inputs": drawn, "targets": drawn}
def peak():  # not getrusage's, which is at least the parent's
    return int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) * 1024
small = run.model_copy(update={"batch": 1, "model": run.model.model_copy(update={"length": 32})})
train(small.model_dump(mode="json"), data(2, 32), delta_rule_chunkwise, lambda _: None)
before = peak()
train(run.model_dump(mode="json"), data(run.batch, run.model.length), delta_rule_chunkwise, lambda _: None)
print(peak() - before)
"""


def job(heads: int, length: int = 128, device: DeviceName = "cpu") -> TrainingJob:
    model = {"backbone": "language_model", "layer": "delta_net", "vocabulary": 16, "length": length, "heads": heads}
    rest = {"lr": 1e-3, "weight_decay": 0.0, "schedule": "constant", "steps": 2, "batch": 32, "seed": 0}
    return TrainingJob.model_validate({"model": model, "device": device, **rest})


@pytest.mark.slow
@pytest.mark.parametrize("heads", [1, 8])
def test_the_measured_peak_is_within_the_stated_factor(heads: int) -> None:
    command = [sys.executable, "-c", MEASURE, job(heads).model_dump_json()]
    measured = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert footprint(job(heads)) / WITHIN < measured < footprint(job(heads)) * WITHIN


def test_members_and_length_multiply() -> None:
    one = footprint(job(1, device="cuda"))
    assert footprint(job(1, device="cuda"), members=6) == 6 * one
    assert footprint(job(1, length=256, device="cuda")) > 1.9 * one


def test_a_cpu_holds_no_more_than_a_part_of_the_batch() -> None:
    one = footprint(job(1, length=256))
    assert footprint(job(1, length=512)) == one
    assert one < footprint(job(1, length=256), members=6) < 2 * one


def test_the_largest_of_mad_is_a_longest_sequence_or_on_a_cpu_the_largest_vocabulary() -> None:
    size, _, setting = largest(MAD, Layer.DELTA_NET, trial_specs(MAD), device="cuda")
    assert "l1024" in setting
    assert "v8192" in largest(MAD, Layer.DELTA_NET, trial_specs(MAD))[2]
    assert size > largest(SMOKE, Layer.DELTA_NET, trial_specs(SMOKE))[0]


def test_some_memory_is_available() -> None:
    assert available("cpu") > 2**20
