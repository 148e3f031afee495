"""What the commands answer, so that a change of the code's arrangement can be shown to change nothing.

`python -m benchmarks.golden record FILE` runs the main commands on a new archive (protocol smoke, fixed seed) and on a
variant, and keeps their JSON: scores, verdicts, weights by their hashes. `python -m benchmarks.golden compare A B` says
where two such files differ. Times, costs, commits, paths and the digest of archer's own code are left out.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VARIANT = Path("variants/delta_net_4layer_rope_qk_in_for_loop.py")
VOLATILE = frozenset(
    {
        "commit", "created", "seconds", "cpu_seconds", "wall_seconds", "archer", "archive", "cost", "fingerprint",
        "cpu_seconds_a_trial", "cpu_seconds_a_variant", "environment",
    }
)  # fmt: skip
"""Fields that differ from run to run."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+\+00:00")
COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check", str(VARIANT)),
    "evaluate": ("evaluate", str(VARIANT), "--protocol", "smoke"),
    "propose": ("propose", "--n", "4", "--jobs", "1", "--seed", "11", "--protocol", "smoke", "--proposer", "evolve"),
    "leaderboard": ("leaderboard", "--protocol", "smoke"),
    "leaderboard quick": ("leaderboard", "--protocol", "quick"),
    "front": ("leaderboard", "--protocol", "quick", "--front"),
    "published": ("leaderboard", "--protocol", "published"),
    "list": ("list",),
    "show": ("show", "1"),
    "diff": ("diff", "1"),
    "replay": ("replay", "1", "--evaluate"),
    "calibration": ("calibration",),
    "protocols": ("protocol", "list"),
    "mad": ("protocol", "show", "mad", "--no-cost"),
    "verify": ("verify",),
}


def main() -> None:
    """Record or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("files", nargs="+", type=Path)
    asked = parser.parse_args()
    if asked.action == "record":
        asked.files[0].write_text(json.dumps(record(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return
    one, other = (json.loads(path.read_text(encoding="utf-8")) for path in asked.files)
    found = list(differences(one, other))
    sys.stdout.write("".join(f"{line}\n" for line in found) or "equal\n")
    sys.exit(bool(found))


def record() -> dict[str, Any]:
    """Every command's answer, and the trials of the archive that they made, without what differs from run to run."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "archive"
        answers = {name: _stable(_answer(command, archive)) for name, command in COMMANDS.items()}
        trials = {
            path.parent.name: [_stable(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
            for path in sorted(archive.glob("proposals/*/trials.jsonl"))
        }
        reports = {
            path.parent.name: _stable(path.read_text(encoding="utf-8"))
            for path in sorted(archive.glob("proposals/*/report.md"))
        }
    return {"answers": answers, "trials": trials, "reports": reports}


def _answer(command: tuple[str, ...], archive: Path) -> Any:
    sys.stderr.write(f"{' '.join(command)}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI")}
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", *command, "--archive", str(archive), "--json", "--quiet"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return {"exit_code": done.returncode, "answer": json.loads(done.stdout)}


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stable(each) for key, each in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [_stable(each) for each in value]
    return MOMENT.sub("(a moment)", value) if isinstance(value, str) else value


def differences(one: Any, other: Any, at: str = "") -> Iterator[str]:
    """A line for each place where two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key in one and key in other:
                yield from differences(one[key], other[key], f"{at}/{key}")
            else:
                yield f"{at}/{key}: only in the {'first' if key in one else 'second'}"
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            yield from differences(mine, theirs, f"{at}/{index}")
    elif one != other:
        yield f"{at}: {_first_difference(str(one), str(other))}"


def _first_difference(one: str, other: str) -> str:
    at = next((at for at, (mine, theirs) in enumerate(zip(one, other, strict=False)) if mine != theirs), 0)
    start = max(0, at - 40)
    return f"{one[start : at + 120]!r} against {other[start : at + 120]!r}"


if __name__ == "__main__":
    main()
