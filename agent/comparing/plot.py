"""The figure of a comparison of proposers; matplotlib is wanted only here (extra `plot`)."""

from collections.abc import Sequence
from pathlib import Path

from agent.comparing.best_so_far import Curve
from agent.reports.figures import require_drawable, save
from agent.words import number
from evaluator.protocols.built_in import tasks_of

COLOURS = ("#0072b2", "#d55e00", "#009e73")
"""From the palette of Okabe and Ito."""
STYLES = ("-", "--", ":")


def plot_curves(curves: Sequence[Curve], protocol: str, path: Path) -> None:
    """Best so far over proposals and over CPU-minutes, with intervals. Raises UserError if it cannot be drawn."""
    require_drawable(path)
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for each, colour, style in zip(curves, COLOURS, STYLES, strict=False):
        for axes, points in ((left, each.by_proposal), (right, each.by_minute)):
            at = [point.at for point in points]
            axes.step(at, [point.mean for point in points], style, where="post", color=colour, label=each.proposer)
            low = [point.mean if point.low is None else point.low for point in points]
            high = [point.mean if point.high is None else point.high for point in points]
            axes.fill_between(at, low, high, step="post", color=colour, alpha=0.2)
    left.set_xlabel("proposals")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_xlabel("CPU-minutes")
    left.set_ylabel(f"best so far, mean of {number(len(tasks_of(protocol)))} ({protocol})")
    left.legend()
    save(figure, path)
