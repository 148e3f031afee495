"""How long a check takes: of each seed in a warm sandbox, and as a whole command, warm and with cold disk caches.

python -m benchmarks.check                 # on one core, as the median over the seeds is asked for
python -m benchmarks.check --cores 2

Prints Markdown. Cold: the files of this Python's packages are dropped from the page cache before each run, which works
only for those that no other process has mapped: close what else uses torch. About two minutes on a quiet machine.
"""

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from evaluator.checks import check
from evaluator.evaluate import kernel_shapes
from evaluator.protocol import QUICK
from evaluator.sandbox import Sandbox
from variants.contract import BASELINE
from variants.seeds import HERE, seed_variants

RUNS = 3


def main() -> None:
    """Measure on the first cores of those that there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=1)
    cores = parser.parse_args().cores
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    seconds = checks_of_seeds()
    print("| what | cores | seconds, median | from | to |\n|---|---:|---:|---:|---:|")
    row(f"checks of a seed, {len(seconds)} seeds", cores, seconds)
    row("`archer check`, warm", cores, [whole_command(lambda: None) for _ in range(RUNS)])
    row("`archer check`, cold", cores, [whole_command(forget_files) for _ in range(RUNS)])


def row(what: str, cores: int, seconds: list[float]) -> None:
    """One line of the table."""
    print(f"| {what} | {cores} | {median(seconds):.1f} | {min(seconds):.1f} | {max(seconds):.1f} |", flush=True)


def checks_of_seeds() -> list[float]:
    """Seconds of every seed's checks, as the command makes them, in a sandbox that has started."""
    seeds = seed_variants()
    with Sandbox() as sandbox:
        check(seeds[BASELINE], sandbox)
        shapes = kernel_shapes(QUICK)
        return [check(variant, sandbox, parent=seeds[BASELINE], shapes=shapes).seconds for variant in seeds.values()]


def whole_command(before: Callable[[], None]) -> float:
    """Wall-clock seconds of the command on the baseline, from the shell's point of view."""
    before()
    command = [sys.executable, "-m", "agent.cli", "check", str(HERE / f"{BASELINE}.py"), "--json"]
    began = time.monotonic()
    answer = subprocess.run(command, capture_output=True, check=True, text=True)
    seconds = time.monotonic() - began
    if json.loads(answer.stdout)["verdict"] != "pass":
        raise RuntimeError(answer.stdout)
    return seconds


def forget_files() -> None:
    """Drop the interpreter's packages from the page cache."""
    for folder in (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")):
        for path in Path(folder).rglob("*"):
            if path.is_file():
                fd = os.open(path, os.O_RDONLY)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)


if __name__ == "__main__":
    main()
