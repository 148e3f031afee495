"""How many processors this process may use."""

import os


def usable_cores() -> int:
    """Those that it is bound to, as by `taskset` or Slurm; all of the machine where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
