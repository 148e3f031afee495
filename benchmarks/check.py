"""How long `archer check` takes: the whole command on every seed, warm and with cold disk caches, on one core.

python -m benchmarks.check                 # as asked for; about 3 minutes on a quiet machine
python -m benchmarks.check --cores 2 --colds 0

Prints Markdown, a row as soon as it is measured. The command's seconds are those of the clock, from its start to its
end, imports, sandbox and all; the check's are what it says of itself. CPU-seconds are those of all processes: they are
the command's time on a core of its own, however busy the machine. Cold: the system drops all its caches of files before
the run where it may be told to (root), else those of this Python's packages that nobody else has mapped.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

from evaluator.sandbox.lockdown import prctl
from variants.contract import BASELINE
from variants.seeds import HERE, seed_variants, seeds

PR_SET_CHILD_SUBREAPER = 36
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


class Taken(NamedTuple):
    """Seconds of one run."""

    command: float
    check: float
    cpu: float


def main() -> None:
    """Measure on the first cores of those that there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--seeds", nargs="+", default=list(seed_variants()), metavar="NAME")
    parser.add_argument("--colds", type=int, default=3, help="cold runs, of the baseline")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[: options.cores]
    os.sched_setaffinity(0, cores)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    taken(BASELINE, lambda: None)
    print(f"Cores: {len(cores)}. Seconds.\n")
    print("| variant | whole command | of which the check | CPU, all processes |\n|---|---:|---:|---:|")
    warm = [shown(name, taken(name, lambda: None)) for name in options.seeds]
    cold = [shown(f"{BASELINE}, cold", taken(BASELINE, forget_files)) for _ in range(options.colds)]
    summary(f"median of {len(warm)} seeds, warm", warm)
    if cold:
        summary(f"median of {len(cold)} cold runs", cold)


def shown(name: str, run: Taken) -> Taken:
    """Print one row."""
    print(f"| {name} | {run.command:.2f} | {run.check:.2f} | {run.cpu:.2f} |", flush=True)
    return run


def summary(what: str, runs: Sequence[Taken]) -> None:
    """Median and range of each column."""
    columns = (f"**{median(xs):.2f}** ({min(xs):.2f} to {max(xs):.2f})" for xs in zip(*runs, strict=True))
    print(f"| {what} | {' | '.join(columns)} |", flush=True)


def taken(name: str, before: Callable[[], None]) -> Taken:
    """One run of the command on a seed, and of everything that it started."""
    before()
    folder = HERE / "found" if seeds()[name].origin == "found" else HERE
    command = [sys.executable, "-m", "agent.cli", "check", str(folder / f"{name}.py"), "--json"]
    cpu, began = cpu_of_children(), time.monotonic()
    answer = subprocess.run(command, capture_output=True, check=True, text=True)
    seconds = time.monotonic() - began
    report = json.loads(answer.stdout)
    if report["verdict"] != "pass":
        raise RuntimeError(answer.stdout)
    return Taken(seconds, report["seconds"], cpu_of_children() - cpu)


def cpu_of_children() -> float:
    """CPU-seconds of all processes below this one that have ended: orphans fall to it too."""
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def forget_files() -> None:
    """Drop the kernel's caches of files; where that is forbidden, of the interpreter's packages only."""
    os.sync()
    try:
        DROP_CACHES.write_text("3")
    except OSError:
        for folder in (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")):
            for path in Path(folder).rglob("*"):
                if path.is_file():
                    fd = os.open(path, os.O_RDONLY)
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                    os.close(fd)


if __name__ == "__main__":
    main()
