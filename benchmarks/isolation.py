"""What isolation costs: the same training in the open, in the sandbox, and split, in CPU-seconds of all processes.

python -m benchmarks.isolation --repeats 3

Prints Markdown: for each task of `quick`, seed 0, the baseline's CPU time of training (data and scoring left out), the
median of the ratios to training in the open within one round, and whether the weights came out the same.
"""

import argparse
import time
from collections.abc import Mapping
from statistics import median

from torch import Tensor

from benchmarks.mad import kernel_of
from evaluator.plan import TrialSpec, trial_specs
from evaluator.protocol import QUICK
from evaluator.sandbox import Limits, Sandbox
from evaluator.training import train
from evaluator.trial import weights_hash
from variants.contract import BASELINE, TASKS
from variants.seeds import seed_variants

VARIANT = seed_variants()[BASELINE]
LIMITS = Limits(wall_seconds=600)
Measured = tuple[float, str]
"""CPU-seconds, and the hash of the weights."""


def main() -> None:
    """Measure task by task, the three ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    print("| task | open, CPU-s | sandbox / open | split / open | same weights |")
    print("|---|---:|---:|---:|---|")
    with Sandbox() as sandbox:
        in_sandbox(sandbox, trial_specs(QUICK, ["Memorize"], [0])[0])  # the first run imports what the others find
        for task in TASKS:
            (spec,) = trial_specs(QUICK, [task], [0])
            rounds = [(in_the_open(spec), in_sandbox(sandbox, spec), split(sandbox, spec)) for _ in range(repeats)]
            open_seconds = median(plain[0] for plain, _, _ in rounds)
            ratios = [median(way[0] / plain[0] for plain, *ways in rounds for way in (ways[i],)) for i in (0, 1)]
            same = len({found[1] for measured in rounds for found in measured}) == 1
            print(f"| {task} | {open_seconds:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} | {same} |", flush=True)


def job_and_data(spec: TrialSpec) -> tuple[dict[str, object], Mapping[str, Tensor]]:
    """What a trainer gets."""
    return QUICK.job(spec, VARIANT.layer).model_dump(mode="json"), QUICK.training_data(spec)


def in_the_open(spec: TrialSpec) -> Measured:
    """Trainer and kernel in this process."""
    job, data = job_and_data(spec)
    began = time.process_time()
    weights = train(job, data, kernel_of(BASELINE)[0], lambda _: None)
    return time.process_time() - began, weights_hash(weights)


def in_sandbox(sandbox: Sandbox, spec: TrialSpec) -> Measured:
    """Both in a sandboxed process."""
    job, data = job_and_data(spec)
    began = time.process_time()
    output = sandbox.train(VARIANT, job, data, limits=LIMITS)
    return time.process_time() - began + output.cpu_seconds, weights_hash(output.weights)


def split(sandbox: Sandbox, spec: TrialSpec) -> Measured:
    """The trainer here, the kernel in a sandboxed process."""
    job, data = job_and_data(spec)
    began = time.process_time()
    with sandbox.kernel(VARIANT, LIMITS) as kernel:
        weights = train(job, data, kernel, lambda _: None)
    return time.process_time() - began + kernel.cpu_seconds, weights_hash(weights)


if __name__ == "__main__":
    main()
