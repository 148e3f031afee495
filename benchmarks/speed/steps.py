"""A training step of the baseline at the five shapes of MAD, ours and the reference's way, and where ours goes."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import reference_way
from benchmarks.speed.timing import interleaved, rates
from evaluator.kernel import Kernel
from evaluator.model.backbones import LanguageModel, build
from evaluator.model.layers import initialise
from evaluator.protocols.built_in import MAD
from evaluator.tasks.examples import IGNORED
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import TASKS, examples
from evaluator.training.jobs import TrainingJob
from evaluator.training.train import training_step
from variants.contract import Layer
from variants.delta_net_4layer import delta_rule_chunkwise

BATCH = 128
STATED: dict[TaskName, float] = {
    "Context Recall": 3.01, "Fuzzy Recall": 3.31, "Selective Copy": 7.39, "Compress": 0.67, "Memorize": 0.74,
}  # fmt: skip
"""CPU-seconds of the reference's step with 8 heads elsewhere, on a thread of 140 to 160 GFLOP/s."""
STATED_RATE = 150.0


class Subject(NamedTuple):
    """One training step at a published setting: ours, in bfloat16, without a kernel, and the reference's."""

    model: LanguageModel
    ours: Callable[[], object]
    half: Callable[[], object]
    layers: Callable[[], object]
    reference: Callable[[], object]
    inputs: Tensor
    targets: Tensor


def subject(task: TaskName, heads: int) -> Subject:
    """The ways to make one step of batch 128 and width 128."""
    setting = TASKS[task].published[0]
    config = MAD.model(setting, Layer.DELTA_NET).model_copy(update={"heads": heads})
    job = TrainingJob(model=config, lr=1e-3, weight_decay=0.0, schedule="constant", steps=9, batch=BATCH, seed=0)
    drawn = examples(setting, "train", BATCH, 0)

    def ours(kernel: Kernel, run: TrainingJob = job) -> tuple[LanguageModel, Callable[[], object]]:
        model = build(config, kernel)
        initialise(model, 0)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        return model, lambda: training_step(model, optimiser, run, 1, drawn.inputs, drawn.targets)

    model, step = ours(delta_rule_chunkwise)
    half = ours(delta_rule_chunkwise, job.model_copy(update={"precision": "bfloat16"}))[1]
    weights = reference_way.parameters(model)
    theirs = torch.optim.AdamW(weights.values(), lr=1e-3)

    def reference() -> None:
        theirs.zero_grad()
        reference_way.loss(model, weights, drawn.inputs, drawn.targets).backward()  # type: ignore[no-untyped-call]
        theirs.step()

    return Subject(model, step, half, ours(_no_mixing)[1], reference, drawn.inputs, drawn.targets)


def _no_mixing(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
    """Stands for a kernel that costs next to nothing, with a gradient for each input."""
    return v + (q + k) * beta[..., None], v


def products(subject: Subject) -> tuple[float, float]:
    """GFLOP of matrix products of one step: of the layers (exactly those that training makes), and of the kernel."""
    config, scored = subject.model.config, int((subject.targets != IGNORED).sum())
    matrices = {n: w.numel() for n, w in subject.model.named_parameters() if w.dim() == 2 and "convolution" not in n}
    tokens = subject.inputs.numel()
    late = sum(size for name, size in matrices.items() if name.startswith(("read_out", "decoder")))
    inner = sum(size for name, size in matrices.items() if name.startswith("layers"))
    shape = (BATCH, config.heads, config.length, config.mixer.key_dim)
    q, k, v = (torch.randn(shape, requires_grad=True) for _ in range(3))
    with FlopCounterMode(display=False) as counter:
        o, _ = delta_rule_chunkwise(q, k, v, torch.rand(shape[:3]), chunk_size=config.chunk_size)
        o.sum().backward()  # type: ignore[no-untyped-call]
    return 6 * (tokens * inner + scored * late) / 1e9, config.blocks * counter.get_total_flops() / 1e9


def steps(rounds: int, heads: list[int]) -> None:
    """A training step of the baseline, ours and the reference's way, at five shapes.

    `stated`: the reference's time elsewhere, against ours on a thread of STATED_RATE, by each of the two rates of this
    one (PyTorch's default, and oneDNN, by which ours trains). `floor`: the matrix products of our step by oneDNN.
    """
    columns = (
        *("reference, CPU-s", "ours, CPU-s", "reference / ours", "stated / ours, by oneDNN", "by default"),
        *("floor, CPU-s", "ours / floor", "GFLOP/s, oneDNN", "default"),
    )
    print(f"| task | heads | {' | '.join(columns)} |")
    print("|---|" + "---:|" * (len(columns) + 1))
    for task, stated in STATED.items():
        for count in heads:
            each = subject(task, count)
            each.ours()
            before = rates()
            found = interleaved({"ours": each.ours, "reference": each.reference, "again": each.ours}, rounds)
            after = rates()
            rate = {name: max(before[name], after[name]) for name in ("oneDNN", "default")}
            ours = min(found["ours"], found["again"])
            floor = sum(products(each)) / rate["oneDNN"]
            against = [f"{stated / (ours * by / STATED_RATE):.1f}" if count == 8 else "" for by in rate.values()]
            cells = [f"{found['reference']:.2f}", f"{ours:.2f}", f"{found['reference'] / ours:.1f}", *against]
            cells += [f"{floor:.2f}", f"{ours / floor:.1f}", *(f"{by:.0f}" for by in rate.values())]
            print(f"| {task} | {count} | {' | '.join(cells)} |", flush=True)
    print()


def profiled(rounds: int, heads: int = 8, rows: int = 18) -> None:
    """Where one step of ours goes on Context Recall: layers against kernel, then operations by PyTorch's profiler."""
    each = subject("Context Recall", heads)
    each.ours()
    each.layers()
    found = interleaved({"ours": each.ours, "layers": each.layers}, rounds + 1)
    rate = rates()["oneDNN"]
    of_layers, of_kernel = (flop / rate for flop in products(each))
    print("| Context Recall, 8 heads | CPU-s | of it products at the rate of oneDNN |\n|---|---:|---:|")
    print(f"| a step | {found['ours']:.3f} | {of_layers + of_kernel:.3f} |")
    print(f"| with a kernel that does nothing | {found['layers']:.3f} | {of_layers:.3f} |")
    print(f"| the difference: the kernel | {found['ours'] - found['layers']:.3f} | {of_kernel:.3f} |\n", flush=True)
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as trace:
        each.ours()
    averages = trace.key_averages()
    total = sum(event.self_cpu_time_total for event in averages)
    print(f"{total / 1e6:.2f} s under the profiler, {sum(event.count for event in averages)} operations\n")
    print("| operation | calls | share |\n|---|---:|---:|")
    for event in sorted(averages, key=lambda e: -e.self_cpu_time_total)[:rows]:
        print(f"| `{event.key}` | {event.count} | {event.self_cpu_time_total / total:.1%} |")
    print(flush=True)
