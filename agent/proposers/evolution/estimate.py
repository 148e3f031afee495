"""A small honest estimate of what a genome will score: its parent's score, and the effects of what changed.

Effects are learnt from differences, never from levels: from each variant measured under the protocol, less its parent,
paired by seed; from a published row, less the published baseline, where its genome was not measured under the protocol,
with an extra variance τ² because the protocol is another. A mechanism that changed nothing is therefore believed to
change nothing, whatever the others did. τ is a typical change on the published board or on the measured one, whichever
is larger. On a task of one chunk only mechanisms that reach the first chunk have effects, and a child with its parent's
first chunk has its parent's score, exactly.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np

from agent.analysis.boards.board import Board, measured_board, published_board
from agent.analysis.measured_changes import Difference, MeasuredChange, PairNoise
from agent.analysis.snapshot import ArchiveSnapshot
from agent.catalogue import SEED_GENOMES, Genome, Mechanism
from agent.proposers.evolution.effects import (
    QUIET,
    ChangedParts,
    Effects,
    Measured,
    Observation,
    Signed,
    misfit,
    signed_changes,
)
from agent.proposers.evolution.without_effect import WithoutEffect
from agent.words import signed
from archive.records.record import Prediction
from evaluator.protocols.built_in import single_chunk_tasks
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE

_UNMEASURED = Difference(float("nan"), float("nan"))
LEAST_EFFECT = 0.01
UNKNOWN_EFFECT = 0.1
"""A typical effect where nothing was measured."""
EIGHTY = 1.638
"""Half of an 80 % interval, in standard deviations: Student's t with 3 degrees of freedom, for a few effects are huge.

Rows left out one at a time: `python -m benchmarks.estimator`, docs/results/estimator.md.
"""


@dataclass(frozen=True)
class Estimate:
    """A score that is expected, with its standard deviation (0: it cannot be otherwise), and why."""

    mean: float
    deviation: float
    why: str

    def prediction(self) -> Prediction:
        """As a proposal states it, within 0..1."""
        low, high = self.mean - EIGHTY * self.deviation, self.mean + EIGHTY * self.deviation
        mean, low, high = (min(1.0, max(0.0, round(x, 4))) for x in (self.mean, low, high))
        return Prediction(mean=mean, low=low, high=high, why=self.why)


class Estimator:
    """Effects per task, learned once from both boards."""

    def __init__(
        self,
        board: Board,
        published: Board,
        genomes: Mapping[str, Genome],
        changes: Sequence[MeasuredChange] = (),
        noise: Mapping[TaskName, PairNoise] | None = None,
    ) -> None:
        """`board`: measured under the protocol that is predicted for; may be without scores, or the published one.

        `changes` and `noise`: measured under that protocol, paired by seed. A row of the board without such a change
        counts by the difference of means, with the board's noise.
        """
        self._board = board
        self._published = published
        self._genomes = genomes
        self._noise = noise or {}
        self._one_chunk = single_chunk_tasks(board.protocol)
        self.without_effect = WithoutEffect(changes)
        named = {change.name for change in changes}
        self._changes = (*changes, *(change for change in unpaired_changes(board, genomes) if change.name not in named))
        self._alone = _by_mechanism(self._changes)
        self._elsewhere = unpaired_changes(published, genomes) if board != published else ()
        self._parts: dict[bool, ChangedParts] = {}
        self._effects = {task: self._learn(task) for task in board.tasks}

    def predict(self, genome: Genome, parent: str) -> dict[TaskName, Estimate]:
        """Scores to expect of a genome, told from its parent where that was measured."""
        return {task: self._estimate(task, genome, parent) for task in self._board.tasks}

    def _estimate(self, task: TaskName, genome: Genome, parent: str) -> Estimate:
        anchor, origin = self._board.scores.get(parent, {}).get(task), self._genomes[parent]
        if anchor is None:
            return self._from_the_baseline(task, genome)
        ours, theirs = self._seen(task, genome), self._seen(task, origin)
        if ours.canonical == theirs.canonical:
            return Estimate(
                anchor.mean, 0.0, "cannot differ from the parent: the sequence is one chunk, its state zero"
            )
        effects, changes = self._effects[task], tuple(signed_changes(ours, theirs))
        why = f"parent {anchor.mean:.3f}; {self._why(task, changes)}"
        reduced = [self.without_effect.reduced(found).canonical for found in (genome, origin)]
        if reduced[0] == reduced[1]:
            return Estimate(anchor.mean, QUIET * effects.typical, why)
        known = effects.of(changes)
        mean = anchor.mean + known.mean
        noise = self._pair_variance(task, anchor.mean, mean) / anchor.n
        return Estimate(mean, (known.deviation**2 + noise + misfit(ours, theirs, effects.typical)) ** 0.5, why)

    def _from_the_baseline(self, task: TaskName, genome: Genome) -> Estimate:
        """Of a child whose parent was not measured: the level of the protocol, and the effects of all mechanisms."""
        effects, (level, deviation) = self._effects[task], self._level(task)
        known = effects.of(signed_changes(self._seen(task, genome), Genome()))
        variance = deviation**2 + known.deviation**2 + misfit(genome, Genome(), effects.typical)
        variance += self._pair_variance(task, level, level) / 2
        return Estimate(level + known.mean, variance**0.5, "parent not measured; level and effects alone")

    def _why(self, task: TaskName, changes: Iterable[Signed]) -> str:
        """What is believed of each mechanism that changes, beside what was measured of it."""
        told = []
        for sign, found in changes:
            verb = "adds" if sign > 0 else "drops"
            told.append(f"{verb} {found.mechanism} ({self._believed(task, sign, found)})")
        return "; ".join(told)

    def _learn(self, task: TaskName) -> Effects:
        known = [change.differences.get(task, _UNMEASURED) for change in self._changes]
        measured = Measured(
            np.array([each.mean for each in known], dtype=np.float64),
            np.array([each.variance for each in known], dtype=np.float64),
            np.array([change.without_effect for change in self._changes], dtype=np.bool_),
        )
        return Effects.learn(self._parts_for(task), measured, self._typical(task), tuple(self._observed(task)))

    def _parts_for(self, task: TaskName) -> ChangedParts:
        """What the measured changes add and drop, of the part of a genome that can matter to a task."""
        if (first_chunk := task in self._one_chunk) not in self._parts:
            seen = [(self._seen(task, change.genome), self._seen(task, change.origin)) for change in self._changes]
            self._parts[first_chunk] = ChangedParts.of(seen)
        return self._parts[first_chunk]

    def _observed(self, task: TaskName) -> Iterator[Observation]:
        """What changes did under another protocol."""
        for change in self._elsewhere:
            if (known := change.differences.get(task)) is not None:
                genome, origin = self._seen(task, change.genome), self._seen(task, change.origin)
                yield Observation(genome, origin, known.mean, known.variance)

    def _typical(self, task: TaskName) -> float:
        """Size of a usual effect: the larger of what the published board shows and what this one does."""
        of_boards = (_from_baseline(board, task) for board in (self._published, self._board))
        usual = [1.48 * median(map(abs, found)) for found in of_boards if found]
        return max(LEAST_EFFECT, *usual) if usual else UNKNOWN_EFFECT

    def _level(self, task: TaskName) -> tuple[float, float]:
        """Mean and standard deviation of the baseline's score: measured, or some share of the published one."""
        if (measured := self._board.mean(BASELINE, task)) is not None:
            return measured, 0.0
        known = self._published.mean(BASELINE, task) or 1.0
        return known / 2, known / 12**0.5

    def _pair_variance(self, task: TaskName, level: float, other: float) -> float:
        """Of the difference of single runs at two accuracies: paired by seed where the noise of that is known."""
        if task in self._noise:
            return self._noise[task].variance(level, other)
        board = self._board if task in self._board.spreads else self._published
        return 2 * board.spreads[task].deviation ** 2 if task in board.spreads else 2 * 0.05**2

    def _seen(self, task: TaskName, genome: Genome) -> Genome:
        """The part of a genome that can matter to a task."""
        return genome.first_chunk if task in self._one_chunk else genome

    def _believed(self, task: TaskName, sign: int, mechanism: Mechanism) -> str:
        """Belief and measurement of one mechanism, from the same changes."""
        effects = self._effects[task]
        belief = effects.of([(sign, mechanism)])
        told = f"{signed(belief.mean)} ± {belief.deviation:.3f}"
        if not effects.scored(mechanism):
            return f"{told}: never scored"
        alone = self._alone.get(mechanism, ())
        measured = [change.differences[task].mean for change in alone if task in change.differences]
        return f"{told}: measured {signed(sign * fmean(measured))}" if measured else told


def _by_mechanism(changes: Iterable[MeasuredChange]) -> dict[Mechanism, list[MeasuredChange]]:
    """Changes that add one mechanism and nothing else."""
    found: dict[Mechanism, list[MeasuredChange]] = {}
    for change in changes:
        added = tuple(signed_changes(change.genome, change.origin))
        if len(added) == 1 and added[0][0] > 0:
            found.setdefault(added[0][1], []).append(change)
    return found


def estimator_of(snapshot: ArchiveSnapshot) -> Estimator:
    """What an archive teaches of its protocol."""
    genomes = {**SEED_GENOMES, **snapshot.genomes}
    board = measured_board(snapshot)
    return Estimator(board, published_board(snapshot), genomes, snapshot.changes, snapshot.pair_noise)


def unpaired_changes(board: Board, genomes: Mapping[str, Genome]) -> tuple[MeasuredChange, ...]:
    """Rows of a board less its baseline, by the difference of means and the noise that the board knows."""
    origin, changes = board.scores.get(BASELINE, {}), []
    for name, row in board.scores.items():
        if name in genomes and name != BASELINE:
            variances = {task: board.spreads[task].deviation ** 2 for task in sorted(row.keys() & origin.keys())}
            found = {
                task: Difference(row[task].mean - origin[task].mean, variance * (1 / row[task].n + 1 / origin[task].n))
                for task, variance in sorted(variances.items())
            }
            changes.append(MeasuredChange(name, BASELINE, genomes[name], Genome(), found))
    return tuple(changes)


def _from_baseline(board: Board, task: TaskName) -> list[float]:
    if BASELINE not in board.rows or task not in board.tasks:
        return []
    levels, origin = board.means[:, board.tasks.index(task)], board.rows[BASELINE]
    gaps = np.delete(levels - levels[origin], origin)
    return [float(gap) for gap in gaps[np.isfinite(gaps)]]
