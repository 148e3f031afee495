"""Which proposals are better, corrected for the number of proposals tried: the false discovery rate.

Benjamini and Hochberg's procedure over the proposals of an archive. At a rate of 0.10, at most a tenth of the
proposals that are called better are expected not to be better. There are two families, both one-sided: the mean over
tasks, one hypothesis for each proposal, by `moderated_t_test`; and the single tasks, each by a paired t-test.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from evaluator.statistics.moderated_t_test import Effects, Noise, effects
from evaluator.statistics.seed_table import Array, SeedTable
from evaluator.tasks.names import TaskName
from evaluator.values import Value
from variants.contract import VariantName

LEVELS = (0.05, 0.10)


class Hypothesis(NamedTuple):
    """A proposal is better than its rival. task: on this one; None: in the mean over all tasks."""

    name: VariantName
    against: VariantName
    task: TaskName | None = None


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


class Tests(Sequence[Tested]):
    """Tests of a family, best first. Each is made when it is looked at: few of many thousands are."""

    def __init__(self, hypotheses: Sequence[Hypothesis], found: Effects, ps: Array, adjusted: Array) -> None:
        """found, ps, adjusted: of each hypothesis, in their order."""
        self._hypotheses = hypotheses
        self._effects = found
        self._ps = ps.tolist()
        self._adjusted = adjusted.tolist()

    @cached_property
    def _order(self) -> list[int]:
        def key(place: int) -> tuple[float, str, str]:
            name, _, task = self._hypotheses[place]
            return self._ps[place], name, task or ""

        return sorted(range(len(self._hypotheses)), key=key)

    def of(self, names: Iterable[VariantName]) -> list[Tested]:
        """The tests of these proposals alone, best first."""
        wanted = set(names)
        return [self._test(place) for place in self._order if self._hypotheses[place].name in wanted]

    def _test(self, place: int) -> Tested:
        (name, against, task), known = self._hypotheses[place], self._effects[place]
        low, high = known.interval()
        return Tested(
            name=name, against=against, task=task, difference=known.mean, low=low, high=high, n=known.n,
            p=self._ps[place], adjusted=self._adjusted[place],
        )  # fmt: skip

    @overload
    def __getitem__(self, index: int) -> Tested: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Tested, ...]: ...
    def __getitem__(self, index: int | slice) -> Tested | tuple[Tested, ...]:
        """A test or some of them."""
        if isinstance(index, slice):
            return tuple(map(self._test, self._order[index]))
        return self._test(self._order[index])

    def __iter__(self) -> Iterator[Tested]:
        """The tests, each made as it is reached."""
        return map(self._test, self._order)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._hypotheses)


@dataclass(frozen=True)
class Discoveries:
    """A family of hypotheses, best first. A pruned proposal counts as tried, with p = 1, and is not listed."""

    tried: int
    pruned: int
    untestable: int
    """Of proposals that have every task, those without a test: their rival lacks one, or nothing tells of noise.

    They do not count as tried."""
    means: Tests
    tasks: Tests

    def better(self, level: float) -> tuple[Tested, ...]:
        """Proposals whose mean is called better at this false discovery rate."""
        return tuple(takewhile(lambda found: found.adjusted <= level, self.means))

    def by_chance(self, p: float, level: float) -> int:
        """How many have a p-value of at most `p` and are not called better at this rate."""
        return sum(found.adjusted > level for found in takewhile(lambda found: found.p <= p, self.means))


def discoveries(
    table: SeedTable,
    tried: Sequence[tuple[VariantName, VariantName]],
    noise: Noise | None,
    *,
    pruned: int = 0,
    single: bool = True,
) -> Discoveries:
    """Test every proposal.

    table: proposals and rivals, with the tasks of the protocol. tried: names of each trained proposal, and of the rival
    that it is compared with. noise: of the mean over the tasks, from all variants under the protocol. pruned: how many
    more were tried and stopped by racing, without a chance. single: whether to test the single tasks too.
    """
    live = np.logical_and((table.counts > 0).all(axis=1), table.own.any(axis=1))
    pairs = [Hypothesis(name, against) for name, against in tried if live[table.row[name]]]
    ours = np.array([table.row[name] for name, _, _ in pairs], dtype=np.intp)
    theirs = np.array([table.row[against] for _, against, _ in pairs], dtype=np.intp)
    means = table.over_tasks()
    found = effects(means[ours] - means[theirs], noise)
    known = found.freedom > 0
    apart = slice(None if single else 0)
    return Discoveries(
        tried=int(known.sum()) + pruned,
        pruned=pruned,
        untestable=int((~known).sum()),
        means=_tests(pairs, found, known, pruned),
        tasks=_on_tasks(table, pairs[apart], ours[apart], theirs[apart], pruned),
    )


def _on_tasks(
    table: SeedTable, pairs: Sequence[Hypothesis], ours: NDArray[np.intp], theirs: NDArray[np.intp], pruned: int
) -> Tests:
    """Each task that a proposal was trained on, by a paired t-test of its own seeds."""
    differences = table.accuracies[ours] - table.accuracies[theirs]
    found = effects(differences.reshape(-1, differences.shape[2]), None)
    hypotheses = [pair._replace(task=task) for pair in pairs for task in table.tasks]
    return _tests(hypotheses, found, (found.freedom > 0) & table.own[ours].reshape(-1), pruned * len(table.tasks))


def _tests(hypotheses: Sequence[Hypothesis], found: Effects, known: NDArray[np.bool_], hopeless: int) -> Tests:
    """The tests of the known effects, in a family that has `hopeless` further members with p = 1."""
    some = found.only(known)
    ps = some.p_greater
    adjusted = benjamini_hochberg(np.append(ps, np.ones(hopeless)))
    return Tests([hypotheses[place] for place in np.flatnonzero(known).tolist()], some, ps, adjusted[: len(ps)])


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
