"""Student's t: intervals of a mean, quantiles, sums of squares. The distribution is scipy's."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from statistics import fmean

import numpy as np
import scipy
from numpy.typing import NDArray

from evaluator.tasks.names import TaskName

CONFIDENCE = 0.95


def student_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Mean, low and high of Student's t interval. For one value, all three are this value."""
    mean = fmean(values)
    if len(values) == 1:
        return mean, mean, mean
    half = quantile(0.5 + confidence / 2, len(values) - 1) * math.sqrt(
        sum_of_squares(values) / (len(values) - 1) / len(values)
    )
    return mean, mean - half, mean + half


def sum_of_squares(values: Sequence[float]) -> float:
    """Sum of squared deviations from the mean."""
    mean = fmean(values)
    return math.fsum((value - mean) ** 2 for value in values)


def pooled_deviations(spreads: Iterable[Mapping[TaskName, tuple[float, int]]]) -> dict[TaskName, float]:
    """Standard deviation of one value per task, from sums of squares within variants and their degrees of freedom.

    A task without any freedom is absent.
    """
    squares: dict[TaskName, float] = defaultdict(float)
    freedom: dict[TaskName, int] = defaultdict(int)
    for own in spreads:
        for task, (more, degrees) in own.items():
            squares[task] += more
            freedom[task] += degrees
    return {task: math.sqrt(squares[task] / freedom[task]) for task in freedom if freedom[task]}


@lru_cache(maxsize=4096)
def quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t distribution, by scipy."""
    return float(scipy.special.stdtrit(freedom, probability))


def chance_above(ratio: NDArray[np.float64] | float, freedom: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """The chance of a larger value by Student's t. `scipy.stats` has the same, and is slow to import."""
    return np.asarray(scipy.special.stdtr(freedom, -ratio), dtype=np.float64)
