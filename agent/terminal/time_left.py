"""How long the rest takes: work is weighed by what such trials took elsewhere, and speed is measured here."""

from collections.abc import Iterable, Mapping
from functools import cache
from statistics import fmean

from archive.seeding import SHIPPED, shipped_by_variant
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.tasks.registry import fed_length
from variants.contract import BASELINE

SURE = 0.01
"""Share of the work after which the time left is told."""
NANOSECONDS_A_TOKEN = 1_000
"""What a token of training takes at least, where no trial of its setting shipped; only ratios of weights matter."""


def weights(protocol: Protocol, specs: Iterable[TrialSpec]) -> dict[TrialSpec, float]:
    """Work of each trial, in CPU-seconds of the baseline where its trials shipped, else by the tokens it trains on."""
    shipped = _shipped(protocol.name, protocol.hash)
    return {spec: shipped.get((spec.task, spec.setting)) or _by_tokens(protocol, spec) for spec in specs}


def expected_end(worked: float, ends: Iterable[float]) -> float:
    """Share of its work after which a proposal ends that has done `worked`: the mean of the later ones of `ends`."""
    return fmean([end for end in ends if end > worked] or [1.0])


def seconds_left(done: float, whole: float, elapsed: float) -> float | None:
    """Seconds until `whole` units of work are done, at the speed of the first `done`; None while that tells nothing."""
    if whole <= 0 or done < SURE * whole:
        return None
    return elapsed * max(0.0, whole - done) / done


RACED = (0.08, 0.22, 0.24, 0.34, 0.41, 0.77, 1.0, 1.0, 1.0, 1.0)
"""Shares of their work after which raced proposals end, ten equal parts of them: docs/results/racing.md, two cores."""
UNRACED = (1.0,)


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
