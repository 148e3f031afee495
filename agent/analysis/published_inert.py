"""Which cells of the published table cannot differ from the baseline's, as measured at the shapes of its settings."""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from agent.analysis.board import Board
from agent.analysis.replicates import SeedDeviation, pooled_deviation
from archive.files import read_shipped
from evaluator.outcomes import Value
from variants.contract import BASELINE, TASKS, Task, VariantName
from variants.leaderboard import PUBLISHED

ANNOTATIONS = PUBLISHED.with_name("published.inert.json")


class Annotations(Value):
    """Per row and task, how many settings of the published suite are inert: output and gradients are the baseline's."""

    protocol: str
    baseline: VariantName
    settings: dict[Task, int]
    """How many there are."""
    inert: dict[VariantName, dict[Task, int]]
    """A row that is not in here has another layer, and was not compared."""

    def cannot_differ(self, task: Task) -> tuple[str, ...]:
        """Rows that are the baseline at every setting of a task, itself among them."""
        rows = (name for name, found in self.inert.items() if found.get(task, 0) == self.settings[task])
        return tuple(sorted({self.baseline, *rows}))

    def share(self, name: str, task: Task) -> float:
        """Share of a task's settings at which a row cannot differ from the baseline."""
        if name == self.baseline:
            return 1.0
        return self.inert.get(name, {}).get(task, 0) / self.settings[task]


def published_annotations(path: Path = ANNOTATIONS) -> Annotations:
    """Read them. Raises ArchiveError for a file that is missing or damaged."""
    return read_shipped(path, Annotations, "make it again: python -m benchmarks.inert")


def inert_deviations(board: Board, found: Annotations) -> dict[Task, SeedDeviation]:
    """Standard deviation of one run, from the rows of a board that cannot differ; a task without two is absent."""
    known = {}
    for task in TASKS:
        names = tuple(name for name in found.cannot_differ(task) if board.mean(name, task) is not None)
        scores = {name: board.scores[name][task].mean for name in names}
        if len(names) > 1 and (own := pooled_deviation(scores, [names])) is not None:
            known[task] = own
    return known


def extent(board: Board, names: tuple[str, ...], task: Task) -> tuple[float, float, float]:
    """Lowest, mean and highest score of some rows on a task."""
    values = [board.scores[name][task].mean for name in names]
    return min(values), fmean(values), max(values)


def differences(board: Board, task: Task) -> Mapping[str, float]:
    """Each row's score less the baseline's, the largest first."""
    origin = board.scores[BASELINE][task].mean
    found = {name: row[task].mean - origin for name, row in board.scores.items() if task in row}
    return dict(sorted(found.items(), key=lambda item: -item[1]))
