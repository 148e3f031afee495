"""How well a protocol's leaderboard agrees with the published one, per task and for the mean of the six.

python -m benchmarks.agreement --protocol quick

Prints Markdown: Spearman's rank correlation over the published rows; its range when one row is left out; the spread of
the rows, and of one seed (standard deviation, pooled within variants), both in accuracy.
"""

import argparse
from collections.abc import Mapping

import pandas as pd
from scipy import stats

from agent.analysis.snapshot import noise
from archive.seeding import shipped_by_variant
from archive.tables.leaderboard_csv import PUBLISHED, read_leaderboard
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import MAD_TASKS


def main() -> None:
    """Compare the shipped tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default="quick")
    protocol = parser.parse_args().protocol
    measured = read_leaderboard(PUBLISHED.with_name(f"{protocol}.csv"))
    published = read_leaderboard(PUBLISHED)
    print(table(measured.loc[published.index], published, noise(shipped_by_variant(protocol))))


def table(measured: pd.DataFrame, published: pd.DataFrame, of_a_seed: Mapping[TaskName, float]) -> str:
    """Rows per task and for the mean. Both frames: index of the same names, six task columns."""
    lines = [
        "| task | Spearman | one row left out | s.d. of rows, measured | s.d. of rows, published | s.d. of one seed |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for task in MAD_TASKS:
        lines.append(_row(task, measured[task], published[task], of_a_seed.get(task)))
    lines.append(_row("mean of the six", measured.mean(axis=1), published.mean(axis=1), None))
    return "\n".join(lines)


def _row(name: str, measured: "pd.Series[float]", published: "pd.Series[float]", of_a_seed: float | None) -> str:
    without = [spearman(measured.drop(row), published.drop(row)) for row in published.index]
    seed = "" if of_a_seed is None else f"{of_a_seed:.3f}"
    return (
        f"| {name} | {spearman(measured, published):.2f} | {min(without):.2f} to {max(without):.2f} "
        f"| {measured.std():.3f} | {published.std():.3f} | {seed} |"
    )


def spearman(one: "pd.Series[float]", other: "pd.Series[float]") -> float:
    """Rank correlation of two columns with the same index."""
    return float(stats.spearmanr(one, other).statistic)


if __name__ == "__main__":
    main()
