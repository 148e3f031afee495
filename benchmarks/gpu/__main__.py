"""All that is to be known of archer on a GPU, in under 8 minutes: each part in its own process, with its own limit.

    python -m benchmarks.gpu                        # prints a table, writes gpu.json
    python -m benchmarks.gpu --out FILE --parts steps memory
    python -m benchmarks.gpu --rehearse             # the GPU's parts on a CPU, tiny: shows that they run, and no speed

A part that fails or takes too long is named, and the next one begins. Without a GPU, its parts are named as skipped,
and the others may take four times as long. Exit code 1 if a part failed. What `mad`
would cost follows from `steps`.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu.cost import cost
from benchmarks.gpu.parts import PARTS, REHEARSAL
from evaluator.device import best_device


def main() -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="where the results go, as JSON")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--rehearse", action="store_true", help="the GPU's parts on this CPU, tiny")
    parser.add_argument("--only", choices=list(PARTS), help=argparse.SUPPRESS)  # the child: prints one JSON document
    asked = parser.parse_args()
    if asked.only:
        print(json.dumps(PARTS[asked.only].run()))
        return 0
    results: dict[str, Any] = {}
    for name in asked.parts:
        results[name] = _part(name, rehearse=asked.rehearse)
        _show(name, results[name])
        asked.out.write_text(json.dumps(results, indent=1) + "\n")  # after each: whatever comes, this is kept
    rows = cost(results)
    state: dict[str, Any] = {"state": "ok"} if rows else {"state": "skipped", "why": "needs steps as a graph"}
    results["cost of mad"] = {**state, "rows": rows, "seconds": 0.0}
    _show("cost of mad", results["cost of mad"])
    asked.out.write_text(json.dumps(results, indent=1) + "\n")
    print(f"written: {asked.out}")
    return int(any(each["state"] == "failed" for each in results.values()))


def _part(name: str, *, rehearse: bool) -> dict[str, Any]:
    part = PARTS[name]
    if part.needs_gpu and best_device() != "cuda" and not rehearse:
        return {"state": "skipped", "why": "no GPU", "rows": [], "seconds": 0.0}
    limit = part.limit if best_device() == "cuda" else 4 * part.limit
    environment = os.environ | ({REHEARSAL: "1"} if rehearse else {})
    began = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.gpu", "--only", name]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        out, complaint = process.communicate(timeout=limit)
        why = complaint.strip()[-1000:] if process.returncode else ""
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        why = f"not done after {limit} s"
    seconds = round(time.monotonic() - began, 1)
    if why:
        return {"state": "failed", "why": why, "rows": [], "seconds": seconds}
    return {"state": "ok", "rows": json.loads(out.splitlines()[-1]), "seconds": seconds}


def _show(name: str, result: Mapping[str, Any]) -> None:
    told = f": {result['why']}" if "why" in result else ""
    print(f"\n## {name}: {result['state']}{told} ({result['seconds']:.0f} s)\n", flush=True)
    if rows := result["rows"]:
        print(f"| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}")
        for row in rows:
            print(f"| {' | '.join(_cell(value) for value in row.values())} |", flush=True)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
