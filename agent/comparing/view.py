"""What `archer compare` prints."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from agent.analysis.boards.leaderboard import WORTHLESS
from agent.comparing.best_so_far import Curve, Point
from agent.terminal.speech import Speech
from agent.words import number
from evaluator.protocols.built_in import tasks_of


def answer(
    speech: Speech, protocol: str, digest: str, curves: Sequence[Curve], against: Sequence[Mapping[str, Any]]
) -> None:
    """The curves' ends and the differences; with `--json` all points, too."""
    if speech.as_json:
        document = {"protocol": {"name": protocol, "hash": digest}, "differences": list(against)}
        speech.answer(document | {"curves": [each.model_dump(mode="json") for each in curves]})
        return
    best = f"best, mean of {number(len(tasks_of(protocol)))}"
    table = Table(
        "proposer", "repeats", "proposals", "scored", "CPU min", "asking, min", best, "interval over",
        box=None, title=f"{protocol}: best proposal within the budget", title_justify="left",
    )  # fmt: skip
    for each in curves:
        reached = _told(each.by_proposal[-1]) if each.by_proposal else "–"
        times = (f"{each.cpu_minutes:.1f}", f"{each.asking_minutes:.1f}" if each.asking_minutes else "–")
        counts = (str(each.repeats), str(each.proposals), str(each.scored), *times)
        table.add_row(each.proposer, *counts, reached, each.interval)
    speech.out.print(table)
    for row in against:
        if row["difference"] is not None:
            interval = f" [{row['low']:+.3f}, {row['high']:+.3f}]" if row["low"] is not None else ", no interval"
            speech.out.print(
                f"{row['proposer']} less {row['against']}: {row['difference']:+.3f}{interval}, n {row['n']}",
                markup=False,
            )
    if protocol in WORTHLESS:
        speech.out.print(WORTHLESS[protocol])


def _told(point: Point) -> str:
    return f"{point.mean:.3f}" + (f" [{point.low:.3f}, {point.high:.3f}]" if point.low is not None else "")
