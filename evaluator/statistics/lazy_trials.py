"""Trials of one variant that are read from disk on first access. Statistics use a digest and need no reading."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

from pydantic_core import from_json

from evaluator.outcomes import Score, Scorecard, Trial
from evaluator.tasks.names import TaskName
from variants.contract import VariantName


@dataclass(frozen=True, slots=True)
class Digest:
    """The values that statistics need from the trials of one variant under one version of a protocol.

    A search holds one of each trained proposal of its archive: so they are plain, small, and not validated.
    """

    variant: VariantName
    protocol: str
    protocol_hash: str
    accuracies: Mapping[TaskName, Mapping[int, float]]
    """Accuracy of each task for each complete seed."""
    other_sources: Mapping[TaskName, Sequence[VariantName]]
    """`sources` of the tasks that have inherited runs, and of those that have no complete seed."""
    late: str
    """JSON of the spreads, and of mean, low, high and n of each score: of most variants nobody asks for them."""

    @classmethod
    def of(
        cls,
        card: Scorecard,
        accuracies: Mapping[TaskName, Mapping[int, float]],
        sources: Mapping[TaskName, Sequence[VariantName]],
        spreads: Mapping[TaskName, tuple[float, int]],
    ) -> "Digest":
        """The digest of trials with this scorecard."""
        own = (card.variant,)
        others = {task: names for task, names in sources.items() if tuple(names) != own or task not in accuracies}
        means = {task: (score.mean, score.low, score.high, score.n) for task, score in card.scores.items()}
        identity = (card.variant, card.protocol, card.protocol_hash)
        return cls(*identity, accuracies, others, json.dumps((spreads, means)))

    @property
    def sources(self) -> dict[TaskName, tuple[VariantName, ...]]:
        """Per task, the variants whose runs these are: the variant itself, or those that it inherited from."""
        own = dict.fromkeys(self.accuracies, (self.variant,))
        return own | {task: tuple(names) for task, names in self.other_sources.items()}

    @property
    def spreads(self) -> dict[TaskName, tuple[float, int]]:
        """Per task, sum of squares between seeds within each setting that was run, and its degrees of freedom."""
        return {task: (squares, freedom) for task, (squares, freedom) in from_json(self.late)[0].items()}

    def card(self) -> Scorecard:
        """The variant's scorecard."""
        scores = {
            task: Score.model_construct(mean=mean, low=low, high=high, n=n)
            for task, (mean, low, high, n) in from_json(self.late)[1].items()
        }
        return Scorecard.model_construct(
            variant=self.variant, protocol=self.protocol, protocol_hash=self.protocol_hash, scores=scores
        )

    def to_json(self) -> str:
        """As `from_json` reads it."""
        accuracies = {task: (list(found), list(found.values())) for task, found in self.accuracies.items()}
        identity = (self.variant, self.protocol, self.protocol_hash)
        return json.dumps((*identity, accuracies, self.other_sources, self.late))

    @classmethod
    def from_json(cls, text: str) -> "Digest":
        """What `to_json` wrote."""
        variant, protocol, protocol_hash, accuracies, others, late = from_json(text, cache_strings="all")
        by_seed = {task: dict(zip(*found, strict=True)) for task, found in accuracies.items()}
        return cls(variant, protocol, protocol_hash, by_seed, others, late)


class LazyTrials(Sequence[Trial]):
    """A sequence of the trials of a digest. The first access to a trial reads all of them."""

    def __init__(self, digest: Digest, read: Callable[[], Sequence[Trial]]) -> None:
        """read: returns the trials."""
        self.digest = digest
        self._read = read
        self.means: dict[tuple[TaskName, ...], dict[int, float]] = {}
        """Of each seed over some tasks, as far as somebody has asked."""
        self._trials: Sequence[Trial] | None = None

    @cached_property
    def card(self) -> Scorecard:
        """The scorecard of the digest."""
        return self.digest.card()

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
