"""How likely chance alone puts a row where it stands: dominated, on the front, above the reference on all tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from agent.analysis.gaps import Array, Gap, Lead
from agent.analysis.paired_differences import PairedDifferences
from variants.contract import TASKS, Task


@dataclass(frozen=True)
class Look:
    """One row against all others: by which it is dominated on the means, and what is likely of that."""

    dominating: Sequence[int]
    p_dominated: float
    above: int
    """The row that dominates it most surely."""
    p_front: float
    gaps: Mapping[Task, Gap]


def look(contrasts: PairedDifferences, own: int, reference: str) -> Look:
    """One row of a board against all others, and its gaps to the reference."""
    name, names = contrasts.names[own], contrasts.names
    lead = contrasts.lead(name)
    dominating = (lead.difference <= 0).all(axis=1) & (lead.difference < 0).any(axis=1)
    p_dominated, above = _p_dominated(lead, own)
    gaps = {}
    if reference in names and name != reference:
        gaps = {task: lead.gap(names.index(reference), task) for task in TASKS}
    return Look(np.flatnonzero(dominating).tolist(), p_dominated, above, _p_front(lead, own), gaps)


def _p_dominated(lead: Lead, own: int) -> tuple[float, int]:
    """Of being dominated by some row, and by which most likely.

    Tasks on which the two tie to the last digit are no obstacle: paired seeds tie where a result was inherited, or
    where a change never took effect.
    """
    tie = lead.same | (lead.difference == 0)
    p = np.where(tie, 0.0, lead.p_below()).max(axis=1)
    p[tie.all(axis=1)] = 1.0
    p[own] = 1.0
    row = int(p.argmin())
    return min(1.0, float(p[row]) * (len(p) - 1)), row


def _p_front(lead: Lead, own: int) -> float:
    """Of being above each other row on some task, whichever."""
    p = np.minimum(1.0, len(TASKS) * lead.p_above().min(axis=1))
    return float(np.delete(p, own).max()) if len(p) > 1 else 1.0


def p_beats(gaps: Mapping[Task, Gap]) -> float:
    """p of being above on all tasks: the largest of the single one-sided ones."""
    return max(gap.p / 2 if gap.difference > 0 else 1 - gap.p / 2 for gap in gaps.values())


def adjusted(ps: Sequence[float]) -> Array:
    """p-values, adjusted by Benjamini and Hochberg's procedure."""
    found: Array = np.asarray(stats.false_discovery_control(ps, method="bh") if len(ps) else [], dtype=np.float64)
    return found
