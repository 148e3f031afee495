"""Leaderboards: one table per protocol, derived from trials, in the published form."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from archive.files import write_text
from archive.lazy_mapping import LazyMapping
from archive.tables.leaderboard_csv import format_leaderboard
from evaluator.outcomes import Score, Scorecard, Trial
from evaluator.protocols.built_in import PROTOCOLS, tasks_of
from evaluator.statistics.lazy_trials import comparable
from evaluator.statistics.scorecards import scorecard
from evaluator.tasks.names import TaskName

LEADERBOARDS = "leaderboards"


def scorecards(protocol: str, trials: Mapping[str, Sequence[Trial]]) -> Mapping[str, Scorecard]:
    """Scorecards of all variants that have trials under the protocol's current version, made when they are looked at.

    Trials of an older version (another hash) are left out: protocols never mix.
    """
    current = PROTOCOLS[protocol].hash if protocol in PROTOCOLS else None
    known = comparable(trials, current)
    return LazyMapping(known, lambda name: scorecard(known[name]))


def standings(protocol: str, trials: Mapping[str, Sequence[Trial]]) -> Mapping[str, Mapping[TaskName, Score]]:
    """The scores of `scorecards`."""
    cards = scorecards(protocol, trials)
    return LazyMapping(cards, lambda name: cards[name].scores)


def leaderboard_csv(cards: Mapping[str, Scorecard], tasks: Sequence[TaskName]) -> str:
    """The CSV text in the published form: names and means of the variants that have all tasks, sorted by name."""
    import pandas as pd  # here, as most commands write no leaderboard

    whole = {name: cards[name].scores for name in sorted(cards) if set(cards[name].scores) == set(tasks)}
    rows = [[scores[task].mean for task in tasks] for scores in whole.values()]
    return format_leaderboard(pd.DataFrame(rows, index=pd.Index(list(whole)), columns=list(tasks)))


def write_leaderboard(root: Path, protocol: str, trials: Mapping[str, Sequence[Trial]]) -> str:
    """Derive and write a protocol's leaderboard; returns its path relative to `root`. Raises OSError."""
    path = f"{LEADERBOARDS}/{protocol}.csv"
    write_text(root / path, leaderboard_csv(scorecards(protocol, trials), tasks_of(protocol)))
    return path
