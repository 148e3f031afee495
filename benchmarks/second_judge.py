"""A second judge: a kernel inside a model that shares no line with archer's, and what it scores there.

    python -m benchmarks.second_judge run Memorize delta_net_4layer --seed 0 --seed 1
    python -m benchmarks.second_judge run Memorize gated_delta_net_4layer --heads 6 --key 256 --value 512 --decay 16
    python -m benchmarks.second_judge table
    python -m benchmarks.second_judge memories      # what a gated layer's decay starts with, against the accuracy

The model is written from the papers (arXiv 2403.17844, 2406.06484, 2412.06464) with the modules of torch.nn, their own
initialisation and autograd; of the evaluator it takes the examples, and the steps, rates and batches of a protocol's
plan. It trains on the whole sequence and reads its accuracy off the whole test sequence: nobody checks whether a kernel
looks ahead, and no sandbox is around it. Kernels are those of archer's own files.

A find that rests on a quirk of archer's layers, of its initialisation, of its scoring or of its training loop would
fail here. Runs are written to `docs/results/second_judge.jsonl` as they end, and not run again.
"""

import math
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from scipy.stats import spearmanr
from torch import Tensor, nn

from archive.files import read_lines, write_lines
from archive.names import find_name
from benchmarks.mad import kernel_of
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.protocols.protocol import Protocol
from evaluator.tasks.examples import IGNORED
from evaluator.tasks.registry import TASKS, examples
from evaluator.tasks.task import Setting
from evaluator.values import Value
from variants.contract import Layer, short_name
from variants.seeds import seed_variants

RUNS = Path(__file__).parent.parent / "docs/results/second_judge.jsonl"
LOOKS = 20
BATCH_IN_TEST = 64
FEWEST = 10
"""Runs of a setting below which a rank correlation is not told."""

app = typer.Typer(add_completion=False)


class Shape(Value):
    """A mixer's shape: heads, each with keys of `key` and values of `value` numbers.

    decay: A of the gated layer is drawn between 0 and this; 0 starts it at `a`. open_gate: its output gate has a bias
    that starts it open.
    """

    heads: int
    key: int
    value: int
    decay: float = 0.0
    open_gate: bool = True
    a: float = 1.0

    @property
    def sizes(self) -> str:
        """In words: heads x key, value."""
        return f"{self.heads} x {self.key}, {self.value}"

    @property
    def start(self) -> tuple[str, str]:
        """In words: A, and the output gate."""
        return f"up to {self.decay:g}" if self.decay else f"{self.a:g}", "open" if self.open_gate else "plain"


class Mixer(nn.Module):
    """`[B, L, W]` -> the same: projections, causal convolutions, unit q and k, the kernel, norm, gate, projection."""

    def __init__(self, width: int, shape: Shape, kernel: Callable[..., Any], gated: bool, chunk_size: int):
        super().__init__()
        self.shape, self.kernel, self.chunk_size = shape, kernel, chunk_size
        keys, values = shape.heads * shape.key, shape.heads * shape.value
        self.projections = nn.ModuleList(nn.Linear(width, size, bias=False) for size in (keys, keys, values))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size, size, 4, groups=size, padding=3, bias=False) for size in (keys, keys, values)
        )
        self.rate = nn.Linear(width, shape.heads, bias=False)
        self.norm = nn.RMSNorm(shape.value, eps=1e-5)
        self.out = nn.Linear(values, width, bias=False)
        self.gate: nn.Linear | None = None
        if gated:
            self.gate = nn.Linear(width, values, bias=shape.open_gate)
            if shape.open_gate:
                nn.init.ones_(self.gate.bias)
            self.decay = nn.Linear(width, shape.heads, bias=False)
            a = torch.rand(shape.heads) * shape.decay if shape.decay else torch.full((shape.heads,), shape.a)
            self.log_a = nn.Parameter(a.clamp_min(1e-4).log())
            dt = torch.exp(torch.empty(shape.heads).uniform_(math.log(1e-3), math.log(1e-1)))
            self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))

    def forward(self, x: Tensor) -> Tensor:
        """Mix along L."""
        length = x.shape[1]
        parts = []
        for projection, convolution in zip(self.projections, self.convolutions, strict=True):
            mixed = F.silu(convolution(projection(x).transpose(1, 2))[..., :length].transpose(1, 2))
            parts.append(mixed.unflatten(-1, (self.shape.heads, -1)).transpose(1, 2))
        q, k, v = F.normalize(parts[0], dim=-1), F.normalize(parts[1], dim=-1), parts[2]
        inputs = [q, k, v, torch.sigmoid(self.rate(x)).transpose(1, 2)]
        if self.gate is not None:
            inputs.append((-self.log_a.exp() * F.softplus(self.decay(x) + self.dt_bias)).transpose(1, 2))
        o, _ = self.kernel(*(each.contiguous() for each in inputs), chunk_size=self.chunk_size)
        mixed = self.norm(o.transpose(1, 2)).flatten(2)
        out: Tensor = self.out(mixed if self.gate is None else mixed * F.silu(self.gate(x)))
        return out


class FeedForward(nn.Module):
    """SwiGLU without biases (arXiv 2002.05202)."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.gate, self.value = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to the last dimension."""
        out: Tensor = self.out(F.silu(self.gate(x)) * self.value(x))
        return out


class Judge(nn.Module):
    """Tokens `[B, L]` -> logits `[B, L, V]`: embedding, pre-norm residual layers, norm, read-out."""

    def __init__(self, vocabulary: int, width: int, inner: int, blocks: int, mixer: Callable[[], Mixer]):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=0.02)  # the published model's; torch's own would be 1
        self.layers = nn.ModuleList(layer for _ in range(blocks) for layer in (mixer(), FeedForward(width, inner)))
        self.norms = nn.ModuleList(nn.RMSNorm(width, eps=1e-5) for _ in range(2 * blocks + 1))
        self.read_out = nn.Linear(width, vocabulary)
        nn.init.zeros_(self.read_out.bias)

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens `[B, L]` -> hidden states `[B, L, W]`."""
        hidden: Tensor = self.embedding(tokens)
        for norm, layer in zip(self.norms[:-1], self.layers, strict=True):
            hidden = hidden + layer(norm(hidden))
        return hidden

    def forward(self, tokens: Tensor) -> Tensor:
        """Apply."""
        logits: Tensor = self.read_out(self.norms[-1](self.encode(tokens)))
        return logits


class AutoEncoder(Judge):
    """Tokens `[B, L]` -> logits `[B, L, V]`, all of them from the hidden state of the last position alone.

    A sinusoid of each position is added to that state (arXiv 1706.03762) and two layers without residuals decode it.
    """

    positions: Tensor

    def __init__(self, length: int, vocabulary: int, width: int, inner: int, blocks: int, mixer: Callable[[], Mixer]):
        super().__init__(vocabulary, width, inner, blocks, mixer)
        self.decoder = nn.Sequential(
            *(nn.RMSNorm(width, eps=1e-5), nn.Linear(width, width, bias=False), nn.GELU()),
            *(nn.RMSNorm(width, eps=1e-5), nn.Linear(width, width, bias=False), nn.GELU()),
        )
        angles = torch.arange(length)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
        self.register_buffer("positions", torch.cat([angles.sin(), angles.cos()], dim=1))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)  # the published autoencoder's

    def forward(self, tokens: Tensor) -> Tensor:
        """Apply."""
        restored = self.decoder(self.encode(tokens)[:, -1:] + self.positions)
        logits: Tensor = self.read_out(self.norms[-1](restored))
        return logits


class Look(Value):
    """The test set after some steps: mean loss, and the share of right answers."""

    step: int
    loss: float
    accuracy: float


class Run(Value):
    """One training run of a kernel in the judge's model, at a protocol's plan."""

    name: str
    source_hash: str
    protocol_hash: str
    protocol: str
    task: str
    setting: str
    shape: Shape
    lr: float
    seed: int
    looks: tuple[Look, ...]
    parameters: int
    cpu_seconds: float

    @property
    def gated(self) -> bool:
        """Whether the kernel has a decay, and its layer an output gate."""
        return seed_variants()[self.name].layer is not Layer.DELTA_NET

    @property
    def trained_on(self) -> str:
        """In words: task, protocol and setting."""
        return f"{self.task} {self.protocol} {self.setting}"


def judge_of(protocol: Protocol, setting: Setting, name: str, shape: Shape, seed: int) -> Judge:
    """The model of a run before its training."""
    (kernel, layer), chunk_size = kernel_of(name), protocol.tasks[setting.task].chunk_size

    def mixer() -> Mixer:
        return Mixer(protocol.width, shape, kernel, layer is not Layer.DELTA_NET, chunk_size)

    torch.manual_seed(seed)
    sizes = setting.vocabulary, protocol.width, protocol.inner, protocol.blocks
    if TASKS[setting.task].backbone == "autoencoder":
        return AutoEncoder(setting.length, *sizes, mixer)
    return Judge(*sizes, mixer)


def train(protocol: Protocol, setting: Setting, name: str, shape: Shape, lr: float, seed: int) -> Run:
    """One run. Looks at the test set as it goes, and chooses nothing by it."""
    began, plan = time.process_time(), protocol.tasks[setting.task]
    model = judge_of(protocol, setting, name, shape, seed)
    drawn, test = (
        examples(setting, "train", setting.train_examples, seed),
        examples(setting, "test", plan.test_examples, seed),
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, betas=protocol.betas, weight_decay=plan.weight_decay[0])
    steps = plan.steps_of(setting)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _share(protocol, step, steps))
    looks: list[Look] = []
    order = torch.empty(0, dtype=torch.int64)
    for step in range(1, steps + 1):
        if not len(order):
            order = torch.randperm(len(drawn.inputs))
        batch, order = order[: plan.batch], order[plan.batch :]
        loss = _loss(model(drawn.inputs[batch]), drawn.targets[batch])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % max(1, steps // LOOKS) == 0 or step == steps:
            looks.append(_look(model, step, test.inputs, test.targets))
    return Run(
        name=name,
        source_hash=seed_variants()[name].source_hash,
        protocol=protocol.name,
        protocol_hash=protocol.hash,
        task=setting.task,
        setting=setting.id,
        shape=shape,
        lr=lr,
        seed=seed,
        looks=tuple(looks),
        parameters=sum(weight.numel() for weight in model.parameters()),
        cpu_seconds=time.process_time() - began,
    )


def _share(protocol: Protocol, step: int, steps: int) -> float:
    """The share of the learning rate at a step: a linear rise, then a cosine to 0 where the protocol has one."""
    rise = round(protocol.warmup * steps)
    if step < rise:
        return (step + 1) / rise
    if protocol.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)


@torch.no_grad()
def _look(model: Judge, step: int, inputs: Tensor, targets: Tensor) -> Look:
    losses, right, asked = 0.0, 0, 0
    for some, wanted in zip(inputs.split(BATCH_IN_TEST), targets.split(BATCH_IN_TEST), strict=True):
        logits, scored = model(some), wanted != IGNORED
        losses += float(_loss(logits, wanted)) * int(scored.sum())
        right += int((logits.argmax(-1)[scored] == wanted[scored]).sum())
        asked += int(scored.sum())
    return Look(step=step, loss=losses / asked, accuracy=right / asked)


@app.command()
def run(
    task: str,
    name: list[str],
    protocol: str = "quick",
    vocabulary: Annotated[int | None, typer.Option(help="Of the protocol's settings, the one with this")] = None,
    lr: Annotated[float | None, typer.Option(help="Instead of the largest of the plan")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="0 if none")] = None,
    heads: int = 1,
    key: Annotated[
        int | None, typer.Option(help="Numbers in a key of a head; the width over the heads if none")
    ] = None,
    value: Annotated[int | None, typer.Option(help="Numbers in a value of a head; as many as in a key if none")] = None,
    decay: Annotated[float, typer.Option(help="A of a gated layer is drawn up to this; 0: it is as --a says")] = 0.0,
    a: Annotated[float, typer.Option(help="A of a gated layer where it is not drawn")] = 1.0,
    open_gate: Annotated[bool, typer.Option(help="Whether a bias starts the output gate open")] = True,
) -> None:
    """Train what is missing, and say what each run came to."""
    torch.set_num_threads(1)
    chosen = PROTOCOLS[protocol]
    if task not in chosen.tasks:
        raise typer.BadParameter(f"not {task}: {protocol} has {', '.join(chosen.tasks)}", param_hint="TASK")
    plan = chosen.tasks[task]
    setting = next(each for each in plan.settings if vocabulary in (None, each.vocabulary))
    keys = key or chosen.width // heads
    shape = Shape(heads=heads, key=keys, value=value or keys, decay=decay, open_gate=open_gate, a=a)
    rate = lr or max(plan.lr)
    names = [find_name(each, seed_variants()) or each for each in name]
    if unknown := set(names) - seed_variants().keys():
        raise typer.BadParameter(f"there is no variant {', '.join(sorted(unknown))}", param_hint="NAME")
    for each in names:
        for number in seed or [0]:
            wanted = (seed_variants()[each].source_hash, chosen.hash, setting.id, task, shape, rate, number)
            if any(wanted == _asked(done) for done in read_lines(RUNS, Run)):
                continue
            found = train(chosen, setting, each, shape, rate, number)
            write_lines(RUNS, [*read_lines(RUNS, Run), found])
            typer.echo(
                f"{each} {task} {setting.id} seed {number} {shape}: {found.looks[-1].accuracy:.3f} "
                f"({found.parameters:,} parameters, {found.cpu_seconds:.0f} CPU s)"
            )


def _asked(run: Run) -> tuple[object, ...]:
    return run.source_hash, run.protocol_hash, run.setting, run.task, run.shape, run.lr, run.seed


@app.command()
def table() -> None:
    """Markdown: each kernel, setting and shape in a row, with the accuracy of each seed at the end of its training."""
    typer.echo("| kernel | task | setting | heads x key, value | A, gate | parameters | accuracy by seed | mean |")
    typer.echo("|---|---|---|---|---|---:|---|---:|")
    rows: dict[tuple[str, ...], list[Run]] = {}
    for each in read_lines(RUNS, Run):
        shape = each.shape
        starts = ", ".join(shape.start) if each.gated else ""
        key = short_name(each.name), each.task, f"{each.protocol} {each.setting}", shape.sizes, starts
        rows.setdefault((*key, f"{each.parameters:,}"), []).append(each)
    for row, runs in sorted(rows.items(), key=lambda pair: (pair[0][1:3], pair[0])):
        found = [run.looks[-1].accuracy for run in sorted(runs, key=lambda run: run.seed)]
        typer.echo(f"| {' | '.join(row)} | {' '.join(f'{one:.3f}' for one in found)} | {fmean(found):.3f} |")


@app.command()
def memories() -> None:
    """Markdown: the memory that each gated layer of a run started with, and the accuracy; what the runs say of it.

    A memory is 1 / (A softplus(dt)) tokens: after so many a layer keeps 1/e of its state. Runs of one head.
    """
    found = [(started_with(run), run) for run in read_lines(RUNS, Run) if run.shape.heads == 1 and run.gated]
    typer.echo("| setting | key, value | A | gate | seed | memory of each layer at the start, tokens | accuracy |")
    typer.echo("|---|---|---|---|---:|---|---:|")
    found.sort(key=lambda each: (each[1].trained_on, min(each[0])))
    for starts, run in found:
        told, sizes = ", ".join(f"{start:.1f}" for start in starts), run.shape.sizes.removeprefix("1 x ")
        row = (run.trained_on, sizes, *run.shape.start, run.seed, told, f"{run.looks[-1].accuracy:.3f}")
        typer.echo("| " + " | ".join(map(str, row)) + " |")
    for trained_on, own in groupby(found, key=lambda each: each[1].trained_on):
        shortest, accuracies = zip(*((min(starts), run.looks[-1].accuracy) for starts, run in own), strict=True)
        if len(shortest) >= FEWEST:
            rho, runs = spearmanr(shortest, accuracies).statistic, len(shortest)
            typer.echo(f"\n{trained_on}: the shorter of the two against the accuracy, Spearman {rho:.2f}, {runs} runs")


def started_with(run: Run) -> list[float]:
    """Tokens of memory of each layer of a gated run, as its seed draws them."""
    protocol = PROTOCOLS[run.protocol]
    setting = next(each for each in protocol.tasks[run.task].settings if each.id == run.setting)
    judge = judge_of(protocol, setting, run.name, run.shape, run.seed)
    mixers = [module for module in judge.modules() if isinstance(module, Mixer)]
    return [float(1 / (each.log_a.exp() * F.softplus(each.dt_bias)).detach().mean()) for each in mixers]


if __name__ == "__main__":
    app()
