"""The Pareto front: rows that no other row dominates (at least as good on all tasks, and better on one)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def dominating(means: NDArray[Any], row: int) -> list[int]:
    """Indices of the rows of `means` `[rows, tasks]` that dominate the row `row`."""
    others = means - means[row]
    found: list[int] = np.flatnonzero((others >= 0).all(axis=1) & (others > 0).any(axis=1)).tolist()
    return found


def undominated(means: NDArray[Any]) -> list[int]:
    """Indices of the undominated rows of `means` `[rows, tasks]`, largest mean first; fast for ten thousand rows."""
    front: list[int] = []
    for row in np.argsort(-means.sum(axis=1), kind="stable").tolist():  # who dominates has the larger sum: came before
        above = means[front] - means[row]
        if not ((above >= 0).all(axis=1) & (above > 0).any(axis=1)).any():
            front.append(row)
    return front
