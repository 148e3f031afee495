"""Trials of one variant that are read when they are looked at: what statistics need is known without reading them."""

from collections.abc import Callable, Mapping, Sequence
from typing import overload

from evaluator.outcomes import Score, Trial
from evaluator.tasks.names import TaskName
from evaluator.values import Value
from variants.contract import VariantName


class Digest(Value):
    """What statistics need of the trials of one variant under one version of a protocol."""

    variant: VariantName
    protocol: str
    protocol_hash: str
    accuracies: dict[TaskName, dict[int, float]]
    """Accuracy of each task for each complete seed."""
    sources: dict[TaskName, tuple[VariantName, ...]]
    """Whose runs they are: the variant's own, or those that it inherited."""
    spreads: dict[TaskName, tuple[float, int]]
    """Sum of squares between seeds within its own settings, and its degrees of freedom."""
    scores: dict[TaskName, Score]
    """Of its scorecard."""


class LazyTrials(Sequence[Trial]):
    """All trials of a digest, read once somebody looks at one."""

    def __init__(self, digest: Digest, read: Callable[[], Sequence[Trial]]) -> None:
        """`read` gives the trials."""
        self.digest = digest
        self._read = read
        self.means: dict[tuple[TaskName, ...], dict[int, float]] = {}
        """Of each seed over some tasks, as far as somebody has asked."""
        self._trials: Sequence[Trial] | None = None

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | Sequence[Trial]:
        """Trials in the order in which they are archived."""
        return self._all()[index]

    def __len__(self) -> int:
        """How many there are; never none."""
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        """As a tuple of the trials is."""
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        """Known without reading."""
        return True

    def _all(self) -> Sequence[Trial]:
        if self._trials is None:
            self._trials = self._read()
        return self._trials


def of_version(trials: Sequence[Trial], protocol_hash: str | None) -> Sequence[Trial]:
    """Those under this version of their protocol: others do not compare."""
    if isinstance(trials, LazyTrials):
        return trials if trials.digest.protocol_hash == protocol_hash else ()
    return [trial for trial in trials if trial.protocol_hash == protocol_hash]


def comparable(trials: Mapping[str, Sequence[Trial]], protocol_hash: str | None) -> dict[str, Sequence[Trial]]:
    """Of every variant those under this version of their protocol; a variant without any is left out."""
    return {name: own for name, every in trials.items() if (own := of_version(every, protocol_hash))}


def sources(trials: Sequence[Trial]) -> Mapping[TaskName, tuple[VariantName, ...]]:
    """Per task, whose runs these are: the variant's own, or those that it inherited."""
    if isinstance(trials, LazyTrials):
        return trials.digest.sources
    found: dict[TaskName, dict[VariantName, None]] = {}
    for trial in trials:
        found.setdefault(trial.task, {})[trial.inherited_from or trial.variant] = None
    return {task: tuple(names) for task, names in found.items()}


def variant_of(trials: Sequence[Trial]) -> VariantName:
    """The variant that trials are of. Raises IndexError for none."""
    return trials.digest.variant if isinstance(trials, LazyTrials) else trials[0].variant
