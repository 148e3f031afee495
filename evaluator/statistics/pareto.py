"""The Pareto front: rows that no other row dominates (at least as good on all tasks, and better on one)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def dominate(ahead: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rivals dominate a row. ahead: `[rivals, tasks]`, the score of each less that of the row."""
    return np.logical_and((ahead >= 0).all(axis=1), (ahead > 0).any(axis=1))


def undominated(means: NDArray[Any]) -> list[int]:
    """Indices of the undominated rows of `means` `[rows, tasks]`, largest mean first; fast for ten thousand rows."""
    front: list[int] = []
    for row in np.argsort(-means.sum(axis=1), kind="stable").tolist():  # who dominates has the larger sum: came before
        if not dominate(means[front] - means[row]).any():
            front.append(row)
    return front
