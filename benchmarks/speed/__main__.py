"""What training and data cost, in CPU-seconds on one thread, beside the rate of matrix products in the same run.

    python -m benchmarks.speed                 # everything but compile: six minutes with --rounds 5
    python -m benchmarks.speed steps --rounds 2 --heads 1
    python -m benchmarks.speed profile | parts | ways | data | members | ends | compile

`compile` needs a C++ compiler, and minutes for it. Prints Markdown as it goes. Ways that are compared take turns
within one process, and the least time of each counts: what a busy machine adds falls on all of them. Runs under the
malloc settings of the sandbox, where trials train.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable

import torch

from benchmarks.speed.compiled import compiled
from benchmarks.speed.data import data
from benchmarks.speed.ends import ends
from benchmarks.speed.members import members
from benchmarks.speed.steps import profiled, steps
from benchmarks.speed.ways import parts, ways
from evaluator.sandbox.launch import KEEP_MEMORY


def main() -> None:
    """Run the sections that were asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2, help="turns that each way takes")
    parser.add_argument("--heads", type=int, nargs="+", default=[8, 1], help="of the models in `steps`")
    sections: dict[str, Callable[[], None]] = {
        "steps": lambda: steps(asked.rounds, asked.heads),
        "profile": lambda: profiled(asked.rounds),
        "parts": lambda: parts(asked.rounds),
        "ways": lambda: ways(asked.rounds, asked.heads),
        "data": data,
        "members": lambda: members(asked.rounds),
        "ends": ends,
        "compile": lambda: compiled(asked.rounds),
    }
    parser.add_argument("section", nargs="?", choices=["all", *sections], default="all")
    asked = parser.parse_args()
    if not KEEP_MEMORY.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.speed", *sys.argv[1:]], os.environ | KEEP_MEMORY)
    torch.set_num_threads(1)
    for name, section in sections.items():
        if asked.section == name or (asked.section == "all" and name != "compile"):
            print(f"## {name}\n", flush=True)
            began = time.monotonic()
            section()
            print(f"({name}: {time.monotonic() - began:.0f} s)\n", flush=True)


if __name__ == "__main__":
    main()
