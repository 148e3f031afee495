"""What training and data cost, in CPU-seconds on one thread, beside the rate of matrix products in the same run.

    python -m benchmarks.speed                 # everything: about ten minutes
    python -m benchmarks.speed steps --rounds 2 --heads 1
    python -m benchmarks.speed profile | data | members | ends

Prints Markdown. Ways that are compared take turns within one process, and the least time of each counts: what a busy
machine adds falls on all of them.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import reference_way
from evaluator import ensemble
from evaluator.jobs import EnsembleJob, TrainingJob
from evaluator.mad.backbones import LanguageModel, build
from evaluator.mad.layers import initialise
from evaluator.mad.linear import linear
from evaluator.mad.settings import PUBLISHED
from evaluator.mad.tasks import examples
from evaluator.plan import Protocol, trial_specs
from evaluator.protocol import MAD, QUICK
from evaluator.training import train, training_step
from variants.contract import TASKS, Layer, Task
from variants.delta_net_4layer import delta_rule_chunkwise

BATCH = 128
STATED = {"Context Recall": 3.01, "Fuzzy Recall": 3.31, "Selective Copy": 7.39, "Compress": 0.67, "Memorize": 0.74}
"""CPU-seconds of the reference's step with 8 heads elsewhere, on a thread of 140 to 160 GFLOP/s."""
STATED_RATE = 150.0


def interleaved(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least CPU-seconds of each way over rounds in which they take turns."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.process_time()
            way()
            best[name] = min(best[name], time.process_time() - began)
    return best


def rates(rounds: int = 5) -> dict[str, float]:
    """GFLOP/s of a float32 product of 1024 x 1024 matrices by PyTorch's default library, and as training makes it."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    with torch.no_grad():
        found = interleaved({"default": lambda: a @ b, "oneDNN": lambda: linear(a, b)}, rounds)
    return {name: 2 * 1024**3 / seconds / 1e9 for name, seconds in found.items()}


class Subject(NamedTuple):
    """One training step at a published baseline setting, ours and the reference's."""

    model: LanguageModel
    ours: Callable[[], object]
    reference: Callable[[], object]
    inputs: Tensor
    targets: Tensor


def subject(task: Task, heads: int) -> Subject:
    """The two ways to make one step of batch 128 and width 128."""
    setting = PUBLISHED[task][0]
    config = MAD.model(setting, Layer.DELTA_NET).model_copy(update={"heads": heads})
    job = TrainingJob(model=config, lr=1e-3, weight_decay=0.0, schedule="constant", steps=9, batch=BATCH, seed=0)
    model = build(config, delta_rule_chunkwise)
    initialise(model, 0)
    drawn = examples(setting, "train", BATCH, 0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    weights = reference_way.parameters(model)
    theirs = torch.optim.AdamW(weights.values(), lr=1e-3)

    def reference() -> None:
        theirs.zero_grad()
        reference_way.loss(model, weights, drawn.inputs, drawn.targets).backward()  # type: ignore[no-untyped-call]
        theirs.step()

    return Subject(
        model,
        lambda: training_step(model, optimiser, job, 1, drawn.inputs, drawn.targets),
        reference,
        drawn.inputs,
        drawn.targets,
    )


def products(subject: Subject) -> tuple[float, float]:
    """GFLOP of matrix products of one step: of the layers (exactly those that training makes), and of the kernel."""
    config, scored = subject.model.config, int((subject.targets >= 0).sum())
    matrices = {n: w.numel() for n, w in subject.model.named_parameters() if w.dim() == 2 and "convolution" not in n}
    tokens = subject.inputs.numel()
    late = sum(size for name, size in matrices.items() if name.startswith(("read_out", "decoder")))
    inner = sum(size for name, size in matrices.items() if name.startswith("layers"))
    shape = (BATCH, config.heads, config.length, config.head_dim)
    q, k, v = (torch.randn(shape, requires_grad=True) for _ in range(3))
    with FlopCounterMode(display=False) as counter:
        o, _ = delta_rule_chunkwise(q, k, v, torch.rand(shape[:3]), chunk_size=config.chunk_size)
        o.sum().backward()  # type: ignore[no-untyped-call]
    return 6 * (tokens * inner + scored * late) / 1e9, config.blocks * counter.get_total_flops() / 1e9


def steps(rounds: int, heads: list[int]) -> None:
    """A training step of the baseline, ours and the reference's way, at five shapes.

    `stated`: the reference's time elsewhere, against ours on a thread of STATED_RATE. `floor`: the matrix products of
    our step at the faster of the measured rates.
    """
    columns = ("reference, CPU-s", "ours, CPU-s", "reference / ours", "stated / ours", "floor, CPU-s", "ours / floor")
    print(f"| task | heads | {' | '.join(columns)} |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for task, stated in STATED.items():
        for count in heads:
            each = subject(task, count)  # type: ignore[arg-type]
            each.ours()
            rate = rates()
            found = interleaved({"ours": each.ours, "reference": each.reference, "again": each.ours}, rounds)
            ours = min(found["ours"], found["again"])
            floor = sum(products(each)) / rate["oneDNN"]
            against = f"{stated / (ours * rate['oneDNN'] / STATED_RATE):.1f}" if count == 8 else ""
            row = f"| {task} | {count} | {found['reference']:.2f} | {ours:.2f} | {found['reference'] / ours:.1f} |"
            print(f"{row} {against} | {floor:.2f} | {ours / floor:.1f} |", flush=True)
    print(f"\nMatrix products: {rate['default']:.0f} GFLOP/s by default, {rate['oneDNN']:.0f} by oneDNN.\n")


def profiled(heads: int = 8, rows: int = 16) -> None:
    """Where one step of ours goes on Context Recall, by PyTorch's profiler."""
    each = subject("Context Recall", heads)
    each.ours()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        each.ours()
    total = sum(event.self_cpu_time_total for event in found.key_averages())
    print(f"Context Recall, {heads} heads, {total / 1e6:.2f} s under the profiler\n")
    print("| operation | calls | share |\n|---|---:|---:|")
    for event in sorted(found.key_averages(), key=lambda e: -e.self_cpu_time_total)[:rows]:
        print(f"| `{event.key}` | {event.count} | {event.self_cpu_time_total / total:.1%} |")
    print()


def data(count: int = 12_800) -> None:
    """CPU-seconds to draw examples of the 66 published settings: each task's slowest, and what `quick` draws."""
    print("| task | slowest of its settings | train, CPU-s | of quick's setting |\n|---|---|---:|---:|")
    for task in TASKS:
        found = {}
        for setting in PUBLISHED[task]:
            began = time.process_time()
            examples(setting, "train", count, 0)
            found[setting.id] = time.process_time() - began
        worst = max(found, key=lambda name: found[name])
        spec = trial_specs(QUICK, [task], [0])[0]
        began = time.process_time()
        QUICK.training_data(spec)
        print(f"| {task} | {worst} | {found[worst]:.2f} | {time.process_time() - began:.2f} |", flush=True)
    print()


def ends(protocol: Protocol = MAD, lr: float = 1e-3) -> None:
    """The step at which a run of `mad` stops since the held-out examples are mastered."""
    spec = next(each for each in trial_specs(protocol, ["Memorize"]) if each.lr == lr)
    job = protocol.job(spec, Layer.DELTA_NET)
    reports: list[int] = []
    began = time.process_time()
    asked = job.model_dump(mode="json")
    train(asked, protocol.training_data(spec), delta_rule_chunkwise, lambda told: reports.append(told["step"]))
    seconds = time.process_time() - began
    print(f"Memorize {spec.setting}, lr {lr:g}: ends at step {reports[-1]} of {job.steps}, {seconds:.0f} CPU-s\n")


def members(rounds: int, steps: int = 8) -> None:
    """CPU-seconds of a step and member, trained as one and apart, at the shapes of `quick`."""
    print("| task | members | apart, ms | as one, ms | apart / as one |\n|---|---:|---:|---:|---:|")
    for task in ("Memorize", "Context Recall"):
        for count in (3, 6):
            specs = trial_specs(QUICK, [task], range(count))  # type: ignore[list-item]
            jobs = [QUICK.job(spec, Layer.DELTA_NET).model_copy(update={"steps": steps, "warmup": 0}) for spec in specs]
            together = EnsembleJob(members=tuple(jobs), data=tuple(range(count))).model_dump(mode="json")
            sets = [QUICK.training_data(spec) for spec in specs]
            data = {f"{n}/{name}": tensor for n, each in enumerate(sets) for name, tensor in each.items()}
            asked = [(job.model_dump(mode="json"), own) for job, own in zip(jobs, sets, strict=True)]
            ways: dict[str, Callable[[], object]] = {
                "apart": partial(_apart, asked),
                "one": partial(ensemble.train, together, data, delta_rule_chunkwise, lambda _: None),
            }
            found = {name: 1e3 * each / steps / count for name, each in interleaved(ways, rounds + 1).items()}
            ratio = found["apart"] / found["one"]
            print(f"| {task} | {count} | {found['apart']:.1f} | {found['one']:.1f} | {ratio:.2f} |", flush=True)
    print()


def _apart(asked: list[tuple[dict[str, object], dict[str, Tensor]]]) -> None:
    for job, data in asked:
        train(job, data, delta_rule_chunkwise, lambda _: None)


def main() -> None:
    """Run the sections that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "section", nargs="?", choices=["all", "steps", "profile", "data", "members", "ends"], default="all"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--heads", type=int, nargs="+", default=[8, 1])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    sections: dict[str, Callable[[], None]] = {
        "steps": lambda: steps(asked.rounds, asked.heads),
        "profile": profiled,
        "data": data,
        "members": lambda: members(asked.rounds),
        "ends": ends,
    }
    for name, section in sections.items():
        if asked.section in (name, "all"):
            print(f"## {name}\n")
            section()


if __name__ == "__main__":
    main()
