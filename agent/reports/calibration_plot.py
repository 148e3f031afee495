"""Figures of how good predictions were; matplotlib is wanted only here (extra `plot`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.analysis.boards.board import PUBLISHED_PROTOCOL
from agent.analysis.predictions.calibration import CONFIDENCE, Forecast, Sign, over_time
from agent.reports.figures import require_drawable, save
from variants.contract import short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOUR: dict[Sign | None, str] = {
    "right": "#0072b2", "wrong": "#d55e00", "open": "#999999", "ruled out": "#cc79a7", None: "#000000",
}  # fmt: skip
"""From the palette of Okabe and Ito, which colour-blind readers can tell apart."""
MARK: dict[Sign | None, str] = {"right": "o", "wrong": "X", "open": "o", "ruled out": "s", None: "."}
Titled = tuple[str, Sequence[Forecast]]


def plot_calibration(entries: Sequence[Titled], path: Path) -> None:
    """Draw entries of the ledger to a file: changes, predicted and measured, and coverage over proposals.

    Raises UserError without matplotlib, or for a file that cannot be drawn to.
    """
    require_drawable(path)
    from matplotlib.figure import Figure

    stated = [forecast for _, made in entries for forecast in made if forecast.note]
    own = [(title, made) for title, made in entries if made and not made[0].note]
    figure = Figure(figsize=(14 if own else 8, max(5.0, 1.5 + 0.24 * len(stated))), layout="constrained")
    axes = figure.subplots(1, 3 if own else 1, squeeze=False)[0]
    draw_statements(axes[0], stated)
    if own:
        _draw_changes(axes[1], own)
        _draw_coverage(axes[2], own)
    save(figure, path)


def draw_statements(axes: "Axes", stated: Sequence[Forecast]) -> None:
    """One row a statement of a published report: what noise alone does, and the change that was measured."""
    for row, found in enumerate(reversed(stated)):
        if found.parent is None:
            continue
        if found.no_change is not None:
            noise = [found.no_change.low - found.parent, found.no_change.high - found.parent]
            axes.plot(noise, [row, row], color="#dddddd", linewidth=7, solid_capstyle="butt", zorder=1)
        if found.interval is not None:
            ends = [found.interval.low - found.parent, found.interval.high - found.parent]
            axes.plot(ends, [row, row], color="#009e73", linewidth=2, zorder=2)
        axes.plot(found.measured - found.parent, row, MARK[found.sign], color=COLOUR[found.sign], zorder=3)
    axes.axvline(0, color="black", linewidth=0.6)
    arrow = {"up": "up", "not down": "no loss", "unchanged": "unchanged", "down": "down", None: "?"}
    labels = [f"{_idea(found)}: {found.task} {arrow[found.direction]}" for found in reversed(stated)]
    axes.set_yticks(range(len(stated)), labels, fontsize=7)
    axes.set_xlabel("change of accuracy against the baseline")
    axes.set_title("Published reports: expected (label), measured (mark)", fontsize=9)
    for sign in ("right", "wrong", "open", "ruled out"):
        axes.plot([], [], MARK[sign], color=COLOUR[sign], label=sign)
    axes.plot([], [], color="#dddddd", linewidth=7, label="80 % of replicates")
    axes.plot([], [], color="#009e73", linewidth=2, label="stated interval")
    axes.legend(fontsize=7, loc="lower left")


def _draw_changes(axes: "Axes", own: Sequence[Titled]) -> None:
    for title, made in own:
        known = [
            (f.mean - f.parent, f.measured - f.parent) for f in made if f.mean is not None and f.parent is not None
        ]
        axes.plot([x for x, _ in known], [y for _, y in known], "o", markersize=4, alpha=0.6, label=title)
    low, high = min(axes.get_xlim()[0], axes.get_ylim()[0]), max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([low, high], [low, high], color="black", linewidth=0.6)
    axes.set_xlabel("predicted change against the parent")
    axes.set_ylabel("measured change")
    axes.set_title("Proposers of the archive", fontsize=9)
    axes.legend(fontsize=7)


def _draw_coverage(axes: "Axes", own: Sequence[Titled]) -> None:
    for title, made in own:
        course = [found.coverage for _, found in over_time(made) if found.coverage is not None]
        axes.plot(range(1, len(course) + 1), course, "o-", markersize=3, label=title)
    axes.axhline(CONFIDENCE, color="black", linewidth=0.6, linestyle="--", label=f"{CONFIDENCE:.0%}, as stated")
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("proposals scored")
    axes.set_ylabel("share of intervals that held, so far")
    axes.set_title("Coverage over time", fontsize=9)
    axes.legend(fontsize=7)


def _idea(found: Forecast) -> str:
    idea = short_name(found.variant).removesuffix("_state_update")
    return idea if found.protocol == PUBLISHED_PROTOCOL else f"{idea}, {found.protocol}"
