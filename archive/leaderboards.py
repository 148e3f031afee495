"""Leaderboards: one table per protocol, derived from trials, in the published form."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from archive.files import write_text
from evaluator.outcomes import Scorecard, Trial
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.statistics.lazy_trials import of_version
from evaluator.statistics.scorecards import scorecard
from variants.contract import TASKS
from variants.leaderboard import format_leaderboard

LEADERBOARDS = "leaderboards"


def scorecards(protocol: str, trials: Mapping[str, Sequence[Trial]]) -> dict[str, Scorecard]:
    """Scorecard of every variant that this version of the protocol has trials of, by name.

    Trials of an older version (another hash) are left out: protocols never mix.
    """
    current = PROTOCOLS[protocol].hash if protocol in PROTOCOLS else None
    cards = {}
    for name, own in trials.items():
        if comparable := of_version(own, current):
            cards[name] = scorecard(comparable)
    return cards


def leaderboard_csv(cards: Mapping[str, Scorecard]) -> str:
    """The published form: name and six means; only variants with all six tasks, by name."""
    whole = {name: cards[name].scores for name in sorted(cards) if set(cards[name].scores) == set(TASKS)}
    rows = [[scores[task].mean for task in TASKS] for scores in whole.values()]
    return format_leaderboard(pd.DataFrame(rows, index=pd.Index(list(whole)), columns=list(TASKS)))


def write_leaderboard(root: Path, protocol: str, trials: Mapping[str, Sequence[Trial]]) -> str:
    """Derive and write a protocol's leaderboard; returns its path relative to `root`. Raises OSError."""
    path = f"{LEADERBOARDS}/{protocol}.csv"
    write_text(root / path, leaderboard_csv(scorecards(protocol, trials)))
    return path
