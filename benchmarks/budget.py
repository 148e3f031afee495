"""How the agreement of `quick` with the published table depends on what a variant may cost.

    python -m benchmarks.budget run --share 0.5 --share 2
    python -m benchmarks.budget run --share 1 --seed 3
    python -m benchmarks.budget table

Trains the published rows with a share of each task's steps, in this process and without a sandbox: they are part of
archer. Runs go to `docs/results/budget.jsonl` as they end, and are not run again. The table has a row for each number
of seeds; of all steps the shipped trials are the first three.
"""

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer

from archive.files import read_lines, write_lines
from archive.seeding import shipped_by_variant
from archive.tables.leaderboard_csv import PUBLISHED, read_leaderboard
from benchmarks.agreement import spearman
from benchmarks.mad import run as run_trial
from evaluator.protocols.built_in import QUICK
from evaluator.protocols.protocol import Protocol, trial_specs
from evaluator.scoring.score import ScoredTrial
from evaluator.tasks.registry import MAD_TASKS
from evaluator.values import Value
from variants.contract import BASELINE
from variants.seeds import seed_variants

RUNS = Path(__file__).parent.parent / "docs/results/budget.jsonl"

app = typer.Typer(add_completion=False)


class Run(Value):
    """One trial with a share of the steps; accuracy 0 where it failed."""

    protocol_hash: str
    share: float
    name: str
    source_hash: str
    task: str
    seed: int
    accuracy: float
    cpu_seconds: float


@app.command()
def run(share: Annotated[list[float], typer.Option(help="Of each task's steps")], seed: int = 0) -> None:
    """Train what is missing."""
    torch.set_num_threads(1)
    for each in share:
        shorter = shortened(each)
        for name in read_leaderboard(PUBLISHED).index:
            for spec in trial_specs(shorter, seeds=[seed]):
                wanted: dict[str, Any] = {
                    "protocol_hash": QUICK.hash,
                    "share": each,
                    "name": name,
                    "source_hash": seed_variants()[name].source_hash,
                    "task": spec.task,
                    "seed": seed,
                }
                if any(wanted.items() <= done.model_dump().items() for done in read_lines(RUNS, Run)):
                    continue
                made = run_trial(shorter, spec, name)
                accuracy = made.outcome.accuracy if isinstance(made.outcome, ScoredTrial) else 0.0
                seconds = made.training_seconds + made.scoring_seconds
                found = Run(**wanted, accuracy=accuracy, cpu_seconds=seconds)
                write_lines(RUNS, [*read_lines(RUNS, Run), found])
                typer.echo(f"{each} {name} {spec.task}: {accuracy:.3f} ({seconds:.1f} CPU s)")


def shortened(share: float) -> Protocol:
    """`quick` with a share of its steps."""
    tasks = {
        task: plan.model_copy(update={"steps": round((plan.steps or 0) * share)}) for task, plan in QUICK.tasks.items()
    }
    return QUICK.model_copy(update={"name": f"quick-{share:g}", "tasks": tasks})


@app.command()
def table() -> None:
    """Markdown: Spearman with the published table per task and for the mean, against CPU-seconds of the baseline."""
    current = {name: variant.source_hash for name, variant in seed_variants().items()}
    runs = [r for r in read_lines(RUNS, Run) if r.protocol_hash == QUICK.hash and current.get(r.name) == r.source_hash]
    trials = pd.concat([_frame([run.model_dump() for run in runs]), _shipped()])
    typer.echo("| steps | seeds | CPU-s, baseline | " + " | ".join(MAD_TASKS) + " | mean of the six |")
    typer.echo("|---:|---:|" + "---:|" * (len(MAD_TASKS) + 2))
    for share, found in trials.groupby("share"):
        seeds = sorted(found["seed"].unique())
        for count in range(1, len(seeds) + 1):
            some = found[found["seed"].isin(seeds[:count])]
            typer.echo(f"| {share:g} | {count} | {_row(some)} |")


_COLUMNS = ["share", "name", "task", "seed", "accuracy", "cpu_seconds"]


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=_COLUMNS)


def _shipped() -> pd.DataFrame:
    """The trials of all steps that ship with archer."""
    trials = [
        trial for each in shipped_by_variant(QUICK.name).values() for trial in each if trial.protocol_hash == QUICK.hash
    ]
    return _frame([trial.model_dump() | {"share": 1.0, "name": trial.variant} for trial in trials])


def _row(trials: pd.DataFrame) -> str:
    """trials: columns as above. Only published rows with all six tasks are compared."""
    measured = trials.pivot_table(index="name", columns="task", values="accuracy").dropna()
    published = read_leaderboard(PUBLISHED)
    both = [name for name in published.index if name in measured.index]
    measured, published = measured.loc[both], published.loc[both]
    seconds = trials[trials["name"] == BASELINE]["cpu_seconds"].sum()
    cells = [spearman(measured[task], published[task]) for task in MAD_TASKS]
    cells.append(spearman(measured.mean(axis=1), published.mean(axis=1)))
    return f"{seconds:.0f} | " + " | ".join(f"{cell:.2f}" for cell in cells)


if __name__ == "__main__":
    app()
