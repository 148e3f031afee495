"""What can go wrong with an archive that its user can mend."""


class ArchiveError(Exception):
    """One line that says what is wrong with the archive, where, and what to do about it."""


class LeaderboardError(ValueError):
    """A table that is no leaderboard; the message is one line that says what is wrong and how to mend it."""
