"""A small honest estimate of what a genome will score: additive effects of mechanisms, shrunken, with intervals.

Per task, a Bayesian linear regression: score = level of the protocol + sum of the mechanisms' effects + noise. Effects
start at 0 ± τ, τ being a typical effect on the published board or on the measured one, whichever is larger. Published
rows count by their difference to the published baseline, with an extra variance τ² because the protocol is another;
rows measured under the protocol count in full, but for the noise of their seeds and a variance (τ/2)² for what is not
additive. Before anything is measured, the level of a protocol other than the published one is some share of the
published level, any share alike. A child is predicted from its parent's measured score and the effects of what
changed. On a task of one chunk only mechanisms that reach the first chunk have effects, and a child with its parent's
first chunk has its parent's score, exactly.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from agent.analysis.board import Board
from agent.analysis.leaderboard_facts import gaps
from agent.analysis.snapshot import Pruned
from agent.catalogue import CATALOGUE, Genome
from archive.record import Prediction
from evaluator.outcomes import Score
from evaluator.protocols.built_in import single_chunk_tasks
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE

Vector = NDArray[np.float64]

COLUMN: dict[str, int] = {
    kind.model_fields["mechanism"].default: index
    for index, kind in enumerate((kind for kinds in CATALOGUE.values() for kind in kinds), start=1)
}
"""Column of each mechanism in the design; column 0 is the level of the protocol."""
LEVEL_DEVIATION = 0.05
"""Of the level under the published protocol; under another it is the published level times a uniform share."""
LEAST_EFFECT = 0.01
EIGHTY = 1.533
"""Half of an 80 % interval, in standard deviations: Student's t with 4 degrees of freedom, for a few effects are huge.

Of the published rows, left out one at a time, 80 of 104 scores lie inside; a normal distribution's 1.28 held for 74.
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


@dataclass(frozen=True)
class Effects:
    """What is believed of one task: level and effects, jointly normal; and which mechanisms were ever scored."""

    mean: Vector
    covariance: NDArray[np.float64]
    typical: float
    scored: frozenset[str]


class Estimator:
    """Effects per task, learned once from both boards."""

    def __init__(
        self, board: Board, published: Board, genomes: dict[str, Genome], pruned: Mapping[str, Pruned] | None = None
    ) -> None:
        """`board`: measured under the protocol that is predicted for; may be without scores, or the published one.

        `pruned`: what was given up under the board's protocol. Its one or two seeds teach like any, with their noise.
        """
        self._pruned = pruned or {}
        self._board = board
        self._published = published
        self._genomes = genomes
        self._one_chunk = single_chunk_tasks(board.protocol)
        self._effects = {task: self._learn(task) for task in self._board.tasks}

    def predict(self, genome: Genome, parent: str) -> dict[TaskName, Estimate]:
        """Scores to expect of a genome, told from its parent where that was measured."""
        return {task: self._estimate(task, genome, parent) for task in self._board.tasks}

    def _estimate(self, task: TaskName, genome: Genome, parent: str) -> Estimate:
        effects = self._effects[task]
        anchor, origin = self._board.scores.get(parent, {}).get(task), self._genomes[parent]
        ours, theirs = self._seen(task, genome), self._seen(task, origin)
        if anchor is not None and ours.canonical == theirs.canonical:
            return Estimate(
                anchor.mean, 0.0, "cannot differ from the parent: the sequence is one chunk, its state zero"
            )
        seed = self._deviation(task)
        noise = seed**2 / (anchor.n if anchor else 1)
        misfit = (effects.typical / 2) ** 2
        if anchor is None:
            x = _row(ours) + _level()
            mean = float(x @ effects.mean)
            return Estimate(mean, _root(x, effects, noise + misfit), "parent not measured; level and effects alone")
        x = _row(ours) - _row(theirs)
        mean = anchor.mean + float(x @ effects.mean)
        return Estimate(mean, _root(x, effects, 2 * noise + misfit), self._why(effects, ours, theirs, anchor.mean))

    def _why(self, effects: Effects, ours: Genome, theirs: Genome, anchor: float) -> str:
        changes = []
        for slot in (*ours.mechanisms, *(slot for slot in theirs.mechanisms if slot not in ours.mechanisms)):
            new, old = ours.mechanisms.get(slot), theirs.mechanisms.get(slot)
            if new == old:
                continue
            if new and old and new.mechanism == old.mechanism:
                changes.append(f"{new.mechanism} with other parameters")
                continue
            changes += [_effect(effects, found.mechanism, sign) for found, sign in ((new, 1), (old, -1)) if found]
        return f"parent {anchor:.3f}; {'; '.join(changes)}"

    def _learn(self, task: TaskName) -> Effects:
        known = {name: gap for name in self._published.scores if (gap := self._published_gap(name, task)) is not None}
        typical = self._typical(task, list(known.values()))
        rows, values, variances, scored = [], [], [], set[str]()
        for name, gap in known.items() if self._board != self._published else ():
            rows.append(_row(self._seen(task, self._genomes[name])))
            values.append(gap)
            variances.append(2 * self._published.spreads[task].deviation ** 2 + typical**2)
            scored |= {found.mechanism for found in self._genomes[name].mechanisms.values()}
        for genome, score in self._measured(task):
            rows.append(_row(self._seen(task, genome)) + _level())
            values.append(score.mean)
            variances.append(self._deviation(task) ** 2 / score.n + (typical / 2) ** 2)
            scored |= {found.mechanism for found in genome.mechanisms.values()}
        mean, covariance = _posterior(rows, values, variances, self._level(task), typical)
        return Effects(mean, covariance, typical, frozenset(scored))

    def _measured(self, task: TaskName) -> Iterator[tuple[Genome, Score]]:
        """Of the board and of what was pruned, where a genome tells what it is made of."""
        for name, scores in self._board.scores.items():
            if task in scores and name in self._genomes:
                yield self._genomes[name], scores[task]
        for found in self._pruned.values():
            if task in found.scores:
                yield found.genome, found.scores[task]

    def _typical(self, task: TaskName, published: list[float]) -> float:
        """Size of a usual effect: the larger of what the published board shows and what this one does."""
        base = self._board.mean(BASELINE, task)
        rows = ((name, self._board.mean(name, task)) for name in self._board.scores if name != BASELINE)
        measured = [mean - base for _, mean in rows if mean is not None and base is not None]
        usual = [1.48 * median(map(abs, gaps)) for gaps in (published, measured) if gaps]
        return max(LEAST_EFFECT, *usual) if usual else 0.1

    def _level(self, task: TaskName) -> tuple[float, float]:
        """Mean and standard deviation of the protocol's level before anything is measured."""
        known = self._published.mean(BASELINE, task)
        if known is not None and self._board.protocol == self._published.protocol:
            return known, LEVEL_DEVIATION
        return (known or 1.0) / 2, (known or 1.0) / 12**0.5

    def _published_gap(self, name: str, task: TaskName) -> float | None:
        return gaps(self._published, name, BASELINE).get(task) if name in self._genomes and name != BASELINE else None

    def _seen(self, task: TaskName, genome: Genome) -> Genome:
        """The part of a genome that can matter to a task."""
        return genome.first_chunk if task in self._one_chunk else genome

    def _deviation(self, task: TaskName) -> float:
        board = self._board if task in self._board.spreads else self._published
        return board.spreads[task].deviation if task in board.spreads else 0.05


def _posterior(
    rows: list[Vector], values: list[float], variances: list[float], level: tuple[float, float], typical: float
) -> tuple[Vector, NDArray[np.float64]]:
    """Mean and covariance of level and effects, given rows of the design with values of known variance."""
    columns = 1 + len(COLUMN)
    prior = np.diag([level[1] ** -2, *[typical**-2] * len(COLUMN)])
    x, y, weight = np.array(rows).reshape(-1, columns), np.array(values), 1 / np.array(variances)
    precision = prior + x.T @ (weight[:, None] * x)
    covariance: NDArray[np.float64] = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    mean: Vector = covariance @ (prior @ (level[0] * _level()) + x.T @ (weight * y))
    return mean, covariance


def _row(genome: Genome) -> Vector:
    row = np.zeros(1 + len(COLUMN))
    row[[COLUMN[found.mechanism] for found in genome.mechanisms.values() if not found.no_op]] = 1.0
    return row


def _level() -> Vector:
    level = np.zeros(1 + len(COLUMN))
    level[0] = 1.0
    return level


def _root(x: Vector, effects: Effects, variance: float) -> float:
    return float(np.sqrt(x @ effects.covariance @ x + variance))


def _effect(effects: Effects, mechanism: str, sign: int) -> str:
    column = COLUMN[mechanism]
    verb = "adds" if sign > 0 else "drops"
    told = f"{sign * effects.mean[column]:+.3f} ± {effects.covariance[column, column] ** 0.5:.3f}"
    return f"{verb} {mechanism} ({told if mechanism in effects.scored else 'never scored'})"
