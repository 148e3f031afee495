"""What isolation costs: the same training in the open, in the sandbox, and split, in CPU-seconds of all processes.

python -m benchmarks.isolation                       # 4 rounds of all tasks, about 10 minutes on a quiet machine
python -m benchmarks.isolation --tasks Memorize --rounds 2

Prints Markdown: for each task of `quick`, seed 0, the baseline's CPU time of training (data and scoring left out) and
the ratios to training in the open within one round, as median (lowest to highest round). A round takes the ways in
turn, the next but one in reverse, so that a machine which slows down favours none. Split training takes part in every
other round. CPU time is that of this process and of all below it: the template that watches, and its candidates.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.mad import kernel_of
from evaluator.plan import trial_specs
from evaluator.protocol import QUICK
from evaluator.sandbox import Limits, Sandbox
from evaluator.training import train
from evaluator.trial import weights_hash
from variants.contract import BASELINE, TASKS
from variants.seeds import seed_variants

VARIANT = seed_variants()[BASELINE]
LIMITS = Limits(wall_seconds=1800)
TICKS = 100
"""Clock ticks a second in /proc/PID/stat."""
STARTS = 5

Job = dict[str, Any]
Data = Mapping[str, Tensor]
Way = Callable[[Sandbox, Job, Data], Mapping[str, Tensor]]


def main() -> None:
    """Measure round by round, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    prepared = {task: prepare(task) for task in options.tasks}
    seconds: dict[tuple[str, str], list[float]] = {}
    hashes: dict[str, set[str]] = {task: set() for task in prepared}
    with Sandbox() as sandbox:
        startup = start_up(sandbox, *next(iter(prepared.values())))
        for number in range(options.rounds):
            for task, (job, data) in prepared.items():
                for name, way in in_turn(number):
                    spent, weights = measured(way, sandbox, job, data)
                    seconds.setdefault((task, name), []).append(spent)
                    hashes[task].add(weights_hash(weights))
    print("| task | open, CPU-s | sandbox / open | split / open | same weights |\n|---|---:|---:|---:|---|")
    for task in prepared:
        row(task, {name: seconds[task, name] for name in WAYS}, str(len(hashes[task]) == 1))
    sums = {name: [sum(xs) for xs in zip(*(seconds[task, name] for task in prepared), strict=True)] for name in WAYS}
    row("all", sums, str(all(len(found) == 1 for found in hashes.values())))
    print(f"\nStart-up of a sandboxed trial, contained in the above: {startup:.2f} CPU-s (median of {STARTS}).")


def in_turn(number: int) -> Iterable[tuple[str, Way]]:
    """The ways of one round."""
    ways = [(name, way) for name, way in WAYS.items() if name != "split" or number % 2 == 0]
    return ways if number % 4 < 2 else reversed(ways)


def row(task: str, seconds: Mapping[str, list[float]], same: str) -> None:
    """One line of the table. The n-th split run belongs to round 2n."""
    plain = seconds["open"]
    sandbox = ratios(seconds["sandbox"], plain)
    split = ratios(seconds["split"], plain[::2])
    print(f"| {task} | {median(plain):.1f} | {sandbox} | {split} | {same} |", flush=True)


def ratios(ways: list[float], plain: list[float]) -> str:
    """Median, lowest and highest ratio within a round."""
    found = [way / one for way, one in zip(ways, plain, strict=True)]
    return f"{median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def prepare(task: Any) -> tuple[Job, Data]:
    """What a trainer gets."""
    (spec,) = trial_specs(QUICK, [task], [0])
    return QUICK.job(spec, VARIANT.layer).model_dump(mode="json"), QUICK.training_data(spec)


def start_up(sandbox: Sandbox, job: Job, data: Data) -> float:
    """CPU-seconds that one step costs more in a fresh sandboxed process than in the open, once all is imported."""
    one_step = {**job, "steps": 1, "warmup": 0}
    found = [[measured(way, sandbox, one_step, data)[0] for way in WAYS.values()] for _ in range(STARTS + 1)]
    return median(sandboxed - plain for plain, sandboxed, _ in found[1:])


def measured(way: Way, sandbox: Sandbox, job: Job, data: Data) -> tuple[float, Mapping[str, Tensor]]:
    """CPU-seconds of all processes, and the weights."""
    began = cpu_seconds()
    weights = way(sandbox, job, data)
    return cpu_seconds() - began, weights


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
    main()
