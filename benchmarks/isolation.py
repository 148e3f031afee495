"""What isolation costs: the same training in the open, in the sandbox, and split, in CPU-seconds of all processes.

    python -m benchmarks.isolation run --rounds 3             # 40 CPU-seconds a round; may be run again and again
    python -m benchmarks.isolation run --rounds 3 --keep-memory
    python -m benchmarks.isolation table

The baseline at settings of `quick`, seed 0; data and scoring are left out. Each measurement goes to
`docs/results/isolation.jsonl` at once, and the table is made of all that are there. A round trains `--steps` steps and
a single one, in the three ways in turn, the next round in reverse, so that a machine which slows down favours none;
what each further step costs is multiplied up to a whole trial of `quick`. Ratios are of sums over the tasks of a round;
the median over the rounds, and a 95 % interval by bootstrap over them. CPU time is that of this process and of all
below it: the template that watches, and its candidates. --keep-memory starts this process with the settings of malloc
that the sandbox has; without, training in the open and split pays for giving memory back to the system.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
import typer
from scipy.stats import bootstrap
from torch import Tensor

from archive.files import read_lines, write_lines
from benchmarks.mad import kernel_of
from evaluator.protocols.built_in import QUICK
from evaluator.protocols.protocol import trial_specs
from evaluator.sandbox import Limits, Sandbox
from evaluator.sandbox.launch import KEEP_MEMORY
from evaluator.training.train import train
from evaluator.trials.run_trial import weights_hash
from evaluator.values import Value
from variants.contract import BASELINE
from variants.seeds import seed_variants

RUNS = Path(__file__).parent.parent / "docs/results/isolation.jsonl"
VARIANT = seed_variants()[BASELINE]
LIMITS = Limits(wall_seconds=1800)
TICKS = 100
"""Clock ticks a second in /proc/PID/stat."""

Job = dict[str, Any]
Data = Mapping[str, Tensor]
Way = Callable[[Sandbox, Job, Data], Mapping[str, Tensor]]

app = typer.Typer(add_completion=False)


class Round(Value):
    """One way through one task: CPU-seconds of a training of `steps` steps and of one of a single step."""

    protocol_hash: str
    keep_memory: bool
    number: int
    task: str
    way: str
    steps: int
    seconds: float
    seconds_of_one: float
    weights: str

    def whole(self) -> float:
        """CPU-seconds of a trial of as many steps as the protocol has."""
        each = (self.seconds - self.seconds_of_one) / (self.steps - 1)
        return self.seconds_of_one + each * (QUICK.tasks[self.task].steps - 1)  # type: ignore[index]


@app.command()
def run(
    rounds: int = 3,
    steps: Annotated[int, typer.Option(help="of the longer training")] = 100,
    tasks: Annotated[list[str], typer.Option("--task")] = ["Compress", "Context Recall", "Memorize"],  # noqa: B006
    keep_memory: bool = False,
) -> None:
    """Measure, and keep every measurement."""
    if keep_memory and not KEEP_MEMORY.items() <= os.environ.items():
        again = [sys.executable, "-m", "benchmarks.isolation", *sys.argv[1:]]
        os.execve(sys.executable, again, os.environ | KEEP_MEMORY)
    torch.set_num_threads(1)
    prepared = {task: prepare(task) for task in tasks}
    first = 1 + max((done.number for done in measured_rounds()), default=0)
    with Sandbox() as sandbox:
        for way in WAYS.values():  # imports, once in a process
            spent(way, sandbox, *prepared[tasks[0]], steps=1)
        for number in range(first, first + rounds):
            for task, (job, data) in prepared.items():
                for name, way in list(WAYS.items())[:: 1 if number % 2 else -1]:
                    one, _ = spent(way, sandbox, job, data, steps=1)
                    seconds, weights = spent(way, sandbox, job, data, steps=steps)
                    done = Round(
                        protocol_hash=QUICK.hash, keep_memory=keep_memory, number=number, task=task, way=name,
                        steps=steps, seconds=seconds, seconds_of_one=one, weights=weights,
                    )  # fmt: skip
                    keep(done)


@app.command()
def table() -> None:
    """Print Markdown of all rounds that were measured at the protocol as it is."""
    found = measured_rounds()
    print("| malloc in the open | task | rounds | open, CPU-s a trial | sandbox / open | split / open | same weights |")
    print("|---|---|---:|---:|---:|---:|---|")
    for kept in (False, True):
        own = [each for each in found if each.keep_memory == kept]
        tasks = list(dict.fromkeys(each.task for each in own))
        for task in tasks:
            row(kept, task, [task], own)
        if own:
            row(kept, "all", tasks, own)


def row(kept: bool, name: str, tasks: list[str], rounds: list[Round]) -> None:
    """One line of the table: sums over these tasks."""
    of_tasks = [each for each in rounds if each.task in tasks]
    numbers = sorted({each.number for each in of_tasks})
    sums = {
        way: np.array([sum(r.whole() for r in of_tasks if (r.number, r.way) == (number, way)) for number in numbers])
        for way in WAYS
    }
    weights: dict[tuple[str, int], set[str]] = {}
    for each in of_tasks:
        weights.setdefault((each.task, each.steps), set()).add(each.weights)
    same = all(len(found) == 1 for found in weights.values())
    ratios = " | ".join(with_interval(sums[way] / sums["open"]) for way in ("sandbox", "split"))
    malloc = "as the sandbox's" if kept else "as it comes"
    print(f"| {malloc} | {name} | {len(numbers)} | {median(sums['open']):.1f} | {ratios} | {same} |")


def with_interval(ratios: "np.ndarray[Any, np.dtype[np.float64]]") -> str:
    """Median, and its 95 % interval where there are rounds enough."""
    if len(ratios) < 3:
        return f"{np.median(ratios):.3f}"
    found = bootstrap((ratios,), np.median, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    return f"{np.median(ratios):.3f} [{found.low:.3f}, {found.high:.3f}]"


def measured_rounds() -> list[Round]:
    """What is kept, of the protocol as it is."""
    return [each for each in read_lines(RUNS, Round) if each.protocol_hash == QUICK.hash]


def keep(done: Round) -> None:
    """Print a measurement and add it to the file."""
    print(
        f"round {done.number}: {done.task}, {done.way}: {done.seconds:.2f} CPU-s, one step {done.seconds_of_one:.2f}",
        flush=True,
    )
    write_lines(RUNS, [*read_lines(RUNS, Round), done])


def prepare(task: str) -> tuple[Job, Data]:
    """What a trainer gets."""
    (spec,) = trial_specs(QUICK, [task], [0])  # type: ignore[list-item]
    return QUICK.job(spec, VARIANT.layer).model_dump(mode="json"), QUICK.training_data(spec)


def spent(way: Way, sandbox: Sandbox, job: Job, data: Data, *, steps: int) -> tuple[float, str]:
    """CPU-seconds of all processes for so many steps, and the hash of the weights."""
    began = cpu_seconds()
    weights = way(sandbox, {**job, "steps": steps, "warmup": min(job["warmup"], steps - 1)}, data)
    return cpu_seconds() - began, weights_hash(weights)


def in_the_open(_: Sandbox, job: Job, data: Data) -> Mapping[str, Tensor]:
    """Trainer and kernel in this process."""
    return train(job, data, kernel_of(BASELINE)[0], lambda _: None)


def in_sandbox(sandbox: Sandbox, job: Job, data: Data) -> Mapping[str, Tensor]:
    """Both in a sandboxed process."""
    return sandbox.train(VARIANT, job, data, limits=LIMITS).weights


def split(sandbox: Sandbox, job: Job, data: Data) -> Mapping[str, Tensor]:
    """The trainer here, the kernel in a sandboxed process."""
    with sandbox.kernel(VARIANT, LIMITS) as kernel:
        return train(job, data, kernel, lambda _: None)


WAYS: dict[str, Way] = {"open": in_the_open, "sandbox": in_sandbox, "split": split}


def cpu_seconds() -> float:
    """CPU time of this process, and of all below it with those that they have waited for."""
    return time.process_time() + sum(map(_with_children, _descendants("self")))


def _descendants(process: int | str) -> Iterable[int]:
    for thread in Path(f"/proc/{process}/task").iterdir():
        for child in map(int, (thread / "children").read_text().split()):
            yield child
            yield from _descendants(child)


def _with_children(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


if __name__ == "__main__":
    app()
