"""What is saved where a run ends as soon as its result is known."""

import sys
import time
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from archive.files import read_lines
from benchmarks.memorize import RUNS, STEPS, Run
from evaluator.protocols.built_in import MAD
from evaluator.protocols.protocol import trial_specs
from evaluator.tasks.registry import TASKS
from evaluator.training.train import train
from variants.contract import Layer
from variants.delta_net_4layer import delta_rule_chunkwise

LR = 1e-3


def ends() -> None:
    """Steps made of steps planned: one run of `mad` that masters its task, and the recorded runs of Memorize."""
    spec = next(each for each in trial_specs(MAD, ["Context Recall"]) if each.lr == LR)
    job = MAD.job(spec, Layer.DELTA_NET)
    reports: list[int] = []

    def report(told: Mapping[str, Any]) -> None:
        reports.append(told["step"])
        print(f"step {told['step']} of {job.steps}, loss {told['loss']:.3f}", end="\r", file=sys.stderr)

    began = time.process_time()
    train(job.model_dump(mode="json"), MAD.training_data(spec), delta_rule_chunkwise, report)
    seconds = time.process_time() - began
    print("| runs | n | steps planned | steps made | saved |\n|---|---:|---:|---:|---:|")
    made = reports[-1]
    print(f"| Context Recall {spec.setting}, lr {LR:g} | 1 | {job.steps} | {made} | {1 - made / job.steps:.1%} |")
    recorded = read_lines(RUNS, Run)
    for setting in TASKS["Memorize"].published:
        steps = [run.looks[-1].step for run in recorded if run.vocabulary == setting.vocabulary]
        if steps:
            row = f"| Memorize {setting.id}, recorded | {len(steps)} | {STEPS} | {fmean(steps):.0f} |"
            print(f"{row} {1 - fmean(steps) / STEPS:.1%} |")
    print(f"\nThe run took {seconds:.0f} CPU-s.\n", flush=True)
