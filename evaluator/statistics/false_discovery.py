"""Which proposals are better, corrected for the number of proposals tried: the false discovery rate.

Benjamini and Hochberg's procedure over the proposals of an archive. At a rate of 0.10, at most a tenth of the
proposals that are called better are expected not to be better. There are two families, both one-sided: the mean over
tasks, one hypothesis for each proposal, by `moderated_t_test`; and the single tasks, each by a paired t-test.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluator.outcomes import Trial
from evaluator.statistics.lazy_trials import LazyTrials, sources, variant_of
from evaluator.statistics.moderated_t_test import Effect, Noise, chances, effect, paired
from evaluator.statistics.scorecards import seed_accuracies
from evaluator.tasks.names import TaskName
from evaluator.values import Value
from variants.contract import VariantName

LEVELS = (0.05, 0.10)


@dataclass(frozen=True)
class TriedProposal:
    """A trained proposal and the rival that it is compared with."""

    name: VariantName
    against: VariantName
    trials: Sequence[Trial]
    rival: Sequence[Trial]


class Tested(Value):
    """One hypothesis: mean difference, 95 % interval, one-sided p, and p adjusted for all proposals tried."""

    name: VariantName
    against: VariantName
    task: TaskName | None = None
    """None: the mean over all tasks."""
    difference: float
    low: float
    high: float
    n: int
    p: float
    adjusted: float


class Discoveries(Value):
    """A family of hypotheses, best first. A pruned proposal counts as tried, with p = 1, and is not listed."""

    tried: int
    pruned: int
    untestable: int
    """Of proposals that have every task, those without a test: their rival lacks one, or nothing tells of noise.

    They do not count as tried."""
    means: tuple[Tested, ...]
    tasks: tuple[Tested, ...]

    def better(self, level: float) -> tuple[Tested, ...]:
        """Proposals whose mean is called better at this false discovery rate."""
        return tuple(found for found in self.means if found.adjusted <= level)


def discoveries(
    tried: Sequence[TriedProposal],
    noise: Noise | None,
    tasks: Sequence[TaskName],
    *,
    pruned: int = 0,
    single: bool = True,
    only: Collection[VariantName] | None = None,
) -> Discoveries:
    """Test every proposal.

    noise: of the mean over the tasks, from all variants under the protocol. pruned: how many more were tried and
    stopped by racing, without a chance. single: whether to test the single tasks too, which takes most of the time.
    only: whose tests to return; all are counted.
    """
    live = [each for each in tried if _whole(each.trials, tasks) and not _inert(each.trials)]
    found = [(each, effect(paired(each.trials, each.rival, tasks), noise)) for each in live]
    means = [(each, None, known) for each, known in found if known is not None]
    apart = live if single else []
    alone = [(each, task, known) for each in apart for task, known in _per_task(each) if known is not None]
    return Discoveries(
        tried=len(means) + pruned,
        pruned=pruned,
        untestable=len(found) - len(means),
        means=_adjusted(means, pruned, only),
        tasks=_adjusted(alone, pruned * len(tasks), only),
    )


def _per_task(each: TriedProposal) -> list[tuple[TaskName, Effect | None]]:
    ours, theirs = seed_accuracies(each.trials), seed_accuracies(each.rival)
    found = []
    for task in sorted(ours.keys() & theirs.keys()):
        if each.name in sources(each.trials)[task]:
            shared = sorted(ours[task].keys() & theirs[task].keys())
            found.append((task, effect([ours[task][seed] - theirs[task][seed] for seed in shared], None)))
    return found


def _adjusted(
    hypotheses: Sequence[tuple[TriedProposal, TaskName | None, Effect]],
    hopeless: int,
    only: Collection[VariantName] | None,
) -> tuple[Tested, ...]:
    """Adjusted p-values of a family that has `hopeless` further members with p = 1."""
    ps = chances([known for _, _, known in hypotheses])
    adjusted = benjamini_hochberg(np.append(ps, np.ones(hopeless)))
    tests = []
    for (each, task, known), p, q in zip(hypotheses, ps.tolist(), adjusted.tolist(), strict=False):
        if only is None or each.name in only:
            low, high = known.interval()
            tests.append(
                Tested(
                    name=each.name, against=each.against, task=task, difference=known.mean,
                    low=low, high=high, n=known.n, p=p, adjusted=q,
                )
            )  # fmt: skip
    return tuple(sorted(tests, key=lambda test: (test.p, test.name)))


def benjamini_hochberg(ps: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """The p-values, adjusted: for each, the smallest false discovery rate at which it is called.

    As `scipy.stats` has it, whose import takes longer than all else that most commands do.
    """
    found = np.asarray(ps, dtype=np.float64)
    order = np.argsort(found)
    scaled = found[order] * len(found) / np.arange(1, len(found) + 1)
    found = np.empty_like(scaled)
    found[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return np.clip(found, 0, 1)


def _whole(trials: Sequence[Trial], tasks: Sequence[TaskName]) -> bool:
    return seed_accuracies(trials).keys() >= set(tasks)


def _inert(trials: Sequence[Trial]) -> bool:
    if isinstance(trials, LazyTrials) and not trials.digest.other_sources:
        return False
    return all(variant_of(trials) not in runs for runs in sources(trials).values())
