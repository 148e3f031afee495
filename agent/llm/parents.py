"""Which variants a prompt shows as parents: a good one to build on, and one that is strong where it is weak."""

import random
from collections.abc import Mapping
from statistics import fmean

from agent.context import Context
from agent.errors import UserError
from variants.contract import BASELINE, TASKS, Layer, Task

FROM_THE_TOP = 0.6
"""Share of asks that build on one of the best means; the others build on the best of some task."""
TOP = 4


def select_parents(context: Context, structured: bool) -> tuple[str, ...]:
    """One or two names, the parent first. A function of the context alone: its seed decides.

    The structured form needs a parent that the catalogue can express.
    """
    chance = random.Random(context.seed)
    table = {name: known for name, known in merged_scores(context).items() if _possible(context, name, structured)}
    if context.forced_parent is not None:
        parent = context.forced_parent
        if structured and parent not in context.genomes:
            raise UserError(f"--parent {parent}: no mechanisms of the catalogue make it; build on it with --form code")
    elif not table:
        return (BASELINE,)
    elif chance.random() < FROM_THE_TOP:
        ranked = sorted(table, key=lambda name: (-fmean(table[name].values()), name))
        parent = chance.choice(ranked[:TOP])
    else:
        parent = leader(table, chance.choice(TASKS)) or BASELINE
    if structured:
        return (parent,)
    weak = _weakest(table, parent)
    other = leader(table, weak) if weak else None
    return (parent,) if other in (None, parent) else (parent, str(other))


def comparable(context: Context) -> dict[str, dict[Task, float]]:
    """Mean accuracies of the variants measured on all six tasks under the protocol; empty for fewer than two."""
    measured = {
        name: {task: score.mean for task, score in scores.items()}
        for name, scores in context.standings.items()
        if len(scores) == len(TASKS)
    }
    return measured if len(measured) > 1 else {}


def merged_scores(context: Context) -> dict[str, dict[Task, float]]:
    """Mean accuracies by name: measured, or, as long as there is nothing to compare, published. The two never mix."""
    rows = context.published
    as_published = {str(name): {task: float(rows.loc[name, task]) for task in TASKS} for name in rows.index}
    return comparable(context) or as_published


def leader(table: Mapping[str, Mapping[Task, float]], task: Task) -> str | None:
    """The best of a task; None of an empty table."""
    return max(sorted(table), key=lambda name: table[name][task], default=None)


def _weakest(table: Mapping[str, Mapping[Task, float]], parent: str) -> Task | None:
    """The task on which the parent is furthest behind the best."""
    if parent not in table:
        return None
    return max(TASKS, key=lambda task: max(row[task] for row in table.values()) - table[parent][task])


def _possible(context: Context, name: str, structured: bool) -> bool:
    """Whether there is code to show, of the layer that variants belong to."""
    if name not in context.variants or (structured and name not in context.genomes):
        return False
    return context.variants[name].layer is Layer.DELTA_NET
