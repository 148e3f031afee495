"""How the agreement of `quick` with the published table depends on what a variant may cost.

    python -m benchmarks.budget run --share 0.25 --share 0.5
    python -m benchmarks.budget table

Trains the published rows with a share of each task's steps, in this process and without a sandbox: they are part of
archer. Runs go to `docs/results/budget.jsonl` as they end, and are not run again. The table adds the shipped trials
(all steps) of one, two and three seeds.
"""

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer

from agent.measure import shipped
from archive.files import read_lines, write_lines
from benchmarks.agreement import spearman
from benchmarks.mad import run as run_trial
from evaluator.outcomes import Value
from evaluator.plan import Protocol, trial_specs
from evaluator.protocol import QUICK
from evaluator.scoring import ScoredTrial
from variants.contract import BASELINE, TASKS
from variants.leaderboard import PUBLISHED, read_leaderboard
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
    typer.echo("| steps | seeds | CPU-s, baseline | " + " | ".join(TASKS) + " | mean of the six |")
    typer.echo("|---:|---:|" + "---:|" * (len(TASKS) + 2))
    current = {name: variant.source_hash for name, variant in seed_variants().items()}
    runs = [r for r in read_lines(RUNS, Run) if r.protocol_hash == QUICK.hash and current.get(r.name) == r.source_hash]
    for share in sorted({run.share for run in runs}):
        frame = pd.DataFrame([run.model_dump() for run in runs if run.share == share])
        typer.echo(_row(f"{share:g}", frame["seed"].nunique(), frame))
    trials = pd.DataFrame(
        [
            trial.model_dump(include={*_MEASURED})
            for each in shipped(QUICK.name).values()
            for trial in each
            if trial.protocol_hash == QUICK.hash
        ],
        columns=_MEASURED,
    ).rename(columns={"variant": "name"})
    for count in range(1, len(QUICK.seeds) + 1):
        kept = trials[trials["seed"].isin(QUICK.seeds[:count])]
        if len(kept):
            typer.echo(_row("1", count, kept))


_MEASURED = ["variant", "task", "seed", "accuracy", "cpu_seconds"]


def _row(share: str, seeds: int, trials: pd.DataFrame) -> str:
    """trials: columns name, task, seed, accuracy, cpu_seconds. Only published rows with all six tasks are compared."""
    measured = trials.pivot_table(index="name", columns="task", values="accuracy").dropna()
    published = read_leaderboard(PUBLISHED)
    both = [name for name in published.index if name in measured.index]
    measured, published = measured.loc[both], published.loc[both]
    seconds = trials[trials["name"] == BASELINE]["cpu_seconds"].sum()
    cells = [spearman(measured[task], published[task]) for task in TASKS]
    cells.append(spearman(measured.mean(axis=1), published.mean(axis=1)))
    return f"| {share} | {seeds} | {seconds:.0f} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |"


if __name__ == "__main__":
    app()
