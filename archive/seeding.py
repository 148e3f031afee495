"""Generation 0 of an archive: the seed variants, the scores that ship with them, and the published leaderboard."""

from pathlib import Path

from archive.files import read_lines
from archive.store import Archive
from evaluator.outcomes import Trial
from variants.leaderboard import PUBLISHED
from variants.seeds import seed_variants

SHIPPED = ("smoke", "quick")


def shipped_trials(protocol: str) -> tuple[Trial, ...]:
    """Trials of the seeds that ship with archer, for one protocol. Raises ArchiveError for a damaged file."""
    return read_lines(PUBLISHED.with_name(f"{protocol}.trials.jsonl"), Trial)


def make_archive(root: Path) -> Archive:
    """Make an archive at `root`. Raises ArchiveError or OSError, leaving nothing behind."""
    trials = [trial for protocol in SHIPPED for trial in shipped_trials(protocol)]
    return Archive.create(root, seed_variants(), trials, {"published": PUBLISHED.read_text(encoding="utf-8")})
