"""Errors of an archive that its user can correct."""


class ArchiveError(Exception):
    """One line that says what is wrong with the archive, where, and what to do about it."""


class GitMissingError(ArchiveError):
    """There is no git on PATH, without which no archive is opened."""

    def __init__(self) -> None:
        super().__init__("git was not found; install it (Debian: apt install git)")


class LeaderboardError(ValueError):
    """A table that is not a leaderboard. The message is one line: what is wrong, and how to correct it."""
