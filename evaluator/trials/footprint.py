"""How much memory a training run needs, known before it starts."""

import os
from pathlib import Path

import torch

from evaluator.device import DeviceName
from evaluator.model.backbones import build
from evaluator.model.config import MixerShape
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.tasks.names import TaskName
from evaluator.training.jobs import TrainingJob, sequences_at_once
from variants.contract import Layer

FLOAT = 4
WITHIN = 2.0
"""The baseline's measured peak is at most this factor above or below the estimate. A variant may take more."""


def footprint(job: TrainingJob, members: int = 1) -> int:
    """Bytes at the peak of a step: parameters, gradients, Adam's moments, and tensors kept for the backward pass.

    Counts the tensors that the layers of `evaluator/model` and the baseline kernel keep for the backward pass, in
    float32 (bfloat16 on a GPU needs less), for the sequences that go through the model together.
    """
    config = job.model
    # not on the device `meta`, for whose `arange` torch imports its compiler, for two seconds; nothing is drawn here
    parameters = sum(weight.numel() for weight in build(config, _no_kernel).parameters())
    projected = 2 * config.mixer.keys + config.mixer.values
    per_token = config.blocks * (
        3 * config.width + 4 * projected + 3 * config.inner + _kernel(config.mixer, config.chunk_size)
    )
    read_out = 3 * config.width + 3 * config.vocabulary
    passing = 3 * config.width + 2 * config.inner
    tokens = sequences_at_once(job, members) * config.length
    return members * FLOAT * (5 * parameters + tokens * (per_token + passing + read_out))


def _no_kernel(*_: torch.Tensor, chunk_size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    raise AssertionError("built for its parameters only")


def _kernel(mixer: MixerShape, chunk_size: int) -> int:
    """Numbers per token that the baseline kernel keeps: padded and weighted q, k, v, u, w; scores; states."""
    states = mixer.state // chunk_size
    return 4 * (2 * mixer.keys + mixer.values) + 4 * mixer.heads * chunk_size + 2 * states


def largest(
    protocol: Protocol, layer: Layer, specs: tuple[TrialSpec, ...], members: int = 1, device: DeviceName = "cpu"
) -> tuple[int, TaskName, str]:
    """The largest footprint of these trials on a device, and the task and setting that it belongs to."""
    settings = {(spec.task, spec.setting): spec for spec in specs}
    return max((footprint(protocol.job(spec, layer, device), members), *key) for key, spec in settings.items())


def available(device: DeviceName) -> int:
    """Bytes that are free on a device: a GPU's own memory, else the machine's."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
