"""A leaderboard for readers: one row for each variant, with its verdict against the gated reference."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from agent.analysis.boards.board import PUBLISHED_NAME, Board, board_of_table, open_board
from agent.analysis.boards.challenge import distances
from agent.analysis.boards.floors import at_floor, ceiling, control_scores
from agent.analysis.boards.inert import Inert, measured_inert, published_annotations, published_inert
from agent.analysis.boards.sizes import NO_SIZE, Size, open_sizes
from agent.words import accuracy, counted, listed
from archive.seeding import shipped_by_variant, shipped_references
from archive.store import Archive
from archive.tables.leaderboard_csv import PUBLISHED, format_leaderboard, read_leaderboard
from archive.tables.leaderboards import LEADERBOARDS, leaderboard_csv, scorecards
from evaluator.outcomes import Score, Trial, Verdict
from evaluator.protocols.built_in import PROTOCOLS, tasks_of
from evaluator.statistics.moderated_t_test import noise_by_task
from evaluator.statistics.over_tasks import mean_over_tasks
from evaluator.statistics.verdicts import TaskNoise, verdict
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import MAD_TASKS
from variants.contract import REFERENCE, short_name
from variants.outside_archives import DRAWN_DECAY_REFERENCE, WIDE_REFERENCE

if TYPE_CHECKING:
    import pandas as pd

AT_FLOOR = "°"
"""Marks a score that does not exceed the floor by more than noise."""
REFERENCE_WORDS = {
    WIDE_REFERENCE: "the published reference as it probably was, many times as large as what stands above it",
    DRAWN_DECAY_REFERENCE: "the reference with its decay drawn as the published one's, and of its own size",
}
"""What the rows of the reference in other layers are."""
WORTHLESS = {"smoke": "smoke (20 steps) shows that things work; its scores say nothing of variants or proposers"}
"""The warning to print wherever scores of such a protocol are compared."""


@dataclass(frozen=True)
class BoardRow:
    """One variant of a leaderboard. against: its verdict against the gated reference, if there is one.

    inert: tasks on which the variant cannot differ from another row, so that only chance separates the two.
    distance: to the challenge, in units of noise (see `agent.analysis.boards.challenge`).
    at_floor: tasks on which it does not exceed the floor by more than noise (`agent.analysis.boards.floors`).
    """

    name: str
    tasks: tuple[TaskName, ...]
    """All tasks of the board's protocol, measured or not."""
    scores: dict[TaskName, Score]
    against: Verdict | None = None
    inert: Mapping[TaskName, Inert] = field(default_factory=dict)
    distance: float | None = None
    """None where a task was not measured, or the board lacks the reference."""
    at_floor: frozenset[TaskName] = frozenset()
    size: Size = NO_SIZE

    @property
    def mean(self) -> float | None:
        """Mean accuracy over all tasks; None where one was not measured."""
        return mean_over_tasks(self.scores, self.tasks)

    @property
    def n(self) -> int:
        """Seeds of the task that has fewest: 0 where one was not measured."""
        return min((self.scores[task].n if task in self.scores else 0 for task in self.tasks), default=0)

    def outcome(self, task: TaskName) -> str:
        """better, worse, indistinguishable or inert, against the reference; empty if there is no comparison."""
        found = self.against.tasks.get(task) if self.against else None
        return found.outcome if found else ""


@dataclass(frozen=True)
class Leaderboard:
    """The rows of a protocol or of the published table, nearest to the challenge first.

    csv: makes the table as CSV text, of all rows. controls: the scores of kernels that read no memory; empty where none
    was measured. ends: where scores begin and end, in words, with the mark of those at the floor. sizes: what the
    columns of sizes are, in words. references: the gated reference in other layers, where they were trained.
    """

    title: str
    tasks: tuple[TaskName, ...]
    rows: tuple[BoardRow, ...]
    csv: Callable[[], str]
    controls: tuple[BoardRow, ...] = ()
    ends: str = ""
    sizes: str = ""
    references: tuple[BoardRow, ...] = ()

    @property
    def below(self) -> tuple[BoardRow, ...]:
        """What is no variant and stands below them."""
        return (*self.references, *self.controls)


def measured_leaderboard(protocol: str, archive: Archive | None, limit: int | None = None) -> Leaderboard:
    """The leaderboard of a protocol, from an archive or, without an archive, from the files of archer.

    limit: how many rows it has at most; its CSV has all.
    """
    trials = archive.trials(protocol) if archive else shipped_by_variant(protocol)
    cards, tasks = scorecards(protocol, trials), tasks_of(protocol)
    board = open_board(protocol, archive)
    noise = noise_by_task({name: trials[name] for name in cards}, tasks)
    sizes = open_sizes(protocol, archive)
    shown = dict(islice(distances(board, board.scores).items(), limit))
    low = at_floor({name: trials[name] for name in shown}, protocol, noise)
    rows = [
        BoardRow(
            name,
            tasks,
            cards[name].scores,
            _against(name, trials, noise),
            measured_inert(name, trials[name], protocol),
            distance,
            low[name],
            sizes.of(name),
        )
        for name, distance in shown.items()
    ]
    title = f"{protocol}: accuracy with 95 % interval; against {REFERENCE}: ▲ better, ▼ worse, each for itself"
    title += "; to goal: what is lacking to beat it on every task, in units of noise"
    title += f"; the first {len(rows)} of {counted(len(board.scores), 'variant')}" if len(rows) < len(cards) else ""
    title += "" if rows else "; no variant has a score yet"
    title += f"; {WORTHLESS[protocol]}" if protocol in WORTHLESS else ""
    controls = tuple(
        BoardRow(name, tasks, dict(scores), size=sizes.of(name)) for name, scores in control_scores(protocol).items()
    )
    ends = _ends(protocol, rows, controls)
    others = _references(protocol, {name: trials[name] for name in cards})
    legend = "; ".join([sizes.legend, *(f"{short_name(row.name)}: {REFERENCE_WORDS[row.name]}" for row in others)])
    return Leaderboard(title, tasks, tuple(rows), lambda: leaderboard_csv(cards, tasks), controls, ends, legend, others)


def published_leaderboard(archive: Archive | None) -> Leaderboard:
    """The published table, from the archive or, without an archive, from the files of archer."""
    table = read_leaderboard(_path(archive, PUBLISHED_NAME) if archive else PUBLISHED)
    annotations, sizes = published_annotations(), open_sizes(PUBLISHED_NAME, archive)
    rows = [
        replace(row, inert=published_inert(annotations, row.name), size=sizes.of(row.name))
        for row in _rows_of_table(open_board(PUBLISHED_NAME, archive))
    ]
    return _told(table, "published: one seed, full MAD on GPU", rows, sizes.legend)


def imported_leaderboards(archive: Archive) -> list[str]:
    """The names of leaderboards that `archer import-csv --name` made."""
    names = {path.stem for path in (archive.root / LEADERBOARDS).glob("*.csv")}
    return sorted(names - {*PROTOCOLS, PUBLISHED_NAME, *archive.protocols()})


def imported_leaderboard(archive: Archive, name: str) -> Leaderboard:
    """One of those, with what its file says and nothing else. Raises LeaderboardError for a file that is damaged."""
    table = read_leaderboard(_path(archive, name))
    return _told(table, f"{name}: imported, one number a task", _rows_of_table(board_of_table(table, {})), "")


def _path(archive: Archive, name: str) -> Path:
    return archive.root / LEADERBOARDS / f"{name}.csv"


def _rows_of_table(board: Board) -> list[BoardRow]:
    return [
        BoardRow(name, MAD_TASKS, dict(board.scores[name]), distance=distance)
        for name, distance in distances(board, board.scores).items()
    ]


def _told(table: "pd.DataFrame", title: str, rows: Sequence[BoardRow], sizes: str) -> Leaderboard:
    ends = _ends(PUBLISHED_NAME, rows, ())
    return Leaderboard(title, MAD_TASKS, tuple(rows), lambda: format_leaderboard(table), ends=ends, sizes=sizes)


def _ends(protocol: str, rows: Sequence[BoardRow], controls: Sequence[BoardRow]) -> str:
    """What the controls are, the mark of a score at the floor where it occurs, and the ceilings that were reached."""
    if not controls:
        return "no floor: no control, which reads no memory, was measured here"
    names = " and ".join(short_name(row.name) for row in controls)
    mark = f"; {AT_FLOOR} not above the better of the two by more than noise" if any(r.at_floor for r in rows) else ""
    full = ceiling(protocol)
    top = f"; ceiling {accuracy(1)}, where a variant can only tie or lose: {listed([*full])}" if full else ""
    return f"{names} read no memory: a score begins there{mark}{top}"


def _references(protocol: str, trials: Mapping[str, Sequence[Trial]]) -> tuple[BoardRow, ...]:
    """The reference in other layers, as far as it has trials under the protocol as it is now.

    Its own trials add to the noise of its row.
    """
    tasks, sizes, rows = tasks_of(protocol), open_sizes(protocol, None), []
    shipped = shipped_references(protocol)
    for name, card in scorecards(protocol, shipped).items():
        everyone = {**trials, name: shipped[name]}
        against = _against(name, everyone, noise_by_task(everyone, tasks))
        rows.append(BoardRow(name, tasks, card.scores, against, size=sizes.of(name)))
    return tuple(rows)


def _against(name: str, trials: Mapping[str, Sequence[Trial]], noise: TaskNoise) -> Verdict | None:
    if name == REFERENCE or REFERENCE not in trials:
        return None
    return verdict(trials[name], trials[REFERENCE], REFERENCE, noise)
