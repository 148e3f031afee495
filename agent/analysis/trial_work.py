"""How much work a trial is: by what such trials took elsewhere."""

from collections.abc import Iterable, Mapping
from functools import cache
from statistics import fmean

from archive.seeding import SHIPPED, shipped_by_variant
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.tasks.registry import fed_length
from variants.contract import BASELINE

NANOSECONDS_A_TOKEN = 1_000
"""What a token of training takes at least, where no trial of its setting shipped; only ratios of weights matter."""


def weights(protocol: Protocol, specs: Iterable[TrialSpec]) -> dict[TrialSpec, float]:
    """Work of each trial, in CPU-seconds of the baseline where its trials shipped, else by the tokens it trains on."""
    shipped = _shipped(protocol.name, protocol.hash)
    return {spec: shipped.get((spec.task, spec.setting)) or _by_tokens(protocol, spec) for spec in specs}


@cache
def _shipped(protocol: str, protocol_hash: str) -> Mapping[tuple[str, str], float]:
    if protocol not in SHIPPED:
        return {}
    seconds: dict[tuple[str, str], list[float]] = {}
    for trial in shipped_by_variant(protocol).get(BASELINE, ()):
        if trial.protocol_hash == protocol_hash and trial.inherited_from is None:
            seconds.setdefault((trial.task, trial.setting), []).append(trial.cpu_seconds)
    return {cell: fmean(own) for cell, own in seconds.items()}


def _by_tokens(protocol: Protocol, spec: TrialSpec) -> float:
    plan, setting = protocol.tasks[spec.task], protocol.setting(spec)
    return plan.steps_of(setting) * plan.batch * fed_length(setting) * NANOSECONDS_A_TOKEN / 1e9
