"""What a mechanism is believed to do to the score of one task: a Bayesian linear regression on measured changes.

A change from one genome to another adds the effects of the mechanisms that it adds, less those that it drops. The
effect of a mechanism has two parts: one that all its parameters share (`SHARED` of the variance) and one of the
parameters at hand. Both start at 0; together ± τ, τ being a typical change of the task. A measured change counts with
the noise of its seeds and, unless it is one mechanism beside the baseline, a variance (τ/2)² for what is not additive;
one that was without effect is believed nearly exactly.

A mechanism that was never scored is believed to be as those of its slot were: mean and variance are unknown, and learnt
from their effects (normal-inverse-gamma prior; Gelman et al., Bayesian Data Analysis, 3rd edition, section 3.3). What
it did alone under another protocol counts beside that, with an extra variance τ².
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from agent.catalogue import CATALOGUE, Genome, Mechanism

Vector = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]
Signed = tuple[int, Mechanism]
"""A mechanism that a change adds (1) or drops (-1)."""

SHARED = 0.9
"""Share of the variance of an effect that does not depend on the mechanism's parameters."""
SLOT_FREEDOM = 4
"""Degrees of freedom that τ counts for, beside the effects measured in a slot."""
QUIET = 0.05
"""Standard deviation, in τ, of what a mechanism without effect may do on another parent."""
SLOT = {kind: slot for slot, kinds in CATALOGUE.items() for kind in kinds}


@dataclass(frozen=True)
class Observation:
    """A change from one genome to another: what it did to a score, with its variance."""

    genome: Genome
    origin: Genome
    difference: float
    variance: float


@dataclass(frozen=True)
class ChangedParts:
    """What measured changes add (1) and drop (-1): a sparse matrix, changes × parts of effects, by its entries.

    A part that a change both adds and drops is an entry of 0.
    """

    settings: Mapping[str, Mechanism]
    """The mechanisms, with their parameters, by the part of their own."""
    parts: tuple[str, ...]
    rows: Indices
    """Of each entry, the change; ascending."""
    columns: Indices
    entries: Vector
    additive: Flags
    """Of each change, whether it is one mechanism beside the baseline."""

    @classmethod
    def of(cls, changes: Sequence[tuple[Genome, Genome]]) -> "ChangedParts":
        """Of changes from one genome to another, each given as the new and the old one."""
        settings: dict[str, Mechanism] = {}
        rows: list[dict[str, int]] = []
        for genome, origin in changes:
            row: dict[str, int] = defaultdict(int)
            for sign, found in signed_changes(genome, origin):
                shared, own = _parts(found)
                settings[own] = found
                row[shared] += sign
                row[own] += sign
            rows.append(row)
        parts = tuple(sorted({part for row in rows for part in row}))
        columns = {part: index for index, part in enumerate(parts)}
        return cls(
            settings,
            parts,
            np.repeat(np.arange(len(rows)), np.array([len(row) for row in rows], dtype=np.intp)),
            np.array([columns[part] for row in rows for part in row], dtype=np.intp),
            np.array([entry for row in rows for entry in row.values()], dtype=np.float64),
            np.array([_is_additive(genome, origin) for genome, origin in changes], dtype=np.bool_),
        )

    @cached_property
    def pairs(self) -> tuple[Indices, Indices]:
        """Every two entries of one change, in either order, and each with itself."""
        counts = np.bincount(self.rows, minlength=len(self.additive))[self.rows]
        firsts = np.searchsorted(self.rows, self.rows)
        left = np.repeat(np.arange(len(self.rows)), counts)
        within = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
        return left, np.repeat(firsts, counts) + within


@dataclass(frozen=True)
class Measured:
    """What each of some changes did to the score of one task; NaN where it was not measured there.

    quiet: it did nothing at all.
    """

    differences: Vector
    variances: Vector
    quiet: Flags


@dataclass(frozen=True)
class Belief:
    """Mean and standard deviation of an effect."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Effects:
    """What is believed of one task: the parts of all effects that were scored, jointly normal, by column."""

    columns: Mapping[str, int]
    settings: tuple[Mechanism, ...]
    """The mechanisms that were scored, with their parameters."""
    mean: Vector
    covariance: NDArray[np.float64]
    typical: float
    elsewhere: Mapping[str, Observation]
    """By mechanism, what it did alone under another protocol."""

    @classmethod
    def learn(
        cls, changes: ChangedParts, measured: Measured, typical: float, elsewhere: Sequence[Observation] = ()
    ) -> "Effects":
        """From measured changes; `typical`: size of a usual change, τ. `elsewhere`: measured under another protocol."""
        weights = measured_weights(changes, measured, typical)
        used = weights[changes.rows] > 0
        seen = np.unique(changes.columns[used])
        parts = [changes.parts[column] for column in seen]
        precision, pull = _normal_equations(changes, seen, weights, np.where(measured.quiet, 0.0, measured.differences))
        precision += np.diag([1 / (_share(part) * typical**2) for part in parts])
        covariance: NDArray[np.float64] = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        mean: Vector = covariance @ pull
        settings = tuple(changes.settings[part] for part in parts if part in changes.settings)
        alone = {found[0][1].mechanism: each for each in elsewhere if len(found := _change(each)) == 1}
        columns = {part: index for index, part in enumerate(parts)}
        return cls(columns, settings, mean, covariance, typical, alone)

    def scored(self, mechanism: Mechanism) -> bool:
        """Whether a mechanism was ever scored, with whatever parameters."""
        return mechanism.mechanism in self.columns

    def of(self, signed: Iterable[Signed]) -> Belief:
        """The effect of adding (1) and dropping (-1) mechanisms."""
        row, mean, variance = np.zeros(len(self.columns)), 0.0, 0.0
        for sign, found in signed:
            if not self.scored(found):
                unseen = self._unseen(found)
                mean, variance = mean + sign * unseen.mean, variance + unseen.deviation**2
                continue
            for part in _parts(found):
                if part in self.columns:
                    row[self.columns[part]] += sign
                else:
                    variance += _share(part) * self.typical**2
        return Belief(mean + float(row @ self.mean), float(row @ self.covariance @ row + variance) ** 0.5)

    def _unseen(self, mechanism: Mechanism) -> Belief:
        """Of a mechanism that was never scored here: as others of its slot, and as it was elsewhere, give or take τ."""
        prior = self._slots.get(SLOT[type(mechanism)], Belief(0.0, self.typical))
        if (other := self.elsewhere.get(mechanism.mechanism)) is None:
            return prior
        own, theirs = prior.deviation**-2, 1 / (other.variance + self.typical**2)
        mean = (own * prior.mean + theirs * other.difference) / (own + theirs)
        return Belief(mean, (own + theirs) ** -0.5)

    @cached_property
    def _slots(self) -> dict[str, Belief]:
        """The effect of one more mechanism, by slot."""
        effects = defaultdict(list)
        for found in self.settings:
            effects[SLOT[type(found)]].append(self.of([(1, found)]).mean)
        return {slot: _of_another(found, self.typical) for slot, found in effects.items()}


def misfit(genome: Genome, origin: Genome, typical: float) -> float:
    """Variance of what is not additive: none for one mechanism beside the baseline, whose effect is defined so."""
    return 0.0 if _is_additive(genome, origin) else (typical / 2) ** 2


def measured_weights(changes: ChangedParts, measured: Measured, typical: float) -> Vector:
    """What each change counts: one over its variance; 0 where the task was not measured."""
    variances = measured.variances + np.where(changes.additive, 0.0, (typical / 2) ** 2)
    variances = np.where(measured.quiet, (QUIET * typical) ** 2, variances)
    weights: Vector = np.where(np.isnan(measured.differences), 0.0, 1 / variances)
    return weights


def signed_changes(genome: Genome, origin: Genome) -> Iterator[Signed]:
    """What a change adds (1) and drops (-1); mechanisms that do nothing by their definition are no change."""
    for slot in {**genome.mechanisms, **origin.mechanisms}:
        new, old = genome.mechanisms.get(slot), origin.mechanisms.get(slot)
        if new != old:
            yield from ((sign, found) for sign, found in ((1, new), (-1, old)) if found and not found.no_op)


def _change(observation: Observation) -> tuple[Signed, ...]:
    return tuple(signed_changes(observation.genome, observation.origin))


def _of_another(effects: Sequence[float], typical: float) -> Belief:
    """Of one more draw from where `effects` were drawn, a normal distribution of unknown mean and variance."""
    n, center = len(effects), fmean(effects)
    squares = sum((x - center) ** 2 for x in effects) + n / (n + 1) * center**2
    scale = (SLOT_FREEDOM * typical**2 / 2 + squares) / (SLOT_FREEDOM + n)
    return Belief(n / (n + 1) * center, (scale * (1 + 1 / (n + 1))) ** 0.5)


@cache
def _parts(mechanism: Mechanism) -> tuple[str, str]:
    """Names of the two columns that make up an effect."""
    return mechanism.mechanism, mechanism.model_dump_json()


def _share(part: str) -> float:
    return 1 - SHARED if part.startswith("{") else SHARED


def _is_additive(genome: Genome, origin: Genome) -> bool:
    return sum(len(each.mechanisms) for each in (genome, origin)) == 1


def _normal_equations(
    changes: ChangedParts, seen: Indices, weights: Vector, values: Vector
) -> tuple[NDArray[np.float64], Vector]:
    """Xᵀ W X and Xᵀ W y for the columns `seen` of the sparse matrix X; changes of weight 0 count for nothing."""
    place, size = np.zeros(len(changes.parts), dtype=np.intp), len(seen)
    place[seen] = np.arange(size)
    used = weights[changes.rows] > 0
    left, right = (side[used[changes.pairs[0]]] for side in changes.pairs)
    cells = place[changes.columns[left]] * size + place[changes.columns[right]]
    products = weights[changes.rows[left]] * changes.entries[left] * changes.entries[right]
    rows, columns, entries = changes.rows[used], place[changes.columns[used]], changes.entries[used]
    pull = _sums(columns, entries * (values[rows] * weights[rows]), size)
    return _sums(cells, products, size * size).reshape(size, size), pull


def _sums(places: Indices, values: Vector, size: int) -> Vector:
    """Sum of the values of each place below `size`, added in their order: every machine has the same bits."""
    return np.bincount(places, weights=values, minlength=size).astype(np.float64)
