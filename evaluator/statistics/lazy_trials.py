"""Trials of one variant that are read from disk on first access. Statistics use a digest and need no reading."""

from collections.abc import Callable, Mapping, Sequence
from typing import overload

from evaluator.outcomes import Score, Trial
from evaluator.tasks.names import TaskName
from evaluator.values import Value
from variants.contract import VariantName


class Digest(Value):
    """The values that statistics need from the trials of one variant under one version of a protocol."""

    variant: VariantName
    protocol: str
    protocol_hash: str
    accuracies: dict[TaskName, dict[int, float]]
    """Accuracy of each task for each complete seed."""
    sources: dict[TaskName, tuple[VariantName, ...]]
    """Per task, the variants whose runs these are: the variant itself, or those that it inherited from."""
    spreads: dict[TaskName, tuple[float, int]]
    """Per task, sum of squares between seeds within each setting that was run, and its degrees of freedom."""
    scores: dict[TaskName, Score]
    """The scores of the variant's scorecard."""


class LazyTrials(Sequence[Trial]):
    """A sequence of the trials of a digest. The first access to a trial reads all of them."""

    def __init__(self, digest: Digest, read: Callable[[], Sequence[Trial]]) -> None:
        """read: returns the trials."""
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
        """A trial or a slice, in the order of the archive."""
        return self._all()[index]

    def __len__(self) -> int:
        """Number of trials; never 0."""
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        """Equal to any sequence that a tuple of these trials equals."""
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        """True, without reading."""
        return True

    def _all(self) -> Sequence[Trial]:
        if self._trials is None:
            self._trials = self._read()
        return self._trials


def of_version(trials: Sequence[Trial], protocol_hash: str | None) -> Sequence[Trial]:
    """The trials under this version of their protocol. Trials of other versions do not compare."""
    if isinstance(trials, LazyTrials):
        return trials if trials.digest.protocol_hash == protocol_hash else ()
    return [trial for trial in trials if trial.protocol_hash == protocol_hash]


def comparable(trials: Mapping[str, Sequence[Trial]], protocol_hash: str | None) -> dict[str, Sequence[Trial]]:
    """By variant, the trials under this version of the protocol. A variant without such trials is left out."""
    return {name: own for name, every in trials.items() if (own := of_version(every, protocol_hash))}


def sources(trials: Sequence[Trial]) -> Mapping[TaskName, tuple[VariantName, ...]]:
    """Per task, the variants whose runs these are: the variant itself, or those that it inherited from."""
    if isinstance(trials, LazyTrials):
        return trials.digest.sources
    found: dict[TaskName, dict[VariantName, None]] = {}
    for trial in trials:
        found.setdefault(trial.task, {})[trial.inherited_from or trial.variant] = None
    return {task: tuple(names) for task, names in found.items()}


def variant_of(trials: Sequence[Trial]) -> VariantName:
    """The variant of the trials. Raises IndexError if there are no trials."""
    return trials.digest.variant if isinstance(trials, LazyTrials) else trials[0].variant
