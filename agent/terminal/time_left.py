"""How long the rest takes: work is weighed by what such trials took elsewhere, and speed is measured here."""

from collections.abc import Iterable
from statistics import fmean

SURE = 0.01
"""Share of the work after which the time left is told."""


def expected_end(worked: float, ends: Iterable[float]) -> float:
    """Share of its work after which a proposal ends that has done `worked`: the mean of the later ones of `ends`."""
    return fmean([end for end in ends if end > worked] or [1.0])


def seconds_left(done: float, whole: float, elapsed: float) -> float | None:
    """Seconds until `whole` units of work are done, at the speed of the first `done`; None while that tells nothing."""
    if whole <= 0 or done < SURE * whole:
        return None
    return elapsed * max(0.0, whole - done) / done


RACED = (0.08, 0.22, 0.24, 0.34, 0.41, 0.77, 1.0, 1.0, 1.0, 1.0)
"""Shares of their work after which raced proposals end, ten equal parts of them: docs/results/racing.md, two cores."""
UNRACED = (1.0,)
