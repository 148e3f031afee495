"""Trials of one variant that are read from disk on first access. Statistics use a digest and need no reading."""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple, overload

from pydantic_core import from_json

from evaluator.outcomes import Score, Scorecard, Trial
from evaluator.tasks.names import TaskName
from variants.contract import VariantName


class Digest(NamedTuple):
    """The values that statistics need from the trials of one variant under one version of a protocol.

    A search holds one of each trained proposal of its archive: so they are plain, small, and read when they are asked
    for.
    """

    variant: VariantName
    protocol: str
    protocol_hash: str
    layout: str
    """JSON of the complete seeds of each task; the same for most variants."""
    packed: bytes
    """Accuracies in the order of `layout`, each a float64, little-endian."""
    others: str
    """JSON of `sources` of the tasks that have inherited runs, and of those without a complete seed; empty if none."""
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
        values = [value for found in accuracies.values() for value in found.values()]
        return cls(
            variant=card.variant,
            protocol=card.protocol,
            protocol_hash=card.protocol_hash,
            layout=json.dumps({task: list(found) for task, found in accuracies.items()}),
            packed=struct.pack(f"<{len(values)}d", *values),
            others=json.dumps(others) if others else "",
            late=json.dumps((spreads, means)),
        )

    @property
    def accuracies(self) -> dict[TaskName, dict[int, float]]:
        """Accuracy of each task for each complete seed."""
        values = iter(struct.unpack(f"<{len(self.packed) // 8}d", self.packed))
        return {task: {seed: next(values) for seed in seeds} for task, seeds in seeds_of(self.layout).items()}

    @property
    def other_sources(self) -> dict[TaskName, tuple[VariantName, ...]]:
        """`sources` of the tasks that have inherited runs, and of those that have no complete seed."""
        return {task: tuple(names) for task, names in from_json(self.others).items()} if self.others else {}

    @property
    def sources(self) -> dict[TaskName, tuple[VariantName, ...]]:
        """Per task, the variants whose runs these are: the variant itself, or those that it inherited from."""
        return dict.fromkeys(seeds_of(self.layout), (self.variant,)) | self.other_sources

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


@lru_cache(maxsize=4096)
def seeds_of(layout: str) -> Mapping[TaskName, tuple[int, ...]]:
    """The complete seeds of each task, from the layout of a digest."""
    return {task: tuple(seeds) for task, seeds in json.loads(layout).items()}


class LazyTrials(Sequence[Trial]):
    """A sequence of the trials of a digest. The first access to a trial reads all of them."""

    def __init__(self, digest: Digest, read: Callable[[], Sequence[Trial]]) -> None:
        """read: returns the trials."""
        self.digest = digest
        self._read = read
        self._trials: Sequence[Trial] | None = None

    @cached_property
    def card(self) -> Scorecard:
        """The scorecard of the digest."""
        return self.digest.card()

    @cached_property
    def accuracies(self) -> Mapping[TaskName, Mapping[int, float]]:
        """Accuracy of each task for each complete seed."""
        return self.digest.accuracies

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
