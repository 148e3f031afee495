"""The tables of a report, as rows of cells: standing, expected, measured against expected, verdicts."""

from collections.abc import Sequence

from agent.analysis.boards.board import Board
from agent.analysis.boards.floors import control_scores, floor
from agent.analysis.boards.leaderboard_facts import leader
from agent.words import accuracy, interval, signed, verdict_words
from archive.records.record import Prediction, Record
from evaluator.outcomes import Comparison, Score, Verdict
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import TASKS
from variants.contract import BASELINE, REFERENCE, short_name

Row = list[str]
NONE = "–"


def code(name: str) -> str:
    """A variant's idea as inline code."""
    return f"`{short_name(name)}`"


def score_cell(board: Board, task: TaskName, score: Score | None) -> str:
    """`0.442 ± 0.060`: half of the 95 % interval, that of a single seed from the board's noise."""
    if score is None:
        return NONE
    if score.n > 1:
        return f"{accuracy(score.mean)} ± {accuracy(score.half_width)}"
    noise = f" ± {accuracy(board.half_width(task))}" if task in board.spreads else ""
    return accuracy(score.mean) + noise


def standing_rows(board: Board, parent: str) -> list[Row]:
    """Baseline, reference, parent and the best of each task; below them the controls, where a score begins."""
    leaders = [name for task in board.tasks if (name := leader(board, task)) is not None]
    names = [name for name in dict.fromkeys((BASELINE, REFERENCE, parent, *leaders)) if name in board.scores]
    rows = {**{name: board.scores[name] for name in names}, **control_scores(board.protocol)}
    return [
        [code(name), *(score_cell(board, task, own.get(task)) for task in board.tasks)] for name, own in rows.items()
    ]


def expected_rows(record: Record, board: Board, published: Board) -> list[Row]:
    """Parent, prediction with its interval, and what is published of the two variants it is measured by."""
    rows = []
    for task, predicted in _in_order(record.proposal.predictions):
        parent = board.scores.get(record.proposal.parent, {}).get(task)
        change = signed(predicted.mean - parent.mean) if parent else NONE
        rows.append(
            [
                task,
                score_cell(board, task, parent),
                f"**{accuracy(predicted.mean)}**",
                _interval(predicted.low, predicted.high),
                change,
                *(_published(published, name, task) for name in (record.proposal.parent, REFERENCE)),
                predicted.why.replace("\n", " ").replace("|", "\\|") or NONE,
            ]
        )
    return rows


def measured_rows(record: Record, board: Board) -> list[Row]:
    """Predicted beside measured, from the floor up, and whether the interval held."""
    scores = record.scorecard.scores if record.scorecard else {}
    low = floor(record.protocol, record.protocol_hash)
    rows = []
    for task in (task for task in TASKS if task in scores):
        predicted, score = record.proposal.predictions.get(task), scores[task]
        parent = board.mean(record.proposal.parent, task)
        rows.append(
            [
                task,
                accuracy(low[task]) if task in low else NONE,
                NONE if parent is None else accuracy(parent),
                f"{accuracy(predicted.mean)} {_interval(predicted.low, predicted.high)}" if predicted else NONE,
                f"**{accuracy(score.mean)}**" + (f" {_interval(score.low, score.high)}" if score.n > 1 else ""),
                str(score.n),
                signed(score.mean - predicted.mean) if predicted else NONE,
                ("yes" if predicted.holds(score.mean) else "**no**") if predicted else NONE,
            ]
        )
    return rows


def verdict_rows(verdict: Verdict) -> list[Row]:
    """One row a task: difference, interval, outcome."""
    return [
        [task, signed(found.difference), _difference_interval(found), str(found.n), _outcome(found)]
        for task, found in ((task, verdict.tasks[task]) for task in TASKS if task in verdict.tasks)
    ]


def _outcome(found: Comparison) -> str:
    words = verdict_words(found.outcome, found.n)
    return f"**{words}**" if found.outcome in ("better", "worse") else words


def _difference_interval(found: Comparison) -> str:
    return f"{signed(found.low)} to {signed(found.high)}" if found.n > 1 and found.outcome != "inert" else NONE


def _interval(low: float, high: float) -> str:
    return interval(low, high) if low < high else "exactly"


def _published(published: Board, name: str, task: TaskName) -> str:
    mean = published.mean(name, task)
    return NONE if mean is None else accuracy(mean)


def _in_order(predictions: dict[TaskName, Prediction]) -> Sequence[tuple[TaskName, Prediction]]:
    return [(task, predictions[task]) for task in TASKS if task in predictions]
