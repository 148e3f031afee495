"""CPU seconds and peak memory of each command on an archive: `python -m benchmarks.scale ARCHIVE [--out FILE]`.

Each command is a process of its own, and what it starts is counted with it. The archive is worked on in place: the
proposals that are told stay. Prints one JSON line a command: seconds of CPU and of wall time, MiB at the peak of the
largest process, and the exit code. `--only` picks commands by their names.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ARCHER = [sys.executable, "-c", "from agent.cli import main; main()"]
PROPOSE = [sys.executable, "-m", "benchmarks.scale.propose"]
GIT = ["git", "-C", "{archive}"]
SEARCH = ["--proposer", "evolve", "--protocol", "quick", "--no-confirm", "--jobs", "1", "--archive", "{archive}"]
COMMANDS: dict[str, list[str]] = {
    "first call: makes the index": [*ARCHER, "list", "--limit", "1", "--archive", "{archive}"],
    "list": [*ARCHER, "list", "--archive", "{archive}"],
    "list --limit 20": [*ARCHER, "list", "--limit", "20", "--archive", "{archive}"],
    "list --json": [*ARCHER, "list", "--json", "--archive", "{archive}"],
    "show": [*ARCHER, "show", "500", "--archive", "{archive}"],
    "leaderboard": [*ARCHER, "leaderboard", "--archive", "{archive}"],
    "leaderboard --json": [*ARCHER, "leaderboard", "--json", "--archive", "{archive}"],
    "leaderboard --front": [*ARCHER, "leaderboard", "--front", "--archive", "{archive}"],
    "leaderboard --limit 20": [*ARCHER, "leaderboard", "--limit", "20", "--archive", "{archive}"],
    "leaderboard --front --limit 20": [*ARCHER, "leaderboard", "--front", "--limit", "20", "--archive", "{archive}"],
    "propose, the first": [*PROPOSE, "--n", "1", *SEARCH],
    "propose": [*PROPOSE, "--n", "1", *SEARCH],
    "propose, three": [*PROPOSE, "--n", "3", *SEARCH],
    "verify": [*ARCHER, "verify", "--archive", "{archive}"],
    "propose, before verify --new": [*PROPOSE, "--n", "1", *SEARCH],
    "verify --new": [*ARCHER, "verify", "--new", "--archive", "{archive}"],
    "report": [*ARCHER, "report", "--archive", "{archive}", "--out", "{site}"],
    "propose, before the report": [*PROPOSE, "--n", "1", *SEARCH],
    "report, one more": [*ARCHER, "report", "--archive", "{archive}", "--out", "{site}"],
    "git status": [*GIT, "status", "--short"],
    "git fsck": [*GIT, "fsck", "--no-dangling", "--no-progress"],
    "git clone": ["git", "clone", "--quiet", "file://{archive}", "{clone}"],
    "list of the clone, first call": [*ARCHER, "list", "--limit", "1", "--archive", "{clone}"],
    "python starts, torch and pandas imported": [sys.executable, "-c", "import torch, pandas, agent.commands.listing"],
}


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--out", type=Path, help="append the lines to this file too")
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS), metavar="NAME")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds after which a command is stopped")
    chosen = parser.parse_args()
    archive = chosen.archive.resolve()
    places = {name: str(archive.with_name(f"{archive.name}-{name}")) for name in ("site", "clone")}
    for name in (name for name in COMMANDS if name in chosen.only):
        if name in ("report", "git clone"):
            shutil.rmtree(places["site" if name == "report" else "clone"], ignore_errors=True)
        command = [part.format(archive=archive, **places) for part in COMMANDS[name]]
        line = json.dumps({"archive": archive.name, "command": name} | measured(command, chosen.limit))
        print(line, flush=True)
        if chosen.out:
            with chosen.out.open("a") as stream:
                stream.write(f"{line}\n")


def measured(command: list[str], limit: float) -> dict[str, Any]:
    """Run a command to its end, or to the limit. CPU seconds are those of the process and all that it waited for."""
    began = time.monotonic()
    with subprocess.Popen(["timeout", str(limit), *command], stdout=subprocess.DEVNULL) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return {
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "wall_s": round(time.monotonic() - began, 2),
        "mib": round(used.ru_maxrss / 1024),
        "exit": child.returncode,
    }


if __name__ == "__main__":
    main()
