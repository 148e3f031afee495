"""Cells of a leaderboard that cannot differ from the same cell of another row, so a difference is chance."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

from agent.analysis.boards.board import Board
from agent.analysis.replicates import SeedDeviation, function_groups, pooled_deviation
from agent.catalogue import SEED_GENOMES
from archive.files import read_shipped
from archive.tables.leaderboard_csv import PUBLISHED
from evaluator.outcomes import Trial
from evaluator.protocols.built_in import tasks_of
from evaluator.statistics.lazy_trials import sources
from evaluator.tasks.names import TaskName
from evaluator.values import Value
from variants.contract import BASELINE, VariantName

ANNOTATIONS = PUBLISHED.with_name("published.inert.json")


class Annotations(Value):
    """Per published row and task, how many settings are inert: outputs and gradients there equal the baseline's."""

    protocol: str
    baseline: VariantName
    settings: dict[TaskName, int]
    """Number of settings of each task."""
    inert: dict[VariantName, dict[TaskName, int]]
    """Number of inert settings, by row and task. A row that is missing here has another layer and was not compared."""

    def cannot_differ(self, task: TaskName) -> tuple[str, ...]:
        """Rows that equal the baseline at every setting of a task, and the baseline itself."""
        rows = (name for name, found in self.inert.items() if found.get(task, 0) == self.settings[task])
        return tuple(sorted({self.baseline, *rows}))

    def share(self, name: str, task: TaskName) -> float:
        """Share of a task's settings at which a row cannot differ from the baseline."""
        if name == self.baseline:
            return 1.0
        return self.inert.get(name, {}).get(task, 0) / self.settings[task]


def published_annotations(path: Path = ANNOTATIONS) -> Annotations:
    """Read the annotations that ship with archer. Raises ArchiveError for a file that is missing or damaged."""
    return read_shipped(path, Annotations, "make it again: python -m benchmarks.inert")


def inert_deviations(board: Board, annotations: Annotations) -> dict[TaskName, SeedDeviation]:
    """Standard deviation of one run per task, from rows that cannot differ. A task without two such rows is absent."""
    deviations = {}
    for task in annotations.settings:
        names = tuple(name for name in annotations.cannot_differ(task) if board.mean(name, task) is not None)
        scores = {name: board.scores[name][task].mean for name in names}
        if len(names) > 1 and (deviation := pooled_deviation(scores, [names])) is not None:
            deviations[task] = deviation
    return deviations


def extent(board: Board, names: tuple[str, ...], task: TaskName) -> tuple[float, float, float]:
    """Lowest, mean and highest score of some rows on a task."""
    values = [board.scores[name][task].mean for name in names]
    return min(values), fmean(values), max(values)


def differences(board: Board, task: TaskName) -> Mapping[str, float]:
    """Each row's score less the baseline's, the largest first."""
    origin = board.scores[BASELINE][task].mean
    found = {name: row[task].mean - origin for name, row in board.scores.items() if task in row}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


@dataclass(frozen=True)
class Inert:
    """Marks a score: at the share `share` of the task's settings, the variant computes the same as the variant `of`."""

    of: str
    share: float = 1.0
    inherited: bool = False
    """Whether the score was inherited from `of` and not trained."""

    @property
    def mark(self) -> str:
        """`=` on the whole task, `(=)` at some of its settings."""
        return "=" if self.share == 1 else "(=)"


def inert_legend(marked: Iterable[Inert]) -> str:
    """The legend of the marks that occur among `marked`; empty without marks."""
    marks = list(marked)
    ways = [
        f"{BASELINE} (a difference is chance)" if any(each.share == 1 and not each.inherited for each in marks) else "",
        "its parent (whose score it has)" if any(each.inherited for each in marks) else "",
    ]
    whole = f"= cannot differ from {' or '.join(filter(None, ways))}" if any(ways) else ""
    partly = "(=) cannot at some of the task's settings" if any(each.share < 1 for each in marks) else ""
    return "; ".join(filter(None, (whole, partly)))


def published_inert(annotations: Annotations, name: str) -> dict[TaskName, Inert]:
    """Marks of a published row, measured at the shapes of the published settings. The baseline has no marks."""
    if name == annotations.baseline:
        return {}
    shares = {task: annotations.share(name, task) for task in annotations.settings}
    return {task: Inert(annotations.baseline, share) for task, share in shares.items() if share > 0}


def measured_inert(name: str, trials: Sequence[Trial], protocol: str) -> dict[TaskName, Inert]:
    """Marks of a measured row: inherited scores and, for a seed variant, tasks that its mechanisms cannot reach."""
    marks_by_task: dict[TaskName, Inert] = {}
    sources_by_task = sources(trials)
    for task in tasks_of(protocol):
        source_variants = sources_by_task.get(task, ())
        if len(source_variants) == 1 and source_variants[0] != name:
            marks_by_task[task] = Inert(source_variants[0], inherited=True)
        elif name in _same_as_baseline(protocol, task):
            marks_by_task[task] = Inert(BASELINE)
    return marks_by_task


@cache
def _same_as_baseline(protocol: str, task: TaskName) -> frozenset[str]:
    groups = function_groups(SEED_GENOMES, SEED_GENOMES, protocol)[task]
    return frozenset(name for group in groups if BASELINE in group for name in group if name != BASELINE)
