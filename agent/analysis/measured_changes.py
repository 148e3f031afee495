"""What each change of mechanisms did: a variant's scores less its parent's, paired by seed, with their noise.

The noise is the moderated one of `evaluator.statistics`, and follows p (1 - p): at the ceiling runs differ less than in
the middle, and a task's variants may stand at both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

import numpy as np

from agent.analysis.replicates import SHARED_FREEDOM, UNKNOWN_SCALE, binomial
from agent.catalogue import SEED_GENOMES, Genome, known_genome
from archive.records.lines import ProposalLine
from evaluator.outcomes import Trial
from evaluator.statistics.moderated_t_test import Noise, effect, noise_by_task
from evaluator.statistics.scorecards import seed_accuracies
from evaluator.statistics.seed_table import seed_table
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE

LEARNT = 5_000
"""From so many trained proposals, the newest, a search learns what changes do: more would tell it nothing new."""
Accuracies = Mapping[TaskName, Mapping[int, float]]


@dataclass(frozen=True)
class PairNoise:
    """Noise of the difference of two variants on one task, for one seed: `scale` times the mean of their p (1 - p)."""

    scale: float
    freedom: int

    def variance(self, level: float, other: float) -> float:
        """Of the difference of single seeds, between a variant at this accuracy and one at the other."""
        return self.scale * (binomial(level) + binomial(other)) / 2


@dataclass(frozen=True)
class Difference:
    """Mean difference over the seeds that both have, and its variance."""

    mean: float
    variance: float


@dataclass(frozen=True)
class MeasuredChange:
    """From one genome to another, and what that did to the score of each task."""

    name: str
    parent: str
    genome: Genome
    origin: Genome
    differences: Mapping[TaskName, Difference]
    identical_trials: int = 0
    """How many were trained, if each is the parent's of that seed: accuracy and, where both trials name it, weights."""

    @property
    def without_effect(self) -> bool:
        """Whether the change did nothing at all."""
        return self.identical_trials > 0


def pair_noise(trials: Mapping[str, Sequence[Trial]], tasks: Sequence[TaskName]) -> dict[TaskName, PairNoise]:
    """Per task, from all variants; what published rows show, for a task on which nothing was replicated."""
    known, levels = noise_by_task(trials, tasks), seed_table(trials, tasks).means
    found = {}
    for task, own in zip(tasks, levels.T, strict=True):
        if task not in known:
            found[task] = PairNoise(2 * UNKNOWN_SCALE**2, SHARED_FREEDOM)
        else:
            level = fmean(map(binomial, own[np.isfinite(own)].tolist()))
            found[task] = PairNoise(known[task].variance / level, known[task].freedom)
    return found


def measured_changes(
    trials: Mapping[str, Sequence[Trial]],
    pruned: Mapping[str, Sequence[Trial]],
    lines: Iterable[ProposalLine],
    noise: Mapping[TaskName, PairNoise],
) -> tuple[MeasuredChange, ...]:
    """Of variants made of mechanisms, of many the newest: a proposal against its parent, a seed against the baseline.

    A proposal counts against the baseline where its parent shares no seed or is not made of mechanisms; one that shares
    none with either is left out. `pruned`: trials of what racing gave up.
    """
    proposals = {line.name: line for line in lines}

    @cache
    def genome_of(name: str) -> Genome | None:
        proposed = known_genome(proposals[name].mechanisms) if name in proposals else None
        return SEED_GENOMES.get(name, proposed)

    changes = []
    for name, variant_trials in _newest({**pruned, **trials}, proposals).items():
        parents = (proposals[name].parent, BASELINE) if name in proposals else (BASELINE,)
        genome = genome_of(name)
        for parent in parents if genome is not None else ():
            origin = genome_of(parent) if parent in trials and parent != name else None
            if genome is not None and origin is not None:
                differences = _differences(seed_accuracies(variant_trials), seed_accuracies(trials[parent]), noise)
                if differences:
                    quiet = name in proposals and proposals[name].no_effect and parent == proposals[name].parent
                    same = _trained(variant_trials) if quiet else _identical_trials(variant_trials, trials[parent])
                    changes.append(MeasuredChange(name, parent, genome, origin, differences, same))
                    break
    return tuple(changes)


def _newest(trials: Mapping[str, Sequence[Trial]], proposals: Mapping[str, ProposalLine]) -> dict[str, Sequence[Trial]]:
    """The trials of the newest proposals, LEARNT of them, and of what is no proposal, in their order."""
    numbers = sorted(proposals[name].number for name in trials if name in proposals)
    oldest = numbers[-LEARNT] if len(numbers) > LEARNT else 0
    return {name: own for name, own in trials.items() if name not in proposals or proposals[name].number >= oldest}


def _differences(
    ours: Accuracies, theirs: Accuracies, noise: Mapping[TaskName, PairNoise]
) -> dict[TaskName, Difference]:
    found = {}
    for task in sorted(ours.keys() & theirs.keys()):
        seeds = sorted(ours[task].keys() & theirs[task].keys())
        levels = [fmean([row[task][seed] for seed in seeds]) for row in (ours, theirs)] if seeds else []
        common = noise.get(task)
        pooled = Noise(common.variance(*levels), common.freedom) if common and levels else None
        if (known := effect([ours[task][seed] - theirs[task][seed] for seed in seeds], pooled)) is not None:
            found[task] = Difference(known.mean, known.error**2)
    return dict(sorted(found.items()))


def _identical_trials(ours: Sequence[Trial], theirs: Sequence[Trial]) -> int:
    """How many trials both have, if all are alike on every task; else 0.

    Accuracies first: they are known without reading the trials, and nearly always differ.
    """
    left, right = seed_accuracies(ours), seed_accuracies(theirs)
    pairs = {task: left[task].keys() & right[task].keys() for task in sorted(left.keys() & right.keys())}
    if left.keys() != right.keys() or not all(pairs.values()):
        return 0
    alike = all(left[task][seed] == right[task][seed] for task, seeds in pairs.items() for seed in seeds)
    return sum(map(len, pairs.values())) if alike and _same_weights(ours, theirs) else 0


def _trained(trials: Sequence[Trial]) -> int:
    return sum(trial.inherited_from is None for trial in trials)


def _same_weights(ours: Sequence[Trial], theirs: Sequence[Trial]) -> bool:
    known = {_run(trial): trial.weights_hash for trial in theirs if trial.weights_hash}
    return all(known.get(_run(trial), trial.weights_hash) == trial.weights_hash for trial in ours if trial.weights_hash)


def _run(trial: Trial) -> tuple[str, str, float, float, int]:
    return trial.task, trial.setting, trial.lr, trial.weight_decay, trial.seed
