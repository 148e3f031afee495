"""How far one row of a leaderboard is from others, task by task, and what of that may be chance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from variants.contract import TASKS, Task

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Gap:
    """Score of one row less that of another on one task, its standard error, and the freedom of that."""

    difference: float
    error: float
    freedom: float
    cannot_differ: bool = False
    """Both rows compute the same function there: whatever lies between them is chance."""

    @property
    def noise(self) -> float:
        """What chance alone exceeds in 5 of 100 cases."""
        return float(stats.t.ppf(0.975, self.freedom)) * self.error

    @property
    def beyond_noise(self) -> bool:
        """Whether the difference says anything, taken for itself."""
        return abs(self.difference) > self.noise and not self.cannot_differ

    @property
    def p(self) -> float:
        """Two-sided; 1 where the two cannot differ."""
        return 1.0 if self.cannot_differ else 2 * float(stats.t.sf(abs(self.difference) / self.error, self.freedom))


@dataclass(frozen=True)
class Lead:
    """One row less every row, in the order of `Contrasts.names`: rows × tasks each. `same`: they cannot differ."""

    difference: Array
    error: Array
    freedom: Array
    same: Flags

    def gap(self, row: int, task: Task) -> Gap:
        """To one of the rows on one task."""
        at = (row, TASKS.index(task))
        return Gap(float(self.difference[at]), float(self.error[at]), float(self.freedom[at]), bool(self.same[at]))

    def p_above(self) -> Array:
        """One-sided: chance of so large a lead where there is none; 1 where there can be none."""
        return np.where(self.same, 1.0, stats.t.sf(self.difference / self.error, self.freedom))

    def p_below(self) -> Array:
        """The same for being behind."""
        return np.where(self.same, 1.0, stats.t.sf(-self.difference / self.error, self.freedom))
