"""Cells of a leaderboard that cannot differ from another row's: what lies between the two is chance, or nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from agent.analysis.published_inert import Annotations
from agent.analysis.replicates import function_groups
from agent.catalogue import SEED_GENOMES
from evaluator.outcomes import Trial
from evaluator.statistics.lazy_trials import sources
from variants.contract import BASELINE, TASKS, Task


@dataclass(frozen=True)
class Inert:
    """A score whose variant computes what `of` does, outputs and gradients, at this share of a task's settings."""

    of: str
    share: float = 1.0
    inherited: bool = False
    """Whether it is the score of `of`, and was not trained."""

    @property
    def mark(self) -> str:
        """`=` on the whole task, `≈` at some of its settings."""
        return "=" if self.share == 1 else "≈"


def inert_legend(found: Iterable[Inert]) -> str:
    """What the marks mean that occur; empty where none does."""
    known = list(found)
    ways = [
        f"{BASELINE} (a difference is chance)" if any(each.share == 1 and not each.inherited for each in known) else "",
        "its parent (whose score it has)" if any(each.inherited for each in known) else "",
    ]
    whole = f"= cannot differ from {' or '.join(filter(None, ways))}" if any(ways) else ""
    partly = "≈ cannot at some of the task's settings" if any(each.share < 1 for each in known) else ""
    return "; ".join(filter(None, (whole, partly)))


def published_inert(annotations: Annotations, name: str) -> dict[Task, Inert]:
    """Of a published row, as measured at the shapes of the published settings; its own for the baseline is none."""
    if name == annotations.baseline:
        return {}
    shares = {task: annotations.share(name, task) for task in TASKS}
    return {task: Inert(annotations.baseline, share) for task, share in shares.items() if share > 0}


def measured_inert(name: str, trials: Sequence[Trial], protocol: str) -> dict[Task, Inert]:
    """Of a measured row: what was inherited, and for a seed variant what its mechanisms cannot reach."""
    found: dict[Task, Inert] = {}
    whose = sources(trials)
    for task in TASKS:
        runs = whose.get(task, ())
        if len(runs) == 1 and runs[0] != name:
            found[task] = Inert(runs[0], inherited=True)
        elif name in _same_as_baseline(protocol, task):
            found[task] = Inert(BASELINE)
    return found


@cache
def _same_as_baseline(protocol: str, task: Task) -> frozenset[str]:
    groups = function_groups(SEED_GENOMES, SEED_GENOMES, protocol)[task]
    return frozenset(name for group in groups if BASELINE in group for name in group if name != BASELINE)
