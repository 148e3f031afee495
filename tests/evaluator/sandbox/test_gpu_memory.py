"""A GPU's memory: bounded inside, watched from outside; and the attacks where device files may be opened."""

import sys
import types
from collections.abc import Iterator, Mapping

import pytest
import torch

from evaluator.outcomes import Grade
from evaluator.protocols.built_in import MAD
from evaluator.protocols.protocol import trial_specs
from evaluator.sandbox import Limits, Sandbox, VariantFailed, gpu_memory, host, roots
from evaluator.sandbox.host import canaries
from evaluator.trials.footprint import footprint
from evaluator.trials.run_trial import limits_of
from tests.waiting import wait_until
from variants.contract import BASELINE, Layer
from variants.seeds import seed_variants

KERNEL = seed_variants()[BASELINE]
INPUTS = (*(torch.rand(1, 1, 40, 4) for _ in range(3)), torch.rand(1, 1, 40))


class Usage:
    """Stands for NVML: says of one candidate that it holds a GPU's memory, in this process's numbers."""

    def __init__(self) -> None:
        self.root = self.greedy = 0
        self.asked = 0

    def __call__(self) -> Mapping[int, int]:
        self.asked += 1
        held = {True: Limits().gpu_bytes + gpu_memory.CONTEXT_BYTES + 1, False: Limits().gpu_bytes}
        return {outer: held[own == self.greedy] for outer, own in gpu_memory.below(self.root)}


@pytest.mark.slow
@pytest.mark.parametrize("grade", [Grade.A, Grade.B])
def test_who_holds_too_much_ends_as_memory_and_its_neighbour_goes_on(
    grade: Grade, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by its number outside of the namespace that the candidate sees."""
    monkeypatch.setattr(host, "GRADES", (grade,))
    usage = Usage()
    with Sandbox(minimum=grade, gpu_usage=usage) as sandbox:
        usage.root = sandbox._keeper.pid
        with sandbox.kernel(KERNEL) as neighbour, sandbox.kernel(KERNEL) as greedy:
            neighbour(*INPUTS)
            greedy(*INPUTS)
            asked = usage.asked
            wait_until(lambda: usage.asked > asked + 1, "a look at the memory")
            greedy(*INPUTS)  # nobody holds more than the limit yet
            assert sandbox._watch is not None
            usage.greedy = list(sandbox._watch._limits.values())[1][0]
            ended = greedy._candidate.ended
            wait_until(ended.done, "the end of the greedy one")
            with pytest.raises(VariantFailed) as failed:
                greedy(*INPUTS)
            assert failed.value.failure.kind == "memory"
            assert "GPU memory" in failed.value.failure.message
            neighbour(*INPUTS)
        assert sandbox._watch._limits == {}


@pytest.fixture(params=[Grade.A, Grade.B])
def with_device_files(request: pytest.FixtureRequest, slow_tier: None) -> Iterator[Sandbox]:
    """A sandbox as on a machine with a GPU: files that may be opened for writing, and any ioctl."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "GRADES", (request.param,))
        patch.setattr(roots, "accelerator_devices", lambda: ("/dev/full",))
        with Sandbox(minimum=request.param, device="cuda") as sandbox:
            yield sandbox


def test_every_attack_is_stopped_where_device_files_may_be_opened(with_device_files: Sandbox) -> None:
    assert [name for name, stopped, _ in canaries(with_device_files) if not stopped] == []


def test_nvml_is_asked_of_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {0: [(7, 5), (8, None)], 1: [(7, 6)]}
    fake = types.ModuleType("pynvml")
    fake.nvmlInit = lambda: None
    fake.NVMLError = RuntimeError
    fake.nvmlDeviceGetCount = lambda: len(held)
    fake.nvmlDeviceGetHandleByIndex = lambda index: index
    fake.nvmlDeviceGetComputeRunningProcesses = lambda index: [
        types.SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in held[index]
    ]
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    usage = gpu_memory.nvml()
    assert usage is not None
    assert usage() == {7: 11, 8: 0}


def test_without_nvml_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu_memory.nvml() is None


@pytest.mark.parametrize(("total", "share"), [(80, 0.5), (20, 1.0)])
def test_the_bound_inside_is_a_share_of_the_gpu(total: int, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[float] = []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: types.SimpleNamespace(total_memory=total))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", found.append)
    gpu_memory.bound_here(40)
    assert found == [share]


@pytest.mark.slow
def test_a_training_may_take_several_times_its_estimate() -> None:
    spec = max(trial_specs(MAD), key=lambda each: footprint(MAD.job(each, Layer.DELTA_NET, "cuda")))
    job = MAD.job(spec, Layer.DELTA_NET, "cuda")
    assert limits_of(job, 6).gpu_bytes == 4 * footprint(job, 6) > Limits().gpu_bytes
