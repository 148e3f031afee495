"""The parts, each a function that gives the rows of a table."""

import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import fmean

import torch

from archive.seeding import shipped_by_variant
from benchmarks.gpu.steps import compared_memory, mad_memorize, scoring_share, steps
from evaluator.device import best_device
from evaluator.machine import versions
from evaluator.outcomes import Status, Trial
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.protocols.protocol import trial_specs
from evaluator.sandbox import Sandbox
from evaluator.trials.grouped import Group, groups, run_group
from variants.contract import BASELINE, REFERENCE
from variants.seeds import seed_variants

Rows = list[dict[str, object]]
VARIANTS = (BASELINE, REFERENCE, "delta_net_4layer_decay_state_update_in_for_loop")
MEMBERS = 12
AT_ONCE = 4
"""Groups of trials that share the GPU, as `archer evaluate` has them share it."""
REHEARSAL = "ARCHER_GPU_REHEARSAL"
"""Set in the environment of a part that runs tiny on a CPU."""


@dataclass(frozen=True)
class Part:
    """limit: seconds after which it is given up."""

    run: Callable[[], Rows]
    limit: int
    needs_gpu: bool = True


def machine() -> Rows:
    """Device and versions."""
    found: dict[str, object] = {**versions(), "device": best_device()}
    if best_device() == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found |= {"gpu": properties.name, "GiB": properties.total_memory / 2**30, "CUDA": torch.version.cuda}
    found["system"] = platform.platform()
    return [{"what": name, "found": value} for name, value in found.items()]


def doctor() -> Rows:
    """What `archer doctor` says, in a sandbox with the GPU's device files where there is one."""
    command = [sys.executable, "-m", "agent.cli", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(done.stderr[-1000:])
    return [{name: sign[name] for name in ("name", "state", "found")} for sign in json.loads(done.stdout)]


def smoke() -> Rows:
    """`smoke` of three variants."""
    return _scores("smoke", VARIANTS)


def quick() -> Rows:
    """`quick` of three variants."""
    return _scores("quick", VARIANTS)


def _scores(protocol_name: str, names: tuple[str, ...]) -> Rows:
    """Accuracy of each task against the CPU's that ship; the seeds' own spread stands beside it."""
    protocol, shipped, rows = PROTOCOLS[protocol_name], shipped_by_variant(protocol_name), Rows()
    members = 1 if best_device() == "cpu" else MEMBERS
    at_once = 1 if best_device() == "cpu" else AT_ONCE
    with Sandbox(device=best_device()) as sandbox, ThreadPoolExecutor(at_once) as pool:
        for name in names:
            began = time.monotonic()
            specs = trial_specs(protocol, seeds=[0] if tiny() else None)
            running = [
                pool.submit(run_group, Group(seed_variants()[name], protocol, group), sandbox, _deaf, threading.Event())
                for group in groups(specs, members)
            ]
            trials = [trial for future in running for trial in future.result()]
            seconds = time.monotonic() - began
            rows += [_against(name, task, trials, shipped[name], seconds) for task in protocol.tasks]
    return rows


def _against(name: str, task: str, trials: list[Trial], shipped: list[Trial], seconds: float) -> dict[str, object]:
    own, theirs = ([x for x in each if x.task == task] for each in (trials, shipped))
    failures = [f"{x.failure.kind}: {x.failure.message}"[:200] for x in own if x.failure]
    here = fmean(x.accuracy or 0.0 for x in own)
    there = [x.accuracy or 0.0 for x in theirs]
    return {
        "variant": name,
        "task": task,
        "here": here,
        "shipped": fmean(there),
        "difference": here - fmean(there),
        "shipped seeds from": min(there),
        "to": max(there),
        "scored": sum(x.status is Status.SCORED for x in own),
        "eager": next((x.eager for x in own if x.eager), ""),
        "failure": failures[0] if failures else "",
        "seconds of the variant": seconds,
    }


def _deaf(*_: object) -> None:
    """Nobody follows."""


def tiny() -> bool:
    """Whether this is a rehearsal."""
    return REHEARSAL in os.environ


PARTS: dict[str, Part] = {
    "machine": Part(machine, 20, needs_gpu=False),
    "doctor": Part(doctor, 60, needs_gpu=False),
    "smoke": Part(smoke, 60, needs_gpu=False),
    "steps": Part(lambda: steps(tiny()), 110),
    "memory": Part(lambda: compared_memory(tiny()), 30),
    "memorize": Part(lambda: mad_memorize(tiny()), 50),
    "scoring": Part(lambda: scoring_share(tiny()), 35),
    "quick": Part(quick, 110),
}
