"""Feeds everything that archer reads from outside with bad contents, and lists what breaks the rule.

python -m benchmarks.bad_files
python -m benchmarks.bad_files --examples 5000 reply journal
python -m benchmarks.bad_files --large

KIND: kinds whose name holds that text; else all. `--examples`: for each kind; those that run whole commands have a
fraction of it. `--seed`: other examples. `--large`: instead, inputs as large as what is let in.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.bad_files import answers, archives, large
from benchmarks.bad_files import given as given_files
from benchmarks.bad_files.rule import FINDING, READ, REFUSED, Kind, with_memory, without_settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
MEMORY = 2 << 30
"""Bytes that all of it may take beside the program itself."""


def main() -> None:
    """Look at every kind, and print what was met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("kind", nargs="*", metavar="KIND")
    options = parser.parse_args()
    without_settings()
    if options.large:
        sys.exit(not large.look_at_all())
    with_memory(MEMORY)
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        found = [
            kind
            for module in (given_files, answers, archives)
            for kind in module.kinds(Path(folder))
            if not options.kind or any(word in kind.name for word in options.kind)
        ]
        broken = {kind.name: defects(kind, max(1, int(options.examples * kind.share)), options.seed) for kind in found}
    print(
        "\n| kind | examples | read | findings | errors | defects | slowest, ms |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    for kind in found:
        counts = [kind.met.get(how, 0) for how in (READ, FINDING, REFUSED)]
        cells = [sum(counts), *counts, len(broken[kind.name]), f"{1000 * kind.slowest:.0f}"]
        print(f"| {kind.name} | {' | '.join(map(str, cells))} |")
    sys.exit(any(broken.values()))


def defects(kind: Kind, examples: int, number: int) -> list[BaseException]:
    """What breaks the rule, each by the simplest content that was found to; printed."""
    began = time.monotonic()
    phases = (Phase.explicit, Phase.generate, Phase.shrink)
    chosen = settings(
        max_examples=examples, database=None, deadline=None, phases=phases, suppress_health_check=list(HealthCheck)
    )
    try:
        seed(number)(chosen(given(kind.contents)(lambda content: kind.look(content))))()
    except BaseExceptionGroup as group:
        found = list(group.exceptions)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        found = [error]
    else:
        found = []
    print(f"{kind.name}: {time.monotonic() - began:.1f} s, {len(found)} defects", flush=True)
    for error in found:
        trace = traceback.extract_tb(error.__traceback__)[-6:]
        print("  ", " < ".join(f"{Path(at.filename).name}:{at.lineno} {at.name}" for at in reversed(trace)))
        print("  ", type(error).__name__, str(error)[-1500:])
        print("  ", *(note[:1200] for note in getattr(error, "__notes__", ())), sep="\n   ")
    return found


if __name__ == "__main__":
    main()
