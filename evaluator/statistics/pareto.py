"""The Pareto front: rows that no other row is at least as good as everywhere, and better somewhere."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def dominating(means: NDArray[Any], row: int) -> list[int]:
    """Rows of `means` `[rows, tasks]` that dominate one of them."""
    others = means - means[row]
    found: list[int] = np.flatnonzero((others >= 0).all(axis=1) & (others > 0).any(axis=1)).tolist()
    return found


def undominated(means: NDArray[Any]) -> list[int]:
    """Rows of `means` `[rows, tasks]` that none dominates, the largest mean first; fast for ten thousand rows."""
    front: list[int] = []
    for row in np.argsort(-means.sum(axis=1), kind="stable").tolist():  # who dominates has the larger sum: came before
        above = means[front] - means[row]
        if not ((above >= 0).all(axis=1) & (above > 0).any(axis=1)).any():
            front.append(row)
    return front
