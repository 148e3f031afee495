"""What carries over from a smaller protocol to a larger one, and from both to the published table.

python -m benchmarks.carry_over
python -m benchmarks.carry_over --smaller smoke

Reads the tables and trials that ship; trains nothing. Prints Markdown: the rows of the larger protocol, then, per task,
the rank correlation over the rows that both have, and whether differences to the baseline have the same sign. A sign
counts where the difference is beyond the noise of both (of the published table by its replicates, see
`agent/analysis/replicates.py`).
"""

import argparse
from collections.abc import Mapping, Sequence

from scipy.stats import spearmanr

from agent.analysis.boards.board import PUBLISHED_NAME, Board, open_board
from agent.words import accuracy
from archive.seeding import shipped_by_variant, shipped_controls
from evaluator.outcomes import Trial
from evaluator.protocols.built_in import JUDGING, PROTOCOLS
from evaluator.statistics.scorecards import losses_by_task, scorecard
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, short_name


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    judging = [each.name for each in JUDGING]
    parser.add_argument("--smaller", choices=judging, default="quick")
    parser.add_argument("--larger", choices=judging, default="standard")
    options = parser.parse_args()
    tasks = tuple(PROTOCOLS[options.larger].tasks)
    trials = {**shipped_by_variant(options.larger), **shipped_controls(options.larger)}
    print_rows(trials, tasks)
    boards = {name: open_board(name, None) for name in (options.smaller, PUBLISHED_NAME, options.larger)}
    print_agreement(options.smaller, options.larger, boards, tasks)
    print_agreement(PUBLISHED_NAME, options.larger, boards, tasks)


def print_rows(trials: Mapping[str, Sequence[Trial]], tasks: Sequence[TaskName]) -> None:
    """Accuracy and test loss by task, with the number of seeds."""
    print(f"| variant | n | {' | '.join(tasks)} |\n|---|---|{'---|' * len(tasks)}")
    for name, own in trials.items():
        scores, losses = scorecard(own).scores, losses_by_task(own)
        cells = [f"{accuracy(scores[t].mean)} ({losses[t]:.2f})" if t in scores else "" for t in tasks]
        seeds = sorted({score.n for score in scores.values()})
        print(f"| `{short_name(name)}` | {', '.join(map(str, seeds))} | {' | '.join(cells)} |")


def print_agreement(one: str, other: str, boards: Mapping[str, Board], tasks: Sequence[TaskName]) -> None:
    """Rank correlation and signs, task by task, over the rows that both boards have."""
    print(f"\n| {one} and {other} | rows | Spearman | signs that agree |\n|---|---:|---:|---|")
    for task in tasks:
        first, second = boards[one], boards[other]
        both = [n for n in second.scores if task in second.scores[n] and task in first.scores.get(n, {})]
        means = [[board.scores[name][task].mean for name in both] for board in (first, second)]
        rank = f"{spearmanr(*means).statistic:.2f}" if len(both) > 2 else ""
        signs = [(_sign(first, name, task), _sign(second, name, task)) for name in both if name != BASELINE]
        beyond = [pair for pair in signs if all(pair)]
        told = f"{sum(a == b for a, b in beyond)} of {len(beyond)}" if beyond else "none beyond noise"
        print(f"| {task} | {len(both)} | {rank} | {told} |")


def _sign(board: Board, name: str, task: TaskName) -> int:
    """Of the difference to the baseline: 0 within noise."""
    own, base = board.scores[name][task], board.scores[BASELINE][task]
    difference = own.mean - base.mean
    if abs(difference) <= board.least_difference(task, own.n, base.n):
        return 0
    return 1 if difference > 0 else -1


if __name__ == "__main__":
    main()
