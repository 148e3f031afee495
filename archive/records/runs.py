"""Which trials of a variant are one and the same run."""

from collections.abc import Iterable
from typing import Any

from evaluator.outcomes import Trial


def run_of(trial: Trial) -> tuple[Any, ...]:
    """What identifies a trial of a variant. Two trials with equal values are the same trial."""
    plan = (trial.protocol_hash, trial.task, trial.setting, trial.lr, trial.weight_decay, trial.seed)
    return (*plan, trial.isolation)


def once(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """The trials of one variant, each run once: the first of those that are the same.

    A seed variant that a proposal of the archive found has its trials twice, as shipped and in the proposal.
    """
    found: dict[tuple[Any, ...], Trial] = {}
    for trial in trials:
        found.setdefault(run_of(trial), trial)
    return tuple(found.values())
