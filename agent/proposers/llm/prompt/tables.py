"""Leaderboards as a prompt prints them: short names, and the interval of each score."""

from collections.abc import Iterable
from statistics import fmean

from agent.analysis.board import Board
from agent.analysis.leaderboard_facts import leader
from agent.proposers.llm.prompt.facts import LeaderboardRow
from agent.reports.tables import score_cell
from variants.contract import BASELINE, REFERENCE, short_name


def board_rows(board: Board, parents: Iterable[str]) -> tuple[LeaderboardRow, ...]:
    """All rows of a board, best mean first. Baseline, reference, parents and the best of each task are never cut."""
    kept = {BASELINE, REFERENCE, *parents, *(leader(board, task) for task in board.tasks)}
    rows = [
        LeaderboardRow(
            name=short_name(name),
            cells=tuple(score_cell(board, task, scores.get(task)) for task in board.tasks),
            rank=fmean(score.mean for score in scores.values()),
            keep=name in kept,
        )
        for name, scores in board.scores.items()
        if scores
    ]
    return tuple(sorted(rows, key=lambda row: (-row.rank, row.name)))
