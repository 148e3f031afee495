"""Kills whole commands with SIGKILL at random moments of their lives, and looks for what they leave behind.

python -m benchmarks.kills --kills 60 -- check variants/delta_net_4layer.py
python -m benchmarks.kills --kills 40 --life 40 -- propose --protocol smoke --n 2 --proposer evolve

The command runs to its end once, or for `--life` seconds, and then again and again, in an archive of its own, until a
moment drawn from that life. Every process that it started has a folder of this benchmark in its command line, as the
sandbox's template and what is forked of it have: after two seconds none may be left.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

LIMIT = 2.0
"""Seconds within which nothing of a variant may be left."""
TICK = 0.02
GIVE_UP = 30.0


def main() -> None:
    """Kill as often as asked, and print what was left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--life", type=float, help="seconds; else as long as the command takes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    drawn = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder)
        life = options.life or seconds_of(mark, options.command)
        print(f"A life of {life:.1f} s; seed {options.seed}.", flush=True)
        found = [(moment, *one_kill(mark, options.command, moment)) for moment in moments(drawn, options.kills, life)]
    late = [moment for moment, _, seconds in found if seconds > LIMIT]
    met = [alive for _, alive, _ in found if alive]
    slowest = max(seconds for *_, seconds in found)
    print(
        f"{len(found)} kills; {len(met)} met a sandbox, of {median(met):.0f} processes (median). The last process was"
    )
    print(f"gone after {slowest:.2f} s at most; {len(late)} times later than {LIMIT:g} s.")
    sys.exit(bool(late))


def moments(drawn: random.Random, count: int, life: float) -> list[float]:
    """Random moments, one in each of as many equal parts of a life, in random order."""
    found = [(part + drawn.random()) * life / count for part in range(count)]
    drawn.shuffle(found)
    return found


def one_kill(mark: Path, command: Sequence[str], moment: float) -> tuple[int, float]:
    """Processes that were alive at this moment, but for archer itself, and seconds until all of them were gone."""
    archer = started(mark, command)
    time.sleep(moment)
    alive = len(left_behind(mark))
    os.kill(archer.pid, signal.SIGKILL)
    seconds = seconds_until_gone(mark)
    archer.wait()
    print(f"killed after {moment:.2f} s: {alive} processes, gone after {seconds:.2f} s", flush=True)
    return alive, seconds


def seconds_of(mark: Path, command: Sequence[str]) -> float:
    """How long the command takes if it may."""
    began = time.monotonic()
    if code := started(mark, command).wait():
        raise SystemExit(f"the command ended with {code}")
    return time.monotonic() - began


def started(mark: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """The command, with folders of its own."""
    with tempfile.TemporaryDirectory(dir=mark) as archive:
        pass
    environment = {**os.environ, "TMPDIR": str(mark), "ARCHER_ARCHIVE": archive}
    return subprocess.Popen(
        [sys.executable, "-m", "agent.cli", *command],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def seconds_until_gone(mark: Path) -> float:
    """Seconds until nothing is left, on a clock that stands still while this process does not get the processor.

    On a machine with too much to do, that is when those who are to end do not get it either. A process that stays is
    waited for until GIVE_UP.
    """
    seconds = 0.0
    while left_behind(mark) and seconds < GIVE_UP:
        began = time.monotonic()
        time.sleep(TICK)
        seconds += min(time.monotonic() - began, 2 * TICK)
    return seconds


def left_behind(mark: Path) -> list[int]:
    """Processes that were started with this folder in their command line, as the template and its children are."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            text = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0] if text else "Z"
        except OSError:
            continue
        if os.fsencode(mark) in text and state != "Z":
            found.append(int(entry.name))
    return found


if __name__ == "__main__":
    main()
