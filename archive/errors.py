"""Errors of an archive that its user can correct."""


class ArchiveError(Exception):
    """One line that says what is wrong with the archive, where, and what to do about it."""


class LeaderboardError(ValueError):
    """A table that is not a leaderboard. The message is one line: what is wrong, and how to correct it."""
