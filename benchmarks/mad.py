"""What the tasks cost and say here, for seed variants, in this process and without a sandbox: they are part of archer.

    python -m benchmarks.mad examples
    python -m benchmarks.mad accuracy quick delta_net_4layer gated_delta_net_4layer --seeds 3
    python -m benchmarks.mad steps quick
    python -m benchmarks.mad trial "Noisy Recall" gated_delta_net_4layer --vocabulary 32 --steps 280 --chunk-size 16
    python -m benchmarks.mad trial MQAR delta_net_4layer --option pairs=16 --steps 200

Seconds are CPU-seconds of this process, on one thread.
"""

import importlib
import time
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated, TypeVar

import torch
import typer

from evaluator.kernel import Kernel
from evaluator.outcomes import Failure
from evaluator.protocols.built_in import EXTRA, PROTOCOLS, QUICK
from evaluator.protocols.protocol import Protocol, TrialSpec, trial_specs
from evaluator.scoring.score import ScoredTrial, score
from evaluator.tasks.registry import MAD_TASKS, TASKS
from evaluator.tasks.registry import examples as draw
from evaluator.training.train import train
from evaluator.values import Value
from variants.contract import BASELINE, Layer
from variants.controls import controls
from variants.seeds import seeds

app = typer.Typer(add_completion=False)
Model = TypeVar("Model", bound=Value)


@dataclass(frozen=True)
class Run:
    """One trial's outcome and its cost."""

    outcome: ScoredTrial | Failure
    training_seconds: float
    scoring_seconds: float


def kernel_of(name: str) -> tuple[Kernel, Layer]:
    """The kernel of a seed variant or a control, and the mixer that it belongs to."""
    if name in controls():
        package, variant = "variants.controls", controls()[name]
    else:
        seed = seeds()[name]
        package, variant = "variants.found" if seed.origin == "found" else "variants", seed.variant
    kernel: Kernel = getattr(importlib.import_module(f"{package}.{name}"), variant.contract.function)
    return kernel, variant.layer


def run(protocol: Protocol, spec: TrialSpec, name: str) -> Run:
    """Train and score one trial."""
    kernel, layer = kernel_of(name)
    job = protocol.job(spec, layer)
    start = time.process_time()
    weights = train(job.model_dump(mode="json"), protocol.training_data(spec), kernel, lambda _: None)
    trained = time.process_time()
    outcome = score(weights, job, protocol, spec, kernel)
    return Run(outcome, trained - start, time.process_time() - trained)


@app.command()
def accuracy(protocol: str, names: list[str], seeds: int = 3, first_seed: int = 0, only: str = "") -> None:
    """Accuracy of each task (whose name contains `only`) for each seed, and the seconds."""
    torch.set_num_threads(1)
    chosen = PROTOCOLS[protocol]
    typer.echo(f"{chosen.name} {chosen.hash}")
    for name in names:
        total = 0.0
        for task in (task for task in chosen.tasks if only in task):
            specs = trial_specs(chosen, [task], range(first_seed, first_seed + seeds))
            runs = [run(chosen, spec, name) for spec in specs]
            total += sum(each.training_seconds + each.scoring_seconds for each in runs)
            found = [each.outcome.accuracy for each in runs if isinstance(each.outcome, ScoredTrial)]
            failures = [each.outcome.message for each in runs if isinstance(each.outcome, Failure)]
            mean = f"{fmean(found):.3f}" if found else "  -  "
            typer.echo(f"{name:76} {task:15} {mean}  {' '.join([f'{a:.3f}' for a in found] + failures)}")
        typer.echo(f"{name:76} {total:.0f} s")


@app.command()
def trial(
    task: str,
    name: str,
    vocabulary: int | None = None,
    length: int | None = None,
    noise: float | None = None,
    copies: int | None = None,
    steps: int | None = None,
    lr: float | None = None,
    weight_decay: float | None = None,
    batch: int | None = None,
    chunk_size: int | None = None,
    option: Annotated[list[str] | None, typer.Option(help="NAME=NUMBER, of a setting that has options")] = None,
    seed: int = 0,
) -> None:
    """One trial of quick or extra with some choices of the task's first setting changed: how they were found."""
    torch.set_num_threads(1)
    protocol = next(each for each in (QUICK, EXTRA) if task in each.tasks)
    plan = protocol.tasks[task]
    first = plan.settings[0]
    options = dict(first.options) | {name: int(number) for name, _, number in (o.partition("=") for o in option or ())}
    changes = {"vocabulary": vocabulary, "length": length, "noise": noise, "copies": copies}
    setting = _changed(first, options=tuple(options.items()), **changes)
    grid = {"lr": lr and (lr,), "weight_decay": None if weight_decay is None else (weight_decay,)}
    plan = _changed(plan, settings=(setting,), steps=steps, batch=batch, chunk_size=chunk_size, **grid)
    chosen = _changed(protocol, name="trial", tasks={task: plan})
    each = run(chosen, trial_specs(chosen, seeds=[seed])[0], name)
    found = each.outcome.message if isinstance(each.outcome, Failure) else f"{each.outcome.accuracy:.3f}"
    typer.echo(f"{found}  training {each.training_seconds:.1f} s, scoring {each.scoring_seconds:.1f} s")


def _changed(value: Model, **changes: object) -> Model:
    given = {name: change for name, change in changes.items() if change is not None}
    return type(value).model_validate({**dict(value), **given})


@app.command()
def examples(count: int = 12_800) -> None:
    """Seconds to generate training and test examples of each of the 66 settings."""
    for task in MAD_TASKS:
        for setting in TASKS[task].published:
            start = time.process_time()
            draw(setting, "train", count, 0)
            middle = time.process_time()
            draw(setting, "test", count, 0)
            end = time.process_time()
            typer.echo(f"{task:15} {setting.id:28} train {middle - start:5.2f} s  test {end - middle:5.2f} s")


@app.command()
def steps(protocol: str, name: str = BASELINE) -> None:
    """Milliseconds a training step in each task, generation included, and the share of a trial that scoring takes."""
    torch.set_num_threads(1)
    chosen = PROTOCOLS[protocol]
    run(chosen, trial_specs(chosen)[0], name)
    for spec in trial_specs(chosen, seeds=[0]):
        each, total = run(chosen, spec, name), chosen.tasks[spec.task].steps_of(chosen.setting(spec))
        share = each.scoring_seconds / (each.training_seconds + each.scoring_seconds)
        typer.echo(f"{spec.task:15} {total} steps of {1e3 * each.training_seconds / total:.1f} ms, scoring {share:.0%}")


if __name__ == "__main__":
    app()
