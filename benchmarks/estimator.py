"""How well the estimator behind evolve predicts rows that it was not shown: published ones, and those under `quick`.

    python -m benchmarks.estimator [--deviations 1.638]

Each row made of mechanisms is left out once and predicted from the baseline and all other rows. Under `quick`, trials
are paired by seed, and the published row of the same variant stays in, as for a mechanism that is not yet measured.
What cannot differ from the baseline is predicted exactly and counts in nothing. Trains nothing; takes seconds.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean, median

from agent.analysis.boards.board import PUBLISHED_NAME, Board, open_board
from agent.analysis.measured_changes import measured_changes, pair_noise
from agent.catalogue import SEED_GENOMES
from agent.proposers.evolution.estimate import EIGHTY, Estimator
from archive.seeding import shipped_by_variant
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE

PROTOCOL = "quick"


@dataclass(frozen=True)
class LeftOut:
    """A score that was not shown: what was measured, what was expected, and the baseline's."""

    name: str
    task: TaskName
    measured: float
    expected: float
    deviation: float
    baseline: float

    def inside(self, deviations: float) -> bool:
        """Whether the interval of so many standard deviations, within 0 and 1, holds."""
        low, high = self._interval(deviations)
        return low <= self.measured <= high

    def interval_score(self, deviations: float) -> float:
        """Of an 80 % interval; smaller is better (Gneiting & Raftery 2007, eq. 43)."""
        low, high = self._interval(deviations)
        return high - low + 10 * max(0.0, low - self.measured, self.measured - high)

    def _interval(self, deviations: float) -> tuple[float, float]:
        low, high = (self.expected + sign * deviations * self.deviation for sign in (-1, 1))
        return min(1.0, max(0.0, low)), min(1.0, max(0.0, high))


def published_left_out() -> list[LeftOut]:
    """Every row of the published leaderboard."""
    board = open_board(PUBLISHED_NAME, None)

    def without(name: str) -> Estimator:
        rest = _without(board, name)
        return Estimator(rest, rest, SEED_GENOMES)

    return _left_out(board, without)


def quick_left_out() -> list[LeftOut]:
    """Every row that ships under `quick`."""
    board, published = open_board(PROTOCOL, None), open_board(PUBLISHED_NAME, None)
    trials = shipped_by_variant(PROTOCOL)

    def without(name: str) -> Estimator:
        rest = {other: own for other, own in trials.items() if other != name}
        noise = pair_noise(rest, board.tasks)
        return Estimator(
            _without(board, name), published, SEED_GENOMES, measured_changes(rest, {}, (), noise), noise
        )  # fmt: skip

    return _left_out(board, without)


def report(rows: list[LeftOut], deviations: float = EIGHTY) -> Iterable[str]:
    """A Markdown table, a line for each task and one for all."""
    yield "| task | n | mean error | of no change | median error | of no change | 80 % intervals that held | score |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    by_task = {task: [row for row in rows if row.task == task] for task in dict.fromkeys(row.task for row in rows)}
    for task, own in {**by_task, "all": rows}.items():
        errors = [abs(row.measured - row.expected) for row in own]
        gaps = [abs(row.measured - row.baseline) for row in own]
        held = sum(row.inside(deviations) for row in own)
        score = fmean(row.interval_score(deviations) for row in own)
        yield (
            f"| {task} | {len(own)} | {fmean(errors):.4f} | {fmean(gaps):.4f} | {median(errors):.4f} | "
            f"{median(gaps):.4f} | {held} ({held / len(own):.0%}) | {score:.3f} |"
        )


def _left_out(board: Board, without: Callable[[str], Estimator]) -> list[LeftOut]:
    rows = []
    for name, genome in SEED_GENOMES.items():
        if name == BASELINE or name not in board.scores:
            continue
        for task, estimate in without(name).predict(genome, BASELINE).items():
            if estimate.deviation > 0:
                measured, origin = (board.scores[each][task].mean for each in (name, BASELINE))
                expected = min(1.0, max(0.0, estimate.mean))
                rows.append(LeftOut(name, task, measured, expected, estimate.deviation, origin))
    return rows


def _without(board: Board, name: str) -> Board:
    scores: Mapping[str, object] = {other: row for other, row in board.scores.items() if other != name}
    return replace(board, scores=scores)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deviations", type=float, default=EIGHTY, help="half of an interval, in standard deviations")
    chosen = parser.parse_args().deviations
    for title, rows in (("published", published_left_out()), (PROTOCOL, quick_left_out())):
        print(f"{title}, intervals of ± {chosen:g} standard deviations", *report(rows, chosen), sep="\n")


if __name__ == "__main__":
    main()
