"""What it costs to draw examples."""

import time

from evaluator.protocols.built_in import QUICK
from evaluator.protocols.protocol import trial_specs
from evaluator.tasks.registry import MAD_TASKS, TASKS, examples


def data(count: int = 12_800) -> None:
    """CPU-seconds to draw examples of the 66 published settings: each task's slowest, and what `quick` draws."""
    print("| task | slowest of its settings | train, CPU-s | of quick's setting |\n|---|---|---:|---:|")
    for task in MAD_TASKS:
        found = {}
        for setting in TASKS[task].published:
            began = time.process_time()
            examples(setting, "train", count, 0)
            found[setting.id] = time.process_time() - began
        worst = max(found, key=lambda name: found[name])
        spec = trial_specs(QUICK, [task], [0])[0]
        began = time.process_time()
        QUICK.training_data(spec)
        print(f"| {task} | {worst} | {found[worst]:.2f} | {time.process_time() - began:.2f} |", flush=True)
    print()
