"""The published Memorize column, run at full size as the reference runs it, on one CPU thread.

    python -m benchmarks.memorize run                      # every kernel that differs there, six vocabularies, one head
    python -m benchmarks.memorize run --heads 8 --name delta_net_4layer
    python -m benchmarks.memorize table
    python -m benchmarks.memorize seeds --name delta_net_4layer --plot docs/results/memorize.svg   # over seeds
    python -m benchmarks.memorize maps                     # the map drawn with replacement against a one-to-one one

As run by mad-lab at 0f49a45: 256 training examples in batches of 128, 200 epochs of AdamW at a constant rate, the
epoch of the lowest *test* perplexity, accuracy as the mean over batches of 128 of the macro recall, a stop at 0.999.
Unlike it: the test set is looked at every ten epochs, and training ends when its perplexity has not fallen for fifty;
one learning rate (1e-3) and no weight decay instead of the grid of six; seeded; one head; two keys may share a value.
Runs are written to `docs/results/memorize.jsonl` as they end, and not run again.
"""

import math
import time
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from scipy.stats import spearmanr
from torch import Tensor

from agent.reports.figures import require_drawable, save
from archive.files import read_lines, write_lines
from archive.tables.leaderboard_csv import PUBLISHED as PUBLISHED_CSV
from archive.tables.leaderboard_csv import read_leaderboard
from benchmarks.mad import kernel_of
from evaluator.model.backbones import LanguageModel, build
from evaluator.model.layers import initialise
from evaluator.protocols.built_in import MAD
from evaluator.tasks.examples import IGNORED, Examples
from evaluator.tasks.registry import TASKS, examples, stream
from evaluator.tasks.task import Setting
from evaluator.values import Value
from variants.contract import BASELINE, CHUNK_SIZE, short_name
from variants.controls import controls
from variants.seeds import seed_variants

RUNS = Path(__file__).parent.parent / "docs/results/memorize.jsonl"
STEPS, LOOK_EVERY, PATIENCE, BATCH, LR, STOP_AT = 400, 20, 5, 128, 1e-3, 0.999

app = typer.Typer(add_completion=False)


class Look(Value):
    """The test set after some steps: mean loss, share of right answers, and macro recall averaged over batches."""

    step: int
    loss: float
    micro: float
    macro: float


class Run(Value):
    """One training run."""

    name: str
    source_hash: str
    vocabulary: int
    heads: int
    seed: int
    precision: str
    looks: tuple[Look, ...]
    cpu_seconds: float

    @property
    def published_accuracy(self) -> float:
        """What the reference reports: macro accuracy at the lowest test perplexity."""
        return min(self.looks, key=lambda look: look.loss).macro


@app.command()
def run(
    name: Annotated[
        list[str] | None,
        typer.Option(help="Seed variants or controls; all seed variants that differ on Memorize if none"),
    ] = None,
    heads: int = 1,
    seed: int = 0,
    vocabulary: Annotated[list[int] | None, typer.Option()] = None,
    precision: str = "bfloat16",
) -> None:
    """Train what is missing."""
    torch.set_num_threads(1)
    settings = [s for s in TASKS["Memorize"].published if vocabulary is None or s.vocabulary in vocabulary]
    variants = {**seed_variants(), **controls()}
    for setting in settings:
        for each in name or list(dict.fromkeys(same_kernel().values())):
            wanted: dict[str, Any] = {
                "name": each,
                "source_hash": variants[each].source_hash,
                "vocabulary": setting.vocabulary,
                "heads": heads,
                "seed": seed,
                "precision": precision,
            }
            if any(wanted.items() <= done.model_dump(exclude={"looks"}).items() for done in read_lines(RUNS, Run)):
                continue
            began = time.process_time()
            looks = train_as_published(each, setting, heads, seed, precision)
            found = Run(**wanted, looks=looks, cpu_seconds=time.process_time() - began)
            write_lines(RUNS, [*read_lines(RUNS, Run), found])
            typer.echo(
                f"{each} V {setting.vocabulary} heads {heads} seed {seed}: {found.published_accuracy:.3f} "
                f"(last {looks[-1].macro:.3f}, step {looks[-1].step}, {found.cpu_seconds:.0f} CPU s)"
            )


def same_kernel() -> dict[str, str]:
    """For each seed variant, the first with the same outputs where there is one chunk: its runs are the variant's."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 1, CHUNK_SIZE, 16, generator=generator) for _ in range(3))
    inputs = {"q": F.normalize(q, dim=-1), "k": F.normalize(k, dim=-1), "v": v}
    inputs["beta"] = torch.rand(2, 1, CHUNK_SIZE, generator=generator)
    inputs["g"] = -torch.rand(2, 1, CHUNK_SIZE, generator=generator)
    outputs: dict[str, Tensor] = {}
    found = {}
    for name, variant in seed_variants().items():
        o, _ = kernel_of(name)[0](*(inputs[each] for each in variant.contract.inputs), chunk_size=CHUNK_SIZE)
        found[name] = next((other for other, seen in outputs.items() if torch.allclose(o, seen, atol=1e-5)), name)
        outputs.setdefault(found[name], o)
    return found


@app.command()
def maps(seed: int = 0, vocabulary: int = 512, steps: int = 120) -> None:
    """Train the baseline with archer's map, in which keys may share a value, and with a one-to-one map."""
    torch.set_num_threads(1)
    setting = next(each for each in TASKS["Memorize"].published if each.vocabulary == vocabulary)
    for title, one_to_one in (("with replacement", False), ("one-to-one", True)):
        last = train_as_published(BASELINE, setting, 1, seed, "bfloat16", steps=steps, one_to_one=one_to_one)[-1]
        typer.echo(f"V {vocabulary}, seed {seed}, {title}: {last.macro:.3f} after {last.step} steps")


def train_as_published(
    name: str,
    setting: Setting,
    heads: int,
    seed: int,
    precision: str,
    *,
    steps: int = STEPS,
    one_to_one: bool = False,
) -> tuple[Look, ...]:
    """Train one model and look at the test set as it goes."""
    kernel, layer = kernel_of(name)
    model = build(MAD.model(setting, layer).model_copy(update={"heads": heads}), kernel)
    initialise(model, seed)
    train = examples(setting, "train", setting.train_examples, seed)
    test = examples(setting, "test", MAD.tasks["Memorize"].test_examples, seed)
    if one_to_one:
        train, test = with_one_to_one_map(train, setting, seed), with_one_to_one_map(test, setting, seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0, fused=True)
    generator = torch.Generator().manual_seed(seed)
    looks: list[Look] = []
    for step in range(1, steps + 1):
        if step % 2:
            order = torch.randperm(len(train.inputs), generator=generator)
        index = order[BATCH * ((step - 1) % 2) :][:BATCH]
        loss, _ = _forward(model, train.inputs[index], train.targets[index], precision)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % LOOK_EVERY == 0:
            looks.append(_look(model, test.inputs, test.targets, step, precision))
            best = min(range(len(looks)), key=lambda number: looks[number].loss)
            overfits = len(looks) - best > PATIENCE
            if overfits or looks[-1].macro >= STOP_AT or not math.isfinite(looks[-1].loss):
                break
    return tuple(looks)


def with_one_to_one_map(drawn: Examples, setting: Setting, seed: int) -> Examples:
    """The same keys, under a map that gives no value to two of them, as the reference's map."""
    content = TASKS[setting.task].content_tokens(setting)
    values = np.arange(content // 2, content)
    value_of = torch.from_numpy(stream(setting, "one-to-one map", seed).permutation(values))
    targets = drawn.targets.clone()
    targets[:, 1::2] = value_of[drawn.inputs[:, ::2]]
    return Examples(drawn.inputs, targets)


def _forward(model: LanguageModel, inputs: Tensor, targets: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    scored = targets != IGNORED
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        logits = model(inputs, scored).float()
    return F.cross_entropy(logits, targets[scored]), logits


@torch.no_grad()
def _look(model: LanguageModel, inputs: Tensor, targets: Tensor, step: int, precision: str) -> Look:
    losses, micro, macro = [], [], []
    for some_inputs, some_targets in zip(torch.split(inputs, BATCH), torch.split(targets, BATCH), strict=True):
        loss, logits = _forward(model, some_inputs, some_targets, precision)
        answers, right = logits.argmax(-1), some_targets[some_targets != IGNORED]
        losses.append(float(loss))
        micro.append(float((answers == right).float().mean()))
        macro.append(macro_recall(answers, right))
    mean = [sum(each) / len(each) for each in (losses, micro, macro)]
    return Look(step=step, loss=mean[0], micro=mean[1], macro=mean[2])


def macro_recall(answers: Tensor, right: Tensor) -> float:
    """Mean recall over the classes that occur or are predicted, both `[n]` int64: the reference's accuracy."""
    size = int(max(answers.max(), right.max())) + 1
    occur = torch.bincount(right, minlength=size)
    hit = torch.bincount(right[answers == right], minlength=size)
    seen = (occur + torch.bincount(answers, minlength=size)) > 0
    return float((hit[seen] / occur[seen].clamp(min=1)).mean())


@app.command()
def table(
    heads: int = 1,
    seed: int = 0,
    vocabulary: Annotated[list[int] | None, typer.Option(help="Only these")] = None,
    precision: str = "bfloat16",
) -> None:
    """Markdown: published against measured, per vocabulary, and the rank correlation over rows measured in full."""
    published = read_leaderboard(PUBLISHED_CSV)["Memorize"]
    found = {
        (each.name, each.vocabulary): each.published_accuracy
        for each in read_lines(RUNS, Run)
        if (each.heads, each.seed, each.precision) == (heads, seed, precision)
    }
    vocabularies = vocabulary or [setting.vocabulary for setting in TASKS["Memorize"].published]
    means: dict[str, float] = {}
    typer.echo("| variant | published | measured | " + " | ".join(f"V {v}" for v in vocabularies) + " | runs of |")
    typer.echo("|---|" + "---:|" * (2 + len(vocabularies)) + "---|")
    for name, trained in sorted(same_kernel().items(), key=lambda pair: -published.get(pair[0], 0)):
        scores = [found.get((trained, v)) for v in vocabularies]
        known = [score for score in scores if score is not None]
        if len(known) == len(scores):
            means[name] = sum(known) / len(known)
        cells = [published.get(name), means.get(name), *scores]
        row = " | ".join("" if cell is None else f"{cell:.3f}" for cell in cells)
        typer.echo(f"| {name} | {row} | {'' if trained == name else trained} |")
    both = [name for name in means if name in published]
    if len(both) > 2:
        one, other = [means[n] for n in both], [float(published[n]) for n in both]
        typer.echo(f"\nSpearman over {len(both)} rows: {spearmanr(one, other).statistic:.2f}")


@app.command()
def seeds(
    name: Annotated[list[str], typer.Option(help="Seed variants or controls, in the order of the rows")],
    precision: Annotated[str | None, typer.Option(help="Only runs of this precision; else the first of a seed")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw accuracy over V to this file")] = None,
) -> None:
    """Markdown: each vocabulary's mean over seeds, and each seed's mean over vocabularies; one head."""
    if plot is not None:
        require_drawable(plot)
    vocabularies, runs = [setting.vocabulary for setting in TASKS["Memorize"].published], read_lines(RUNS, Run)
    typer.echo("| variant | mean | by seed | " + " | ".join(f"V {v}" for v in vocabularies) + " |")
    typer.echo("|---|---:|---|" + "---:|" * len(vocabularies))
    lines: dict[str, list[list[float]]] = {}
    for each in name:
        found: dict[tuple[int, int], float] = {}
        for run in runs:
            if (run.name, run.heads) == (each, 1) and precision in (None, run.precision):
                found.setdefault((run.seed, run.vocabulary), run.published_accuracy)
        every = sorted({seed for seed, _ in found})
        whole = [seed for seed in every if all((seed, v) in found for v in vocabularies)]
        means = [sum(found[seed, v] for v in vocabularies) / len(vocabularies) for seed in whole]
        lines[each] = [[found[seed, v] for seed in every if (seed, v) in found] for v in vocabularies]
        cells = [f"{sum(line) / len(line):.3f}" if line else "" for line in lines[each]]
        mean = f"{sum(means) / len(means):.3f}" if means else ""
        typer.echo(f"| `{each}` | {mean} | {', '.join(f'{m:.3f}' for m in means)} | {' | '.join(cells)} |")
    if plot is not None:
        draw(vocabularies, lines, plot)


def draw(vocabularies: Sequence[int], lines: Mapping[str, Sequence[Sequence[float]]], path: Path) -> None:
    """Accuracy over the vocabulary: a line through the means of the seeds, and a band from the least to the best."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for style, (name, seeds) in zip(cycle(["-", "--", ":", "-."]), lines.items(), strict=False):
        at = [vocabulary for vocabulary, found in zip(vocabularies, seeds, strict=True) if found]
        scored = [found for found in seeds if found]
        means = [sum(found) / len(found) for found in scored]
        (line,) = axes.plot(at, means, style, marker="o", label=short_name(name))
        axes.fill_between(at, [min(found) for found in scored], [max(found) for found in scored],
                          color=line.get_color(), alpha=0.15)  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(vocabularies, [str(vocabulary) for vocabulary in vocabularies])
    axes.set_xlabel("vocabulary")
    axes.set_ylabel("accuracy on Memorize, as published")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    save(figure, path)


if __name__ == "__main__":
    app()
