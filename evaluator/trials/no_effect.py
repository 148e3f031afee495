"""Whether a change has no effect: the first trainings of a variant end in the bits of its parent's.

Weights that are bit for bit the parent's mean that the change never moved a number in any step of that training, in
either direction. Its other trainings could differ, so the first ones are chosen to tell the most: a change of the state
acts by how often the state was written before it is read, so for each chunk size there is one at the settings with the
most chunks, the cheapest of them. docs/results/no-effect.md says what this cannot see.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from evaluator.outcomes import Status, Trial
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.tasks.registry import fed_length
from evaluator.trials.run_trial import spec_of

EARLY = 2
"""Points of the learning curve at which rounding has not yet grown."""
ROUNDING = 1e-4
"""Relative difference of two losses that another processor's rounding may cause at the early points.

Measured: at most 2e-5, while the least change that acts moved the loss by 7e-4 (docs/results/no-effect.md).
"""


def telling(protocol: Protocol, specs: Iterable[TrialSpec], members: int = 1) -> tuple[TrialSpec, ...]:
    """Of each chunk size, the cheapest of `specs` with the most chunks; with `members`, all that train as one with it.

    Those of most chunks and of the longest sequence come first. Runs that train as one end in other bits than single
    runs do, so they stay together.
    """
    every = tuple(specs)
    best: dict[int, TrialSpec] = {}
    for spec in every:
        size = protocol.tasks[spec.task].chunk_size
        if size not in best or _order(protocol, spec) < _order(protocol, best[size]):
            best[size] = spec
    found = sorted(best.values(), key=lambda spec: (_order(protocol, spec)[0], -fed_length(protocol.setting(spec))))
    if members == 1:
        return tuple(found)
    cells = {(spec.task, spec.setting) for spec in found}
    return tuple(spec for spec in every if (spec.task, spec.setting) in cells)


def _order(protocol: Protocol, spec: TrialSpec) -> tuple[int, int]:
    """Most chunks first, then the fewest tokens to train on."""
    plan, setting = protocol.tasks[spec.task], protocol.setting(spec)
    length = fed_length(setting)
    return -math.ceil(length / plan.chunk_size), plan.steps_of(setting) * plan.batch * length


def same_bits(ours: Sequence[Trial], theirs: Sequence[Trial]) -> bool:
    """Whether each of our trainings ended in the weights, and the score, of theirs at that spec; false for none."""
    known = {spec_of(trial): _result(trial) for trial in theirs if trial.status is Status.SCORED and trial.weights_hash}
    return bool(ours) and all(known.get(spec_of(trial)) == _result(trial) for trial in ours)


def rounding_apart(ours: Sequence[Trial], theirs: Sequence[Trial]) -> bool:
    """Whether the curves begin alike, so that another processor may be all that tells the two apart; false for none.

    Curves are untrusted: this decides only whether the parent is trained here, to compare its bits.
    """
    known = {spec_of(trial): _early(trial) for trial in theirs}
    pairs = [(_early(trial), known.get(spec_of(trial), ())) for trial in ours]
    return bool(pairs) and all(
        len(one) == len(other) == EARLY
        and all(abs(a - b) <= ROUNDING * max(abs(a), abs(b)) for a, b in zip(one, other, strict=True))
        for one, other in pairs
    )


def reason(parent: str, telling_trials: Sequence[Trial], inherited: int, again: bool) -> str:
    """What the record says of it. again: whether the parent was trained again on this machine, to compare bits."""
    where = ", ".join(dict.fromkeys(f"{trial.task} seed {trial.seed}" for trial in telling_trials))
    here = ", trained again on this machine" if again else ""
    return (
        f"NO EFFECT: trained on {where}, every weight ends bit for bit as that of its parent {parent}{here}, so the "
        f"change never acted; the other {inherited} results are the parent's"
    )


def _result(trial: Trial) -> tuple[str | None, float | None, float | None]:
    return trial.weights_hash, trial.accuracy, trial.test_loss


def _early(trial: Trial) -> tuple[float, ...]:
    return tuple(point.loss for point in trial.curve[:EARLY])


def of_specs(trials: Iterable[Trial], specs: Iterable[TrialSpec]) -> list[Trial]:
    """The scored trials at these specs, the last of each."""
    found: Mapping[TrialSpec, Trial] = {spec_of(t): t for t in trials if t.status is Status.SCORED}
    return [found[spec] for spec in specs if spec in found]
