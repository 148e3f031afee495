"""Which cells of the published table cannot differ from the baseline's, what their spread says of one seed's noise.

python -m benchmarks.inert            measure (about a CPU-minute), write published.inert.json, print, draw
python -m benchmarks.inert --draw     print and draw again from what was measured

For each published row of the baseline's layer: at each of the 66 settings of `mad`, whether outputs and gradients are
the baseline's. The table goes to standard output, the figure to docs/results/inert.svg.
"""

import argparse
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agent.analysis.boards.board import PUBLISHED_NAME, Board, open_board
from agent.analysis.boards.inert import (
    ANNOTATIONS,
    Annotations,
    differences,
    extent,
    inert_deviations,
    published_annotations,
)
from archive.files import write_text
from evaluator.checks.bench import Bench
from evaluator.checks.inert import inert_settings
from evaluator.protocols.built_in import MAD
from evaluator.sandbox import Limits, Sandbox
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import MAD_TASKS
from evaluator.trials.evaluate import kernel_shapes
from variants.contract import BASELINE, Layer, short_name
from variants.seeds import seed_variants

FIGURE = Path(__file__).parents[1] / "docs" / "results" / "inert.svg"
COLOUR = {"cannot": "#d55e00", "partly": "#56b4e9", "can": "#999999"}
LOWEST = -0.16
"""Differences below this are drawn as arrows: two rows collapse by 0.9."""


def main() -> None:
    """Measure if asked for, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", action="store_true", help="from what was measured before")
    options = parser.parse_args()
    board = open_board(PUBLISHED_NAME, None)
    if not options.draw:
        write_text(ANNOTATIONS, measure(board).model_dump_json(indent=1) + "\n")
    found = published_annotations()
    print_table(board, found)
    draw(board, found)


def measure(board: Board) -> Annotations:
    """Compare every published row that shares the baseline's signature with it, at all shapes of the suite."""
    shapes, seeds = kernel_shapes(MAD, Layer.DELTA_NET), seed_variants()
    baseline, inert = seeds[BASELINE], {}
    limits = Limits(wall_seconds=60.0, cpu_seconds=600)
    with Sandbox() as sandbox:
        for name in board.scores:
            if name == BASELINE or seeds[name].contract != baseline.contract:
                continue
            with sandbox.kernel(seeds[name], limits) as own, sandbox.kernel(baseline, limits) as parent:
                benches = (Bench(client, baseline.contract) for client in (own, parent))
                settings = inert_settings(*benches, shapes)
            inert[name] = {task: len(ids) for task, ids in settings.items()}
    return Annotations(
        protocol=f"{MAD.name} {MAD.hash}",
        baseline=BASELINE,
        settings={task: len(own) for task, own in shapes.items()},
        inert=inert,
    )


def print_table(board: Board, found: Annotations) -> None:
    """Settings that are inert, row by row; then what the spread of inert rows says."""
    print(f"| row | {' | '.join(MAD_TASKS)} |\n|---|{'---:|' * len(MAD_TASKS)}")
    for name in board.scores:
        if name in found.inert:
            cells = (f"{found.inert[name].get(task, 0)}/{found.settings[task]}" for task in MAD_TASKS)
            print(f"| `{short_name(name)}` | {' | '.join(cells)} |")
    print("\n| task | rows that cannot differ | lowest | mean | highest | s.d. of one run | 95 % of differences |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for task, own in inert_deviations(board, found).items():
        names = own.groups[0]
        numbers = " | ".join(f"{x:.3f}" for x in (*extent(board, names, task), own.deviation))
        print(f"| {task} | {len(names)} | {numbers} | ±{board.least_difference(task):.3f} |")


def draw(board: Board, found: Annotations) -> None:
    """A panel a task: every row's difference to the baseline, and what of it noise alone may be."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    for axes, task in zip(figure.subplots(2, 3).flat, MAD_TASKS, strict=True):
        draw_task(axes, board, found, task)
    for kind, label in (
        ("cannot", "cannot differ from the baseline"),
        ("partly", "cannot at some settings"),
        ("can", "can"),
    ):
        figure.axes[0].plot([], [], "o", color=COLOUR[kind], label=label)
    figure.axes[0].fill_between([], [], [], color="#eeeeee", label="noise alone, 95 %")
    figure.axes[0].legend(fontsize=7, loc="upper right")
    figure.suptitle("Published rows less the baseline: what structure rules out, and what is noise", fontsize=11)
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.hashsalt": "archer"}):  # the same file for the same numbers
        figure.savefig(FIGURE, metadata={"Date": None})


def draw_task(axes: Axes, board: Board, found: Annotations, task: TaskName) -> None:
    """Rows by rank; those below `LOWEST` as arrows at the edge."""
    noise = board.least_difference(task)
    axes.axhspan(-noise, noise, color="#eeeeee", zorder=0)
    axes.axhline(0, color="black", linewidth=0.6)
    for rank, (name, gap) in enumerate(differences(board, task).items()):
        share = found.share(name, task) if name in found.inert or name == BASELINE else 0.0
        kind = "cannot" if share == 1 else "partly" if share else "can"
        mark = "*" if name == BASELINE else "v" if gap < LOWEST else "o"
        axes.plot(rank, max(gap, LOWEST), mark, color=COLOUR[kind], markersize=9 if mark == "*" else 5)
    axes.set_title(task, fontsize=9)
    axes.set_xticks([])
    axes.set_ylabel("accuracy less the baseline's", fontsize=7)
    axes.tick_params(labelsize=7)


if __name__ == "__main__":
    main()
