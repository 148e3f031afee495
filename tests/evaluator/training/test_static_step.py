"""A step that asks nothing of its device: on tensors without numbers every question is an error.

`meta` tensors stand for the device in whole steps: whoever asks them for a number, a shape that depends on one, or
mixes them with tensors of the host, raises. Fake tensors of the CPU, which know autocast and the fused optimiser, take
the same step in bfloat16. `FakeTensorMode` also makes tensors that say they are on CUDA, autocast to
bfloat16 included: with a PyTorch that was built for CUDA (no GPU is needed), and for the forward pass alone, since to
differentiate them autograd wants a GPU.
"""

import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import FunctionType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode

from evaluator.kernel import Kernel
from evaluator.model.backbones import LanguageModel, build
from evaluator.protocols.built_in import MAD
from evaluator.protocols.protocol import TrialSpec, trial_specs
from evaluator.sandbox.loading import load_kernel
from evaluator.sandbox.padding import AnyLength
from evaluator.sandbox.server import KernelServer
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import MAD_TASKS, examples
from evaluator.training.jobs import EnsembleJob, EpochSelection, own_part
from evaluator.training.static_step import PlacedExamples, StaticStep, losses_at
from evaluator.trials.footprint import WITHIN, footprint
from variants.contract import BASELINE, CHUNK_SIZE, Variant
from variants.seeds import seed_variants

pytestmark = pytest.mark.slow
SEEDS = seed_variants()
MEMBERS = 3
BATCH = 4
DRAWN = 4
CUDA = "cuda:0"
ONE_CHUNK: TaskName = "Memorize"
SEVERAL_CHUNKS: TaskName = "Context Recall"
knows_cuda = pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="a PyTorch that was built without CUDA")


def kernel_of(variant: Variant) -> Kernel:
    return AnyLength(load_kernel(variant.name, variant.source, variant.contract.function))


def asked(spec: TrialSpec, variant: Variant, members: int = MEMBERS, blocks: int = 1, **changes: Any) -> EnsembleJob:
    """Members of a published setting, with a smaller batch and, as both are alike, with one of its two blocks.

    Not validated: no job asks for `meta`.
    """
    job = MAD.job(spec, variant.layer, "cuda")
    job = job.model_copy(update={"model": job.model.model_copy(update={"blocks": blocks})})
    changes = {"batch": BATCH, "selection": EpochSelection(every=2), "device": "meta", **changes}
    jobs = [job.model_copy(update={**changes, "seed": seed, "steps": 3}) for seed in range(members)]
    return EnsembleJob.model_construct(members=tuple(jobs), data=(0,) * members)


def data(spec: TrialSpec, count: int = DRAWN) -> dict[str, Tensor]:
    train, held = (examples(MAD.setting(spec), split, count, 0) for split in ("train", "held"))
    named = {"inputs": train.inputs, "targets": train.targets}
    return {f"0/{name}": x for name, x in {**named, "held_inputs": held.inputs, "held_targets": held.targets}.items()}


def smallest(task: TaskName) -> TrialSpec:
    """Of the settings of a task, the one of the fewest tokens."""
    return min(trial_specs(MAD, [task]), key=lambda spec: MAD.setting(spec).length)


@pytest.fixture(scope="module")
def drawn() -> dict[TaskName, tuple[TrialSpec, dict[str, Tensor]]]:
    return {task: (smallest(task), data(smallest(task))) for task in MAD_TASKS}


@contextmanager
def meta_as_a_device() -> Iterator[None]:
    """Autocast knows no device of the name `meta`, and the fused optimiser has no code for it."""
    with pytest.MonkeyPatch.context() as patch, torch.library._scoped_library("aten", "IMPL") as library:
        library.impl("_fused_adamw_.tensor_lr", _fused_adamw, "Meta")
        patch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
        patch.setattr(sys.modules["torch.optim.optimizer"], "_get_fused_kernels_supported_devices", lambda: ["meta"])
        yield


def _fused_adamw(*lists: list[Tensor], lr: Tensor, **_: Any) -> None:
    assert {x.device.type for each in lists for x in each} == {lr.device.type} == {"meta"}
    weights, gradients, *_ = lists
    assert [x.shape for x in weights] == [x.shape for x in gradients]


def on_meta(spec: TrialSpec, named: Mapping[str, Tensor], variant: Variant, **changes: Any) -> StaticStep:
    job = asked(spec, variant, **changes)
    return StaticStep(job, named, kernel_of(variant), "meta")


def every_seed_once(task: TaskName) -> dict[tuple[str, TaskName], None]:
    """Each seed on this task, and the baseline on all: a kernel sees no task, and a task no kernel."""
    return dict.fromkeys([*((name, task) for name in SEEDS), *((BASELINE, each) for each in MAD_TASKS)])


@pytest.mark.parametrize(("name", "task"), every_seed_once(SEVERAL_CHUNKS))
def test_a_whole_step_asks_nothing_of_the_device(
    name: str, task: TaskName, drawn: Mapping[TaskName, tuple[TrialSpec, dict[str, Tensor]]]
) -> None:
    """Several chunks, an ensemble: gradients, fused AdamW, schedule, selection, records."""
    spec, named = drawn[task]
    assert task != SEVERAL_CHUNKS or MAD.setting(spec).length > 2 * CHUNK_SIZE
    with meta_as_a_device():
        state = on_meta(spec, named, SEEDS[name])
        state.draw()
        state.step()
        state.look()
        tensors = [*state.members.model.parameters(), *state.records, *state.best, state.rates, state.clock]
        moments = [each for own in state.optimiser.state.values() for each in own.values()]
        assert len(moments) == 3 * MEMBERS * len(state.best)
        gradients = [own.grad for each in state.members.parameters for own in each]
        assert {str(x.device) for x in [*tensors, *moments, *gradients]} == {"meta"}
        assert {x.dtype for x in gradients} == {torch.float32}


@pytest.mark.parametrize("asks", ["number", "shape", "host"])
def test_a_step_that_asks_is_caught(asks: str, drawn: Mapping[TaskName, tuple[TrialSpec, dict[str, Tensor]]]) -> None:
    """Else the test above could pass whatever a step does."""
    kernel = kernel_of(SEEDS[BASELINE])

    def asking(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        o, S = kernel(*inputs, chunk_size=chunk_size)
        return {
            "number": lambda: (o * float(S.sum()), S),
            "shape": lambda: (o + o[o > 0].sum(), S),
            "host": lambda: (o + torch.ones(o.shape), S),
        }[asks]()

    spec, named = drawn["Memorize"]
    state = StaticStep(asked(spec, SEEDS[BASELINE]), named, asking, "meta")
    state.draw()
    with meta_as_a_device(), pytest.raises((RuntimeError, NotImplementedError)):
        state.step()


@contextmanager
def fake_numbers() -> Iterator[FakeTensorMode]:
    """Tensors without numbers where autocast and the fused optimiser are PyTorch's own; examples are placed before."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, pytest.MonkeyPatch.context() as patch:
        place = PlacedExamples.of

        def placed(*arguments: Any) -> PlacedExamples:
            with unset_fake_temporarily():
                real = place(*arguments)
            return PlacedExamples(*(x if x is None else mode.from_tensor(x) for x in real))

        patch.setattr(PlacedExamples, "of", placed)
        yield mode


@pytest.mark.parametrize(("name", "task"), every_seed_once(ONE_CHUNK))
def test_a_whole_step_in_half_precision_asks_nothing(
    name: str, task: TaskName, drawn: Mapping[TaskName, tuple[TrialSpec, dict[str, Tensor]]]
) -> None:
    """On the way back, too, and through the fused AdamW itself: bfloat16 outside of the kernel, float32 in it."""
    kernel, met, products = kernel_of(SEEDS[name]), set(), set()

    def watching(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        met.update(x.dtype for x in inputs)
        return kernel(*inputs, chunk_size=chunk_size)

    spec, named = drawn[task]
    with fake_numbers():
        state = StaticStep(asked(spec, SEEDS[name], device="cpu", precision="bfloat16"), named, watching, "cpu")
        state.members.model.layers[0].layer.qkv.register_forward_hook(lambda _, __, out: products.add(out.dtype))
        state.draw()
        state.step()
        state.look()
        kept = [x for own in state.optimiser.state.values() for x in own.values()]
        gradients = [own.grad for each in state.members.parameters for own in each]
        assert len(kept) == 3 * MEMBERS * len(state.best)
    assert (met, products) == ({torch.float32}, {torch.bfloat16})
    assert {x.dtype for x in (*kept, *gradients)} == {torch.float32}
    assert all(isinstance(x, FakeTensor) for x in (*kept, *gradients))


@contextmanager
def fake_cuda() -> Iterator[FakeTensorMode]:
    """Tensors that are on CUDA as far as everybody can tell; bfloat16 is known there."""
    with pytest.MonkeyPatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
        patch.setattr("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
        patch.setattr("torch.cuda.is_bf16_supported", lambda: True)
        yield mode


@knows_cuda
@pytest.mark.parametrize("name", SEEDS)
def test_in_half_precision_the_kernel_gets_float32_and_all_is_on_the_gpu(
    name: str, drawn: Mapping[TaskName, tuple[TrialSpec, dict[str, Tensor]]]
) -> None:
    kernel, met, products = kernel_of(SEEDS[name]), set(), set()

    def watching(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        met.update((x.dtype, x.device.type, torch.is_autocast_enabled("cuda")) for x in inputs)
        return kernel(*inputs, chunk_size=chunk_size)

    for spec, named in drawn.values():
        placed, job = PlacedExamples.of([own_part(named, 0)], "", "cpu"), MAD.job(spec, SEEDS[name].layer, "cuda")
        assert job.precision == "bfloat16"
        with fake_cuda() as mode:
            examples = PlacedExamples(*(x if x is None else mode.from_tensor(x).to(CUDA) for x in placed))
            model = stacked(build(job.model, watching))
            model.layers[0].layer.qkv.register_forward_hook(
                lambda _, __, out: products.add((out.dtype, out.device.type))
            )
            sets = torch.zeros(MEMBERS, 1, dtype=torch.long, device=CUDA)
            inputs, places, targets = examples.chosen(sets, sets.expand(-1, BATCH))
            with torch.autocast("cuda", torch.bfloat16):
                logits = model(inputs, places).float()
            losses = losses_at(logits, targets)
            assert logits.shape == (*targets.shape, job.model.vocabulary)
            assert (losses.dtype, losses.device.type, losses.shape) == (torch.float32, "cuda", targets.shape)
    assert met == {(torch.float32, "cuda", False)}
    assert products == {(torch.bfloat16, "cuda")}


def stacked(model: LanguageModel) -> LanguageModel:
    """The model of several members, on CUDA."""
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            of_all = torch.empty(MEMBERS, *weight.shape, device=CUDA)
            setattr(module, name, torch.nn.Parameter(of_all, requires_grad=False))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(CUDA))
    return model


@pytest.mark.parametrize("name", SEEDS)
def test_the_server_of_a_kernel_moves_what_it_is_asked_to_the_device_and_computes_there(name: str) -> None:
    """As checks and scoring call it: tensors of the host in, the kernel and its gradients on the device."""
    variant = SEEDS[name]
    kernel = load_kernel(variant.name, variant.source, variant.contract.function)
    q, k, v = (torch.rand(2, 1, 21, 4) for _ in range(3))
    gates = [torch.rand(2, 1, 21) for _ in range(len(variant.contract.inputs) - 3)]
    inputs = {f"in{i}": x for i, x in enumerate((q, k, v, *gates))}
    server = KernelServer(kernel, "meta", memory=None)  # type: ignore[arg-type]
    forward = {"op": "forward", "chunk_size": 8, "grad": True, "echo": False, "count": False, "nonce": "one"}
    told, out = server.answer({**forward, "released": []}, inputs)
    assert "error" not in told
    assert {x.device.type for x in out.values()} == {"meta"}
    assert out["o"].shape == v.shape
    _, found = server.answer({"op": "backward", "call": "one", "released": []}, {"o": torch.rand(v.shape)})
    assert {x.device.type for x in found.values()} == {"meta"}
    assert {name: x.shape for name, x in found.items()} == {name: inputs[name].shape for name in found}


class LiveBytes(TorchDispatchMode):
    """The most bytes of tensors that are alive at once, of those made while this is on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: FunctionType, types: object, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for x in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(x, Tensor):
                self._meet(x.untyped_storage())
        return out

    def _meet(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._let_go, key, size)

    def _let_go(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("task", MAD_TASKS)
def test_the_estimate_of_memory_holds_for_the_live_bytes_of_a_step(task: TaskName, members: int) -> None:
    """In float32, at the published batch: parameters and moments, and the most bytes alive during a step."""
    spec = smallest(task)
    with meta_as_a_device():
        size = {"members": members, "blocks": MAD.blocks, "batch": MAD.tasks[task].batch}
        state = on_meta(spec, data(spec), SEEDS[BASELINE], **size)
        state.draw()
        state.step()
        kept = sum(x.nbytes for own in state.optimiser.state.values() for x in own.values())
        kept += sum(x.nbytes for x in (*state.members.model.parameters(), *state.best))
        with LiveBytes() as live:
            state.step()
    estimate = footprint(state.run.model_copy(update={"device": "cuda"}), members)
    assert estimate / WITHIN < kept + live.most < estimate * WITHIN
