"""A leaderboard as proposers and report read it: scores, and how large a difference must be to mean something."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from scipy import stats

from agent.catalogue import SEED_GENOMES, Genome
from agent.context import Context
from agent.replicates import Spread, moderate, spreads
from evaluator.outcomes import Score
from variants.contract import TASKS, Task

PUBLISHED_PROTOCOL = "mad"


@dataclass(frozen=True)
class Board:
    """Scores by name under one protocol, and the noise of one seed per task."""

    title: str
    protocol: str
    scores: Mapping[str, Mapping[Task, Score]]
    spreads: Mapping[Task, Spread]
    """Noise of one seed, of every task that anybody has a score of."""

    def half_width(self, task: Task, n: int = 1, confidence: float = 0.95) -> float:
        """Half of the interval of a mean of n seeds, by Student's t on the pooled spread."""
        known = self.spreads[task]
        return float(stats.t.ppf((1 + confidence) / 2, known.freedom)) * known.deviation / math.sqrt(n)

    def least_difference(self, task: Task, n: int = 1, m: int = 1) -> float:
        """Difference between means of n and m seeds that noise alone exceeds in 5 of 100 cases."""
        return self.half_width(task) * math.sqrt(1 / n + 1 / m)

    def mean(self, name: str, task: Task) -> float | None:
        """The score of a variant, if there is one."""
        score = self.scores.get(name, {}).get(task)
        return None if score is None else score.mean


def published_board(context: Context) -> Board:
    """The published leaderboard: one seed a row; its noise is known from rows that are the same function."""
    rows = {str(name): {task: float(row[task]) for task in TASKS} for name, row in context.published.iterrows()}
    scores = {name: {task: Score(mean=x, low=x, high=x, n=1) for task, x in row.items()} for name, row in rows.items()}
    known = spreads(rows, _genomes(context), PUBLISHED_PROTOCOL)
    return Board("published, one seed", PUBLISHED_PROTOCOL, scores, moderate(known, _levels(scores)))


def measured_board(context: Context) -> Board:
    """What was measured under the protocol, with the noise between seeds of one variant.

    Rows that are one function are no replicates here: a task on which a variant cannot differ inherits its score.
    """
    known = {task: Spread(deviation, max(1, _freedom(context, task))) for task, deviation in context.noise.items()}
    levels = _levels(context.standings)
    return Board(f"protocol {context.protocol}", context.protocol, context.standings, moderate(known, levels))


def best_board(context: Context) -> Board:
    """The measured board once two variants were measured on all tasks, else the published one. The two never mix."""
    full = [name for name, row in context.standings.items() if len(row) == len(TASKS)]
    return measured_board(context) if len(full) > 1 else published_board(context)


def _levels(scores: Mapping[str, Mapping[Task, Score]]) -> dict[Task, float]:
    """The median score of each task."""
    rows = {task: [row[task].mean for row in scores.values() if task in row] for task in TASKS}
    return {task: median(found) for task, found in rows.items() if found}


def _genomes(context: Context) -> Mapping[str, Genome]:
    return {**SEED_GENOMES, **context.genomes}


def _freedom(context: Context, task: Task) -> int:
    return sum(row[task].n - 1 for row in context.standings.values() if task in row)
